#include "worker/daemon/trainer_devices.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/base/build_info.h"
#include "common/base/clock.h"
#include "common/base/logging.h"
#include "common/base/printable.h"
#include "common/base/utf8.h"
#include "worker/program/exit_text.h"

namespace coppice::worker {
namespace {

// More than any machine has.
constexpr size_t kMaxDevices = 256;
constexpr size_t kMaxTextBytes = 500;
constexpr size_t kMaxAnswerBytes = 1 << 20;
constexpr size_t kLastWordsBytes = 500;
constexpr double kGiB = 1 << 30;
constexpr absl::Duration kKilledWait = absl::Seconds(5);

std::string TextOf(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return "";
  return PrintableLine(Utf8Head(found->get<std::string>(), kMaxTextBytes));
}

// The output of a running probe so far. The process's callbacks share it.
class Answer {
 public:
  Answer() = default;
  ~Answer() { ::close(over_fd_); }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  void AddOutput(const std::string& bytes) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (output_.size() + bytes.size() <= kMaxAnswerBytes) output_ += bytes;
  }
  void AddError(const std::string& bytes) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    error_ = Utf8Tail(error_ + bytes, kLastWordsBytes);
  }
  void End(ProcessExit exit) {
    exit_ = std::move(exit);
    over_.Notify();
    ::eventfd_write(over_fd_, 1);
  }
  bool over() const { return over_.HasBeenNotified(); }
  // Waits so long, or until the end, or until `end` is requested. True: the process has ended.
  bool Wait(absl::Duration limit, const EndRequest& end) const {
    const absl::Duration until = Clock::Real()->Monotonic() + limit;
    while (!over()) {
      const absl::Duration left = until - Clock::Real()->Monotonic();
      if (left <= absl::ZeroDuration() || end.made()) return false;
      pollfd fds[] = {{over_fd_, POLLIN, 0}, {end.fd(), POLLIN, 0}};
      ::poll(fds, 2, EndRequest::Millis(left));
    }
    return true;
  }
  // After the end.
  const ProcessExit& exit() const { return exit_; }
  std::string output() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return output_;
  }
  // "; it said: ...", or nothing.
  std::string LastWords() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const std::string words = PrintableLine(absl::StripAsciiWhitespace(error_));
    return words.empty() ? "" : absl::StrCat("; it said: ", words);
  }

 private:
  mutable absl::Mutex mutex_;
  std::string output_ ABSL_GUARDED_BY(mutex_);
  std::string error_ ABSL_GUARDED_BY(mutex_);
  ProcessExit exit_;  // set before `over_`
  absl::Notification over_;
  const int over_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);  // readable from then on
};

// True if the device may be the one that the user asked for.
bool IsMeant(const DeviceSpec& spec, size_t index) {
  return !spec.index.has_value() || static_cast<size_t>(*spec.index) == index;
}

// The usable devices that may be the one that the user asked for.
std::map<std::string, int> CountByName(const TrainerDevices& devices, const DeviceSpec& spec) {
  std::map<std::string, int> counts;
  for (size_t i = 0; i < devices.devices.size(); ++i) {
    if (IsMeant(spec, i) && devices.devices[i].problem.empty()) ++counts[devices.devices[i].name];
  }
  return counts;
}

std::string Described(const TrainerDevice& device, size_t index) {
  return absl::StrFormat("cuda:%d (%s, %.1f GiB, compute capability %s)", index, device.name,
                         static_cast<double>(device.memory_bytes) / kGiB,
                         device.compute_capability);
}

}  // namespace

absl::StatusOr<TrainerDevices> ParseTrainerDevices(absl::string_view line) {
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || TextOf(json, "event") != "devices") {
    return absl::DataLossError("the answer is not one line of JSON with the event `devices`");
  }
  TrainerDevices answer;
  answer.version = TextOf(json, "version");
  answer.problem = TextOf(json, "problem");
  const auto cuda = json.find("cuda");
  answer.cuda = cuda != json.end() && cuda->is_boolean() && cuda->get<bool>();
  const auto devices = json.find("devices");
  if (devices == json.end() || !devices->is_array() || devices->size() > kMaxDevices) {
    return absl::DataLossError("the answer has no list `devices`");
  }
  for (const auto& entry : *devices) {
    if (!entry.is_object() || TextOf(entry, "name").empty()) {
      return absl::DataLossError("a device of the answer has no name");
    }
    TrainerDevice device;
    device.name = TextOf(entry, "name");
    device.compute_capability = TextOf(entry, "compute_capability");
    device.problem = TextOf(entry, "problem");
    const auto memory = entry.find("memory_bytes");
    if (memory != entry.end() && memory->is_number_unsigned()) {
      device.memory_bytes = memory->get<uint64_t>();
    }
    answer.devices.push_back(std::move(device));
  }
  if (answer.devices.empty() && answer.problem.empty()) {
    return absl::DataLossError("the answer has neither a device nor a `problem`");
  }
  return answer;
}

