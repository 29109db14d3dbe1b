// Wiring only: command line, signals, data, engine. Exit codes are those of
// docs/trainer-protocol.md.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "common/base/build_info.h"
#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/output.h"
#include "common/base/process_start.h"
#include "common/settings/run_warnings.h"
#include "worker/trainer/base/events.h"
#include "worker/trainer/config/run_fields.h"
#include "worker/trainer/cuda/cuda_device.h"
#include "worker/trainer/data_command.h"
#include "worker/trainer/options.h"
#include "worker/trainer/select_device.h"
#include "worker/trainer/tasks/dataset.h"
#include "worker/trainer/train/engine.h"
#include "worker/trainer/train/measure.h"
#include "worker/trainer/train/runtime.h"

namespace coppice::trainer {
namespace {

// The interval of checks for a stop while the data thread runs, and the time that it then gets to
// end.
constexpr absl::Duration kStopCheckInterval = absl::Milliseconds(100);
constexpr absl::Duration kStopTimeout = absl::Seconds(1);

enum ExitCode { kDone = 0, kFailed = 1, kUsage = 2, kPreempted = 75 };

int Usage(const absl::Status& status) {
  std::cerr << "coppice-trainer: " << status.message() << "\n";
  return kUsage;
}

Provenance MakeProvenance(const PackSpec& spec, const Device& device) {
  Provenance provenance;
  const BlasInfo blas = DetectBlas();
  if (blas.reference) {
    spdlog::warn(
        "matrix products run on the REFERENCE BLAS ({}): training will be 25 to 45 times slower. "
        "Install "
        "libopenblas0 (Debian: apt install libopenblas0-openmp).",
        blas.name);
  }
  provenance.build = BuildDescription();
  provenance.libtorch = LibTorchVersion();
  provenance.blas = blas.name;
  provenance.device = device.description();
  provenance.precision = std::string(settings::PrecisionText(
      device.is_cpu() ? settings::Precision::kFloat32 : spec.run.train.precision));
  provenance.threads = spec.threads;
  provenance.pack_width = static_cast<int64_t>(spec.members.size());
  return provenance;
}

// Events could not be written. EPIPE means that the reader is gone, a dead daemon or the user's
// `head`: the run stopped as after SIGTERM. Any other error is that of the output.
int EventsUnwritten(const EventWriter& events) {
  if (events.unwritten() == EPIPE) return kPreempted;
  std::cerr << "coppice-trainer: cannot write to the standard output: "
            << std::strerror(events.unwritten()) << "; what was checkpointed is kept\n";
  return kFailed;
}

// Fails every member with the same reason before anything has started.
int FailAll(const PackSpec& spec, EventWriter* events, FailureKind kind,
            absl::string_view message) {
  for (const MemberSpec& member : spec.members) events->Failed(member.seed, 0, kind, message);
  return kFailed;
}

// Reads or makes the data on a separate thread, because a file server that does not answer would
// keep this one from noticing a stop. CANCELLED: a stop was requested meanwhile. The thread may
// still run, so the process must end at once.
absl::StatusOr<Dataset> LoadData(DatasetOptions options) {
  struct Loading {
    absl::Notification over;
    absl::StatusOr<Dataset> dataset = absl::UnknownError("");
  };
  const auto loading = std::make_shared<Loading>();
  options.stop = &StopFlag();
  std::thread([loading, options] {
    loading->dataset = MakeDataset(options);
    loading->over.Notify();
  }).detach();
  while (!loading->over.WaitForNotificationWithTimeout(kStopCheckInterval)) {
    if (!StopFlag().load() || loading->over.WaitForNotificationWithTimeout(kStopTimeout)) continue;
    return absl::CancelledError("stopped while a file of the data did not answer");
  }
  absl::StatusOr<Dataset> dataset = std::move(loading->dataset);
  if (dataset.ok()) {
    for (const std::string& source : dataset->sources) spdlog::info("data: {}", source);
  }
  return dataset;
}

// Nothing was done yet, so there is nothing to save or report. A thread may be stuck in the kernel.
[[noreturn]] void LeaveBeforeTheStart() {
  spdlog::info("stopped before the data were there");
  spdlog::shutdown();
  ::_exit(kPreempted);
}

int DataFailed(const PackSpec& spec, EventWriter* events, const absl::Status& status) {
  if (absl::IsCancelled(status)) LeaveBeforeTheStart();
  const bool memory = absl::IsResourceExhausted(status);
  return FailAll(spec, events, memory ? FailureKind::kOutOfMemory : FailureKind::kData,
                 status.message());
}

// Allocates the parameters and moments of the whole pack. A pack that is too wide fails here and
// not in a member's first step.
absl::StatusOr<std::unique_ptr<Engine>> MakeEngine(const EngineOptions& options,
                                                   const Dataset& dataset, EventWriter* events) {
  try {
    return Engine::Create(options, &dataset, events, Clock::Real(), &StopFlag());
  } catch (const std::exception& error) {
    if (!IsOutOfMemory(error)) throw;
    return absl::ResourceExhaustedError("out of memory for the pack's parameters");
  }
}

int Train(const Options& options) {
  const PackSpec& spec = options.spec;
  const absl::StatusOr<std::shared_ptr<Device>> device =
      SelectDevice(spec.device, spec.run.train.precision);
  if (!device.ok()) return Usage(device.status());
  std::optional<FileLock>
      lock;  // two trainers in one folder would take turns overwriting each other's files
  if (options.standalone) {
    const absl::Status made = MakeDirectories(options.out);
    if (!made.ok()) return Usage(made);
    absl::StatusOr<FileLock> acquired = FileLock::Acquire(JoinPath(options.out, ".lock"));
    if (!acquired.ok()) return Usage(acquired.status());
    lock.emplace(*std::move(acquired));
  }
  for (const settings::RunWarning& warning : RunWarnings(settings::FactsOf(ValuesOf(spec.run))))
    spdlog::warn("{} {}", warning.setting, warning.message);
  InstallSignalHandlers();
  PrepareComputeThread();
  EventWriter events(STDOUT_FILENO, [] { StopFlag().store(true); });
  EngineOptions engine_options{spec, MakeProvenance(spec, **device), options.standalone};
  engine_options.device = *device;

  const absl::StatusOr<Dataset> dataset = LoadData(DatasetOptionsOf(spec.run));
  if (!dataset.ok()) return DataFailed(spec, &events, dataset.status());
  absl::StatusOr<std::unique_ptr<Engine>> engine = MakeEngine(engine_options, *dataset, &events);
  if (!engine.ok()) {
    const bool memory = absl::IsResourceExhausted(engine.status());
    return FailAll(spec, &events, memory ? FailureKind::kOutOfMemory : FailureKind::kData,
                   engine.status().message());
  }
  const absl::Status restored = (*engine)->Restore();
  if (!restored.ok()) return Usage(restored);
  const Engine::Outcome outcome = (*engine)->Run();
  if (events.unwritten() != 0) return EventsUnwritten(events);
  if (outcome.preempted) return kPreempted;
  return outcome.failed ? kFailed : kDone;
}

int Measure(int argc, char** argv) {
  absl::StatusOr<std::optional<MeasureCommand>> parsed = ParseMeasureCommand(argc, argv);
  if (!parsed.ok()) return Usage(parsed.status());
  if (!parsed->has_value()) return kDone;
  const MeasureCommand& command = **parsed;
  const absl::Status logging = InitLogging("coppice-trainer", command.log_level);
  if (!logging.ok()) return Usage(logging);
  const absl::StatusOr<std::shared_ptr<Device>> device =
      SelectDevice(command.spec.device, command.spec.run.train.precision);
  if (!device.ok()) return Usage(device.status());
  InstallSignalHandlers();
  PrepareComputeThread();
  EventWriter events(STDOUT_FILENO, [] { StopFlag().store(true); });
  const int64_t threads = command.spec.threads;
  const MeasureOptions options{MeasuredRun(command.spec.run),
                               CandidateWidths(command.max_width, threads, (*device)->is_cpu()),
                               threads, command.limit, *device};
  const absl::StatusOr<Dataset> dataset = LoadData(DatasetOptionsOf(options.run));
  if (absl::IsCancelled(dataset.status())) LeaveBeforeTheStart();
  absl::Status measured = dataset.status();
  if (measured.ok()) {
    events.Measure(MakeProvenance(command.spec, **device), options.widths);
    measured = MeasureWidths(options, *dataset, &events, Clock::Real(), &StopFlag());
  }
  if (!measured.ok()) {
    std::cerr << "coppice-trainer: measure: " << measured.message() << "\n";
    return kFailed;
  }
  if (events.unwritten() != 0) return EventsUnwritten(events);
  return StopFlag().load() ? kPreempted : kDone;
}

int Data(int argc, char** argv) {
  const absl::StatusOr<std::optional<DataCommand>> command = ParseDataCommand(argc, argv);
  if (!command.ok()) return Usage(command.status());
  if (!command->has_value()) return kDone;
  const absl::Status written = WriteData(**command);
  if (written.ok()) return kDone;
  std::cerr << "coppice-trainer: " << written.message() << "\n";
  return absl::IsInvalidArgument(written) ? kUsage : kFailed;
}

int Devices(int argc, char** argv) {
  const absl::StatusOr<bool> wanted = ParseDevicesCommand(argc, argv);
  if (!wanted.ok()) return Usage(wanted.status());
  if (*wanted) std::cout << CudaReportJson(ReportCudaDevices(), LibTorchVersion()) << "\n";
  return kDone;
}

int Main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "devices") return Devices(argc - 1, argv + 1);
  if (argc > 1 && std::string(argv[1]) == "data") return Data(argc - 1, argv + 1);
  if (argc > 1 && std::string(argv[1]) == "measure") return Measure(argc - 1, argv + 1);
  std::string refused;
  absl::StatusOr<std::optional<Options>> options = ParseCommandLine(argc, argv, &refused);
  // For the reader of the events: every other trainer would also refuse this spec.
  if (!refused.empty()) EventWriter(STDOUT_FILENO, nullptr).Refused(refused);
  if (!options.ok()) return Usage(options.status());
  if (!options->has_value()) return kDone;
  const absl::Status logging = InitLogging("coppice-trainer", (*options)->log_level);
  if (!logging.ok()) return Usage(logging);
  return Train(**options);
}

}  // namespace
}  // namespace coppice::trainer

int main(int argc, char** argv) {
  coppice::StartProcess(coppice::BrokenPipe::kIsAnError);
  coppice::PrepareStandardStreams();
  coppice::SetCommit(coppice::kBuildCommit);
  try {
    return coppice::FinishStandardOutput("coppice-trainer", coppice::trainer::Main(argc, argv));
  } catch (const std::exception& error) {  // of a library at the start, e.g. a too large allocation
    std::cerr << "coppice-trainer: " << error.what() << "\n";
    return coppice::trainer::kFailed;
  }
}
