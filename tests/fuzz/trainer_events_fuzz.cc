// A trainer's output, as the daemon reads it. The first byte says where to cut the other bytes into
// pieces; 0: not at all.
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/fuzz.h"
#include "worker/program/trainer_events.h"

namespace coppice::worker {
namespace {

constexpr uint32_t kSteps = 1000;
constexpr size_t kLongestMessage = 2000;

std::vector<TrainerEventReader::Member> Members() {
  return {{0, 0, "/c/zero"}, {5, 100, "/c/five"}, {7, kSteps, "/c/seven"}};
}

struct Outcome {
  absl::Status status;
  std::vector<TrainerEvent> events;
};

Outcome Feed(absl::string_view bytes, size_t piece) {
  TrainerEventReader reader(Members(), kSteps);
  Outcome outcome;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    const absl::Status status = reader.Feed(bytes.substr(at, piece), &outcome.events);
    FUZZ_CHECK(outcome.status.ok() || status == outcome.status, "an error must stay");
    FUZZ_CHECK(reader.pending_bytes() <= TrainerEventReader::kMaxLineBytes, "bounded memory");
    outcome.status = status;
  }
  const size_t events = outcome.events.size();
  if (!outcome.status.ok()) {
    FUZZ_CHECK(reader.Feed("{\"event\":\"x\"}\n", &outcome.events) == outcome.status, "sticky");
    FUZZ_CHECK(outcome.events.size() == events, "nothing is believed behind an error");
    fuzz::CheckMessage(outcome.status, kLongestMessage);
  }
  return outcome;
}

// Checks reports of members against the pack, and prints them for comparison.
class Checker {
 public:
  std::string text;

  void operator()(const TrainerStart& event) {
    FUZZ_CHECK(nlohmann::json::accept(event.provenance), event.provenance);
    absl::StrAppend(&text, "start ", event.provenance, "\n");
  }
  void operator()(const TrainerProgress& event) {
    FUZZ_CHECK(std::isfinite(event.steps_per_second) && event.steps_per_second >= 0, "rate");
    for (const auto& [seed, step] : event.members) Member("progress", seed, step);
  }
  void operator()(const TrainerMetrics& event) {
    Member("metrics", event.seed, event.step);
    FUZZ_CHECK(!event.values.empty(), "empty row");
    FUZZ_CHECK(event.values.size() <= TrainerEventReader::kMaxValues, "too many values");
    std::set<std::string> names;
    for (const auto& [name, value] : event.values) {
      FUZZ_CHECK(std::isfinite(value), name);
      FUZZ_CHECK(names.insert(name).second, name);
      absl::StrAppend(&text, " ", name, "=", value);
    }
  }
  void operator()(const TrainerCheckpoint& event) {
    Member("checkpoint", event.seed, event.step);
    FUZZ_CHECK(IsSafeRelativePath(event.file), event.file);
    FUZZ_CHECK(event.digest.size() == 32 && event.bytes > 0, event.digest);
    FUZZ_CHECK(std::isfinite(event.stall_ms) && event.stall_ms >= 0, "stall");
    FUZZ_CHECK(std::isfinite(event.write_ms) && event.write_ms >= 0, "write");
    absl::StrAppend(&text, event.file, event.digest, event.bytes, " ", event.stall_ms, " ",
                    event.write_ms);
  }
  void operator()(const TrainerRefused& event) {
    absl::StrAppend(&text, "refused ", event.message, "\n");
  }
  void operator()(const TrainerDone& event) {
    FUZZ_CHECK(event.step == kSteps, "done before the end");
    End("done", event.seed, event.step);
  }
  void operator()(const TrainerFailed& event) {
    End("failed", event.seed, event.step);
    absl::StrAppend(&text, event.kind, " ", event.message);
  }
  void operator()(const TrainerPreempted& event) { End("preempted", event.seed, event.step); }

 private:
  void Member(absl::string_view what, uint32_t seed, uint32_t step) {
    FUZZ_CHECK(seed == 0 || seed == 5 || seed == 7, absl::StrCat("seed ", seed));
    FUZZ_CHECK(step <= kSteps, absl::StrCat("step ", step));
    absl::StrAppend(&text, "\n", what, " ", seed, " ", step);
  }
  void End(absl::string_view what, uint32_t seed, uint32_t step) {
    Member(what, seed, step);
    FUZZ_CHECK(ended_.insert(seed).second, "a member ends once");
  }
  std::set<uint32_t> ended_;
};

std::string Check(const Outcome& outcome) {
  Checker checker;
  for (const TrainerEvent& event : outcome.events) std::visit(checker, event);
  return checker.text;
}

}  // namespace
}  // namespace coppice::worker

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view bytes = coppice::fuzz::Text(data + 1, size - 1);
  const size_t piece = data[0] == 0 ? std::max<size_t>(bytes.size(), 1) : data[0];
  const auto whole = coppice::worker::Feed(bytes, std::max<size_t>(bytes.size(), 1));
  const std::string read = coppice::worker::Check(whole);
  if (piece < bytes.size()) {
    const auto pieces = coppice::worker::Feed(bytes, piece);
    FUZZ_CHECK(pieces.status == whole.status, pieces.status.message());
    FUZZ_CHECK(coppice::worker::Check(pieces) == read, read);
  }
  return 0;
}
