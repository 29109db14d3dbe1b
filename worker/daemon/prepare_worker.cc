#include "worker/daemon/prepare_worker.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
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
#include "worker/daemon/allocation_state.h"
#include "worker/daemon/cpus.h"
#include "worker/daemon/devices.h"
#include "worker/daemon/ended_allocations.h"
#include "worker/daemon/exit_code.h"
#include "worker/daemon/machine.h"
#include "worker/daemon/shared_widths.h"
#include "worker/daemon/trainer_choice.h"
#include "worker/daemon/trainer_devices.h"
#include "worker/program/leftovers.h"
#include "worker/program/posix_launcher.h"
#include "worker/program/program.h"

namespace coppice::worker {
namespace {

constexpr size_t kSuffixLength = 4;
constexpr char kWidthsFolder[] = "widths";
constexpr char kFormerStateFolder[] = "coppice-worker";
// At this width even the smallest model keeps a GPU busy.
constexpr uint32_t kWidestMeasured = 32;
// A trainer's libraries may come from a slow file server, and the first use of a GPU may take long.
constexpr absl::Duration kLongestAnswer = absl::Seconds(60);

// A start on a slow file server does not wait longer for the removal of old folders.
constexpr absl::Duration kLongestRemoval = absl::Seconds(5);

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
  config->pack.has_gpu =
      plan.device.kind != DeviceKind::kCpu && (!plan.devices.empty() || DescribeMachine().gpu);
  config->pack.threads =
      options.threads > 0 ? options.threads : std::max(1u, cpus.count / plan.slots);
  spdlog::info("{}; {} a trainer ({})", plan.summary, Counted(config->pack.threads, "thread"),
               options.threads > 0
                   ? "--threads"
                   : absl::StrCat(Counted(cpus.count, "core"), " by ", cpus.source));
  if (!plan.warning.empty()) spdlog::warn("{}", plan.warning);
  return plan.device.kind == DeviceKind::kCpu ? plan.device : options.device;
}

// The part of the widths' key that is about the machine. An allocation gets other GPUs of the same
// kind each time, so their names count where the trainer says them, and not their numbers.
std::string MachineFor(const TrainerChoice& trainer) {
  const Machine machine = DescribeMachine();
  if (trainer.gpu_names.empty()) return machine.name;
  return absl::StrCat(machine.processor, ", ", trainer.gpu_names);
}

// The folder of measured widths. The allocations below one folder share them.
std::string WidthsFolder(const WorkerOptions& options, const std::string& root,
                         const std::string& state) {
  const std::string own = JoinPath(state, kWidthsFolder);
  if (AllocationName(options.allocation).empty()) return own;
  const auto shared = OpenSharedWidths(root);
  if (shared.ok()) return *shared;
  spdlog::warn("{}; pack widths that are measured are kept for this allocation alone",
               std::string(shared.status().message()));
  return own;
}

// Sets the measurement for --pack auto. Nothing is measured if only one job at a time is possible.
void MeasureWidths(const std::string& widths, const TrainerChoice& trainer, AgentConfig* config) {
  // On a CPU a trainer's thread trains one job at a time.
  config->pack_width =
      trainer.gpu ? kWidestMeasured : std::min(config->pack.threads, kMaxPackWidth);
  if (config->pack_width == 1) {
    spdlog::info("packs have one job: a thread of a CPU trains one at a time");
    return;
  }
  PackWidthsConfig measure;
  measure.trainer = config->pack.trainer;
  measure.threads = config->pack.threads;
  measure.device = config->pack.device;
  measure.widest = config->pack_width;
  measure.machine = absl::StrCat(measure.device, " on ", MachineFor(trainer));
  measure.runs_dir = config->pack.runs_dir;
  measure.cache_dir = widths;
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
absl::StatusOr<StateFolder> OpenState(const WorkerOptions& options, const std::string& path,
                                      const EndRequest& end) {
  if (AllocationName(options.allocation).empty()) return OpenStateFolder(path);
  return OpenAllocationState(path, options.allocation,
                             [&end](absl::Duration time) { return end.Wait(time); });
}

// True if one of the numbers in the name is `number`: the user gave each task a name of its own.
bool HasNumber(absl::string_view name, absl::string_view number) {
  for (size_t at = 0; (at = name.find(number, at)) != absl::string_view::npos; ++at) {
    const absl::string_view rest = name.substr(at + number.size());
    const bool begins = at == 0 || !absl::ascii_isdigit(static_cast<unsigned char>(name[at - 1]));
    if (begins && (rest.empty() || !absl::ascii_isdigit(static_cast<unsigned char>(rest[0])))) {
      return true;
    }
  }
  return false;
}

// A worker supersedes an older one of its name. So the tasks of an array, or of a step, that were
// given one name would end each other.
void WarnAboutSharedName(const WorkerOptions& options, const EnvironmentLookup& env) {
  const Allocation& allocation = options.allocation;
  if (options.name.empty() || AllocationName(allocation).empty()) return;
  const auto value = [&env](const char* name) {
    const char* text = env(name);
    return absl::string_view(text == nullptr ? "" : text);
  };
  const absl::string_view array_task = value("SLURM_ARRAY_TASK_ID");
  const bool array = !array_task.empty() && value("SLURM_ARRAY_TASK_COUNT") != "1" &&
                     !HasNumber(options.name, array_task);
  const absl::string_view step_tasks = value("SLURM_STEP_NUM_TASKS");
  const bool step = InSlurmStep(env) && !step_tasks.empty() && step_tasks != "1" &&
                    !HasNumber(options.name, absl::StrCat(allocation.proc_id));
  if (!array && !step) return;
  const char* part = array ? "SLURM_ARRAY_TASK_ID" : "SLURM_PROCID";
  spdlog::warn(
      "--name {} is the same for every task of this {}: the newest worker of a name ends the "
      "others "
      "(exit code {}). Leave --name out, and each task has a name of its own, here {}; or add the "
      "task's number: --name {}-${}",
      options.name, array ? "job array" : "job step", kExitSuperseded, AllocationName(allocation),
      options.name, part);
}

absl::StatusOr<std::string> NameOf(const WorkerOptions& options, const StateFolder& state) {
  if (!options.name.empty()) return options.name;
  if (AllocationName(options.allocation).empty()) return DefaultName(state.path);
  return NameInAllocation(options.allocation, state);
}

// Asks the trainer about its devices, and waits for the answer.
absl::StatusOr<TrainerChoice> FindTrainer(const WorkerOptions& options, const DeviceSpec& device,
                                          ProcessLauncher* launcher, const EndRequest& end) {
  TrainerRequest request;
  if (!options.trainer.empty()) {
    COPPICE_ASSIGN_OR_RETURN(request.given, Absolute(options.trainer));
  }
  COPPICE_ASSIGN_OR_RETURN(request.folder, Absolute(FolderOfThisProgram()));
  request.device = device;
  request.gpu = DescribeMachine().gpu;
  return ChooseTrainer(request, [&](const std::string& trainer) {
    return AskTrainer(launcher, trainer, kLongestAnswer, end);
  });
}

// A worker that is killed takes the programs' own processes with it, but not what they started. The
// lock on the state folder says that its user is this process.
void EndFormerPrograms(const std::string& runs_dir) {
  const size_t killed = KillMarkedPrefix(absl::StrCat(kRunSpecVariable, "=", runs_dir, "/"));
  if (killed > 0) {
    spdlog::warn("killed {} processes of programs that an earlier worker had started", killed);
  }
}

}  // namespace

absl::StatusOr<TrainerChoice> PlanTrainer(const WorkerOptions& options,
                                          const EnvironmentLookup& env, ProcessLauncher* launcher,
                                          const EndRequest& end, AgentConfig* config) {
  COPPICE_ASSIGN_OR_RETURN(const DeviceSpec device, PlanMachine(options, env, config));
  COPPICE_ASSIGN_OR_RETURN(TrainerChoice trainer, FindTrainer(options, device, launcher, end));
  config->pack.trainer = trainer.path;
  config->device = trainer.device;
  return trainer;
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

absl::StatusOr<PreparedWorker> PrepareWorker(const WorkerOptions& options,
                                             const EnvironmentLookup& env,
                                             ProcessLauncher* launcher, const EndRequest& end) {
  const absl::Duration started = Clock::Real()->Monotonic();
  COPPICE_ASSIGN_OR_RETURN(const Walltime walltime, WalltimeOf(options, Clock::Real()->Now()));
  COPPICE_ASSIGN_OR_RETURN(const std::string path, StatePath(options));
  COPPICE_ASSIGN_OR_RETURN(StateFolder folder, OpenState(options, path, end));
  const std::string state = folder.path;
  AgentConfig config;
  config.spool_dir = JoinPath(state, "spool");
  config.pack.runs_dir = JoinPath(state, "runs");
  config.pack.logs_dir = JoinPath(state, "logs");
  RemoveOldFiles(folder);
  if (!AllocationName(options.allocation).empty()) {
    const absl::Duration until = Clock::Real()->Monotonic() + kLongestRemoval;
    RemoveEndedAllocations(path, Clock::Real()->Now(),
                           [&] { return end.made() || Clock::Real()->Monotonic() > until; });
  }

  COPPICE_ASSIGN_OR_RETURN(const TrainerChoice trainer,
                           PlanTrainer(options, env, launcher, end, &config));
  config.pack.checkpoints = {JoinPath(state, "scratch"), false, folder.scratch};
  if (!options.checkpoint_dir.empty()) {
    COPPICE_RETURN_IF_ERROR(UseSharedFolder(options.checkpoint_dir, &config));
  }
  COPPICE_ASSIGN_OR_RETURN(config.name, NameOf(options, folder));
  WarnAboutSharedName(options, env);
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
  if (options.pack == 0) MeasureWidths(WidthsFolder(options, path, state), trainer, &config);
  config.exit_when_drained = options.exit_when_drained;
  config.programs = options.programs;
  EndFormerPrograms(config.pack.runs_dir);
  return PreparedWorker{std::move(folder), std::move(config)};
}

}  // namespace coppice::worker
