#include "worker/trainer/base/events.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/base/logging.h"
#include "nlohmann/json.hpp"

namespace coppice::trainer {
namespace {

using nlohmann::ordered_json;

constexpr int kProtocol = 1;

ordered_json MembersJson(const std::vector<MemberStep>& members) {
  ordered_json list = ordered_json::array();
  for (const MemberStep& member : members)
    list.push_back({{"seed", member.seed}, {"step", member.step}});
  return list;
}

ordered_json ProvenanceJson(const Provenance& provenance) {
  return {{"build", provenance.build},         {"libtorch", provenance.libtorch},
          {"blas", provenance.blas},           {"device", provenance.device},
          {"precision", provenance.precision}, {"threads", provenance.threads}};
}

// Rounds to microseconds: more digits have no meaning.
double Milliseconds(absl::Duration duration) {
  return static_cast<double>(absl::ToInt64Microseconds(duration)) / 1000;
}

// Returns 0, or the errno of the failed write.
int WriteWhole(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(fd, data, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    data += written;
    size -= static_cast<size_t>(written);
  }
  return 0;
}

}  // namespace

EventWriter::EventWriter(int fd, std::function<void()> on_closed)
    : fd_(fd), on_closed_(std::move(on_closed)) {}

void EventWriter::Measure(const Provenance& provenance, const std::vector<int64_t>& widths) {
  Write({{"event", "measure"},
         {"protocol", kProtocol},
         {"version", COPPICE_VERSION},
         {"provenance", ProvenanceJson(provenance)},
         {"widths", widths}});
}

void EventWriter::Width(int64_t width, double steps_per_second, double seed_steps_per_second,
                        int64_t peak_bytes) {
  Write({{"event", "width"},
         {"width", width},
         {"steps_per_second", steps_per_second},
         {"seed_steps_per_second", seed_steps_per_second},
         {"peak_bytes", peak_bytes}});
}

void EventWriter::WidthOutOfMemory(int64_t width, absl::string_view message) {
  Write({{"event", "width"},
         {"width", width},
         {"failed", std::string(FailureKindText(FailureKind::kOutOfMemory))},
         {"message", std::string(message)}});
}

void EventWriter::Start(const Provenance& provenance, const std::vector<MemberStep>& members,
                        int64_t steps, int64_t parameters) {
  ordered_json described = ProvenanceJson(provenance);
  described["pack_width"] = provenance.pack_width;
  Write({{"event", "start"},
         {"protocol", kProtocol},
         {"version", COPPICE_VERSION},
         {"provenance", std::move(described)},
         {"members", MembersJson(members)},
         {"steps", steps},
         {"parameters", parameters}});
}

void EventWriter::Progress(const std::vector<MemberStep>& members, double steps_per_second,
                           double sequences_per_second, uint64_t activity) {
  Write({{"event", "progress"},
         {"members", MembersJson(members)},
         {"steps_per_second", steps_per_second},
         {"sequences_per_second", sequences_per_second},
         {"activity", activity}});
}

void EventWriter::Metrics(uint64_t seed, int64_t step, const MetricValues& values) {
  ordered_json object = ordered_json::object();
  for (const auto& [name, value] : values) object[name] = value;
  Write({{"event", "metrics"}, {"seed", seed}, {"step", step}, {"values", std::move(object)}});
}

void EventWriter::Checkpoint(uint64_t seed, int64_t step, const CheckpointInfo& info) {
  Write({{"event", "checkpoint"},
         {"seed", seed},
         {"step", step},
         {"path", info.path},
         {"digest", info.digest},
         {"bytes", info.bytes},
         {"stall_ms", Milliseconds(info.stall)},
         {"write_ms", Milliseconds(info.write)}});
}

void EventWriter::Done(uint64_t seed, int64_t step) {
  Write({{"event", "done"}, {"seed", seed}, {"step", step}});
}

void EventWriter::Failed(uint64_t seed, int64_t step, FailureKind kind, absl::string_view message) {
  spdlog::error("seed {} failed at step {}: {}", seed, step, std::string(message));
  Write({{"event", "failed"},
         {"seed", seed},
         {"step", step},
         {"kind", std::string(FailureKindText(kind))},
         {"message", std::string(message)}});
}

void EventWriter::Preempted(uint64_t seed, int64_t step) {
  Write({{"event", "preempted"}, {"seed", seed}, {"step", step}});
}

void EventWriter::Refused(absl::string_view message) {
  // A key of the spec may have any length.
  constexpr size_t kLongest = 1000;
  Write({{"event", "refused"}, {"message", std::string(message.substr(0, kLongest))}});
}

int EventWriter::unwritten() const {
  absl::MutexLock lock(&mutex_);
  return unwritten_;
}

void EventWriter::Write(const ordered_json& event) {
  // A path or a message may have bytes that are not UTF-8. The line must still be JSON.
  std::string line = event.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  line += '\n';
  bool closed_now = false;
  {
    absl::MutexLock lock(&mutex_);
    if (unwritten_ != 0) return;
    const int error = WriteWhole(fd_, line.data(), line.size());
    if (error != 0) {
      spdlog::error("cannot write events ({}); stopping as after SIGTERM", std::strerror(error));
      unwritten_ = error;
      closed_now = true;
    }
  }
  if (closed_now && on_closed_) on_closed_();
}

}  // namespace coppice::trainer