absl::StatusOr<TrainerDevices> AskTrainer(ProcessLauncher* launcher, const std::string& trainer,
                                          absl::Duration limit, const EndRequest& end) {
  const auto answer = std::make_shared<Answer>();
  ProcessCommand command;
  command.argv = {trainer, "devices"};
  // The callbacks may come before Start has returned the process.
  const auto process = std::make_shared<std::pair<absl::Notification, std::unique_ptr<Process>>>();
  ProcessCallbacks callbacks;
  const auto read_more = [process](Process::Pipe pipe) {
    process->first.WaitForNotification();
    process->second->ReadMore(pipe);
  };
  callbacks.on_stdout = [answer, read_more](const std::string& bytes) {
    answer->AddOutput(bytes);
    read_more(Process::Pipe::kStdout);
  };
  callbacks.on_stderr = [answer, read_more](const std::string& bytes) {
    answer->AddError(bytes);
    read_more(Process::Pipe::kStderr);
  };
  callbacks.on_exit = [answer](ProcessExit exit) { answer->End(std::move(exit)); };
  process->second = launcher->Start(std::move(command), std::move(callbacks));
  process->first.Notify();
  if (!answer->Wait(limit, end)) {
    process->second->Signal(SIGKILL);
    if (end.made()) return absl::CancelledError("asked to end");
    // A process that hangs in a driver does not even end by SIGKILL.
    answer->Wait(kKilledWait, end);
    return absl::DeadlineExceededError(absl::StrCat(
        trainer, " devices: did not answer in ", absl::FormatDuration(limit), answer->LastWords()));
  }
  const ProcessExit& exit = answer->exit();
  if (exit.spawn.ok() && exit.signal == 0 && exit.code == kTrainerExitUsage) {
    return absl::UnimplementedError(absl::StrCat(
        trainer, " does not say which devices it can use: it has no command `devices`"));
  }
  if (!exit.spawn.ok() || exit.signal != 0 || exit.code != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(trainer, " devices: the trainer ", DescribeExit(exit), answer->LastWords()));
  }
  auto parsed = ParseTrainerDevices(answer->output());
  if (parsed.ok()) return parsed;
  return absl::DataLossError(absl::StrCat(trainer, " devices: ", parsed.status().message()));
}

absl::Status CheckTrainerDevices(const TrainerDevices& devices, const DeviceSpec& spec) {
  std::string problem = devices.problem;
  for (size_t i = 0; i < devices.devices.size(); ++i) {
    if (!IsMeant(spec, i)) continue;
    if (devices.devices[i].problem.empty()) return absl::OkStatus();
    if (problem.empty()) problem = devices.devices[i].problem;
  }
  if (problem.empty()) {
    problem = absl::StrCat("the trainer sees ", devices.devices.size(),
                           " CUDA devices, so the last one is cuda:", devices.devices.size() - 1);
  }
  return absl::FailedPreconditionError(problem);
}

std::string UsableDevicesText(const TrainerDevices& devices, const DeviceSpec& spec) {
  return absl::StrJoin(CountByName(devices, spec), ", ", [](std::string* out, const auto& entry) {
    if (entry.second > 1) absl::StrAppend(out, entry.second, " x ");
    absl::StrAppend(out, entry.first);
  });
}

std::string UsableDeviceNames(const TrainerDevices& devices, const DeviceSpec& spec) {
  return absl::StrJoin(CountByName(devices, spec), ", ", [](std::string* out, const auto& entry) {
    absl::StrAppend(out, entry.first);
  });
}

void LogTrainerDevices(const std::string& trainer, const TrainerDevices& devices) {
  if (!devices.version.empty() && devices.version != COPPICE_VERSION) {
    spdlog::warn("{} is of version {} and this worker of version {}; build the trainer again",
                 trainer, devices.version, COPPICE_VERSION);
  }
  if (devices.devices.empty()) spdlog::info("{}: {}", trainer, devices.problem);
  for (size_t i = 0; i < devices.devices.size(); ++i) {
    const TrainerDevice& device = devices.devices[i];
    if (device.problem.empty()) {
      spdlog::info("{}: the trainer can use it", Described(device, i));
    } else {
      spdlog::warn("{}: the trainer cannot use it: {}", Described(device, i), device.problem);
    }
  }
}

}  // namespace coppice::worker
