#include "worker/daemon/prepare_worker.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/logging.h"
#include "common/base/status_macros.h"
#include "common/base/user_folders.h"
#include "worker/daemon/cpus.h"
#include "worker/daemon/devices.h"
#include "worker/daemon/machine.h"
#include "worker/daemon/posix_launcher.h"
#include "worker/daemon/trainer_choice.h"
#include "worker/daemon/trainer_devices.h"

namespace coppice::worker {
namespace {

constexpr size_t kSuffixLength = 4;
constexpr char kWidthsFolder[] = "widths";
constexpr char kFormerStateFolder[] = "coppice-worker";
// At this width even the smallest model keeps a GPU busy.
constexpr uint32_t kWidestMeasured = 32;
// A trainer's libraries may come from a slow file server, and the first use of a GPU may take long.
constexpr absl::Duration kLongestAnswer = absl::Seconds(60);

std::string Counted(uint32_t count, const std::string& what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

// Sets slots, devices and threads, and says what they were derived from. Returns the device to ask
// the trainer for: it sees all GPUs then.
absl::StatusOr<DeviceSpec> PlanMachine(const WorkerOptions& options, const EnvironmentLookup& env,
                                       AgentConfig* config) {
  COPPICE_ASSIGN_OR_RETURN(const VisibleGpus gpus, FindGpus(env, options.allocation));
  COPPICE_ASSIGN_OR_RETURN(const SlotPlan plan, PlanSlots(gpus, options.device, options.slots));
  const UsableCpus cpus = CountCpus(env, options.allocation);
  config->slots = plan.slots;
  config->slot_devices = plan.devices;
  config->pack.device = DeviceSpecText(plan.device);
  config->pack.threads =
      options.threads > 0 ? options.threads : std::max(1u, cpus.count / plan.slots);
  spdlog::info("{}; {} a trainer ({})", plan.summary, Counted(config->pack.threads, "thread"),
               options.threads > 0
                   ? "--threads"
                   : absl::StrCat(Counted(cpus.count, "core"), " by ", cpus.source));
  if (!plan.warning.empty()) spdlog::warn("{}", plan.warning);
  return plan.device.kind == DeviceKind::kCpu ? plan.device : options.device;
}

// Sets the measurement for --pack auto. Nothing is measured if only one job at a time is possible.
void MeasureWidths(const std::string& state, bool gpu, AgentConfig* config) {
  // On a CPU a trainer's thread trains one job at a time.
  config->pack_width = gpu ? kWidestMeasured : std::min(config->pack.threads, kMaxPackWidth);
  if (config->pack_width == 1) {
    spdlog::info("packs have one job: a thread of a CPU trains one at a time");
    return;
  }
  PackWidthsConfig measure;
  measure.trainer = config->pack.trainer;
  measure.threads = config->pack.threads;
  measure.device = config->pack.device;
  measure.widest = config->pack_width;
  measure.machine = absl::StrCat(measure.device, " on ", DescribeMachine().name);
  measure.runs_dir = config->pack.runs_dir;
  measure.cache_dir = JoinPath(state, kWidthsFolder);
  config->measure = std::move(measure);
}

// The default name has a suffix that stays with the state folder, so that a restarted worker takes
// its own place.
absl::StatusOr<std::string> DefaultName(const std::string& state_dir) {
  const std::string file = JoinPath(state_dir, "name-suffix");
  auto suffix = ReadFile(file);
  if (absl::IsNotFound(suffix.status())) {
    suffix = RandomId().substr(0, kSuffixLength);
    COPPICE_RETURN_IF_ERROR(WriteFileAtomically(file, *suffix));
  }
  COPPICE_RETURN_IF_ERROR(suffix.status());
  return absl::StrCat(HostName(), "-", absl::StripAsciiWhitespace(*suffix));
}

absl::StatusOr<std::string> Absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error).lexically_normal();
  if (error) {
    return absl::InternalError(absl::StrCat("cannot resolve ", path, ": ", error.message()));
  }
  std::string text = absolute.string();
  while (text.size() > 1 && absl::EndsWith(text, "/")) text.pop_back();
  return text;
}

absl::StatusOr<std::string> StatePath(const WorkerOptions& options) {
  if (!options.state_dir.empty()) return Absolute(options.state_dir);
  if (!AllocationName(options.allocation).empty()) {
    COPPICE_ASSIGN_OR_RETURN(const std::string home, StateHome());
    return JoinPath(home, options.allocation.system);
  }
  if (FileExists(JoinPath(kFormerStateFolder, "spool"))) {
    spdlog::warn("earlier versions kept their state in ./{}; --state-dir {} goes on with it",
                 kFormerStateFolder, kFormerStateFolder);
  }
  return DefaultStateFolder();
}

// In an allocation --state-dir names the folder above, which its workers share.
absl::StatusOr<StateFolder> OpenState(const WorkerOptions& options, const Pause& pause) {
  COPPICE_ASSIGN_OR_RETURN(const std::string path, StatePath(options));
  if (AllocationName(options.allocation).empty()) return OpenStateFolder(path);
  return OpenAllocationState(path, options.allocation, pause);
}

absl::StatusOr<std::string> NameOf(const WorkerOptions& options, const StateFolder& state) {
  if (!options.name.empty()) return options.name;
  if (AllocationName(options.allocation).empty()) return DefaultName(state.path);
  return NameInAllocation(options.allocation, state);
}

// Asks the trainer about its devices, and waits for the answer.
absl::StatusOr<TrainerChoice> FindTrainer(const WorkerOptions& options, const DeviceSpec& device) {
  TrainerRequest request;
  if (!options.trainer.empty()) {
    COPPICE_ASSIGN_OR_RETURN(request.given, Absolute(options.trainer));
  }
  COPPICE_ASSIGN_OR_RETURN(request.folder, Absolute(FolderOfThisProgram()));
  request.device = device;
  request.gpu = DescribeMachine().gpu;
  COPPICE_ASSIGN_OR_RETURN(const std::unique_ptr<PosixLauncher> launcher, PosixLauncher::Create());
  return ChooseTrainer(request, [&launcher](const std::string& trainer) {
    return AskTrainer(launcher.get(), trainer, kLongestAnswer);
  });
}

absl::Status UseSharedFolder(const std::string& folder, AgentConfig* config) {
  COPPICE_ASSIGN_OR_RETURN(const std::string root, Absolute(folder));
  auto id = ReadFile(JoinPath(root, kStoreIdFile));
  if (!id.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        root, " is not a coordinator's checkpoint folder (", id.status().message(),
        "); give --checkpoint-dir the coordinator's folder as this machine sees it, or leave the "
        "flag out to send checkpoints over the network"));
  }
  if (::access(root.c_str(), W_OK | X_OK) != 0) {
    return absl::PermissionDeniedError(absl::StrCat("cannot write to checkpoint folder ", root));
  }
  config->store_id = std::string(absl::StripAsciiWhitespace(*id));
  config->pack.checkpoints = {root, true};
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PreparedWorker> PrepareWorker(const WorkerOptions& options,
                                             const EnvironmentLookup& env, const Pause& pause) {
  const absl::Duration started = Clock::Real()->Monotonic();
  COPPICE_ASSIGN_OR_RETURN(const Walltime walltime, WalltimeOf(options, Clock::Real()->Now()));
  COPPICE_ASSIGN_OR_RETURN(StateFolder folder, OpenState(options, pause));
  const std::string state = folder.path;
  AgentConfig config;
  config.spool_dir = JoinPath(state, "spool");
  config.pack.runs_dir = JoinPath(state, "runs");
  config.pack.logs_dir = JoinPath(state, "logs");
  RemoveOldFiles(folder);

  COPPICE_ASSIGN_OR_RETURN(const DeviceSpec device, PlanMachine(options, env, &config));
  COPPICE_ASSIGN_OR_RETURN(const TrainerChoice trainer, FindTrainer(options, device));
  config.pack.trainer = trainer.path;
  config.device = trainer.device;
  config.pack.checkpoints = {JoinPath(state, "scratch"), false, folder.scratch};
  if (!options.checkpoint_dir.empty()) {
    COPPICE_RETURN_IF_ERROR(UseSharedFolder(options.checkpoint_dir, &config));
  }
  COPPICE_ASSIGN_OR_RETURN(config.name, NameOf(options, folder));
  config.allocation = options.allocation;
  config.host = HostName();
  config.pack_width = options.pack;
  config.pack.grace = options.grace;
  config.pack.stop_grace = std::min(config.pack.stop_grace, options.grace);
  config.grace = options.grace;
  const IdleLimits limits = IdleLimitsOf(options);
  config.idle_exit = limits.idle_exit;
  config.first_idle_exit = limits.first_idle_exit;
  config.coordinator_timeout = limits.coordinator_timeout;
  // The lock and the trainer may have taken a while.
  config.walltime = walltime.total - (Clock::Real()->Monotonic() - started);
  config.walltime_margin = walltime.margin;
  if (options.pack == 0) MeasureWidths(state, trainer.gpu, &config);
  config.exit_when_drained = options.exit_when_drained;
  return PreparedWorker{std::move(folder), std::move(config)};
}

}  // namespace coppice::worker
