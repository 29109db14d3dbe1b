#include "worker/daemon/worker_options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/build_info.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/logging.h"
#include "common/base/status_macros.h"
#include "common/base/usage.h"
#include "worker/daemon/machine.h"
#include "worker/daemon/posix_launcher.h"
#include "worker/daemon/state_folder.h"
#include "worker/daemon/trainer_choice.h"
#include "worker/daemon/trainer_devices.h"

namespace coppice::worker {
namespace {

constexpr size_t kSuffixLength = 4;
constexpr char kWidthsFolder[] = "widths";
constexpr char kFormerStateFolder[] = "coppice-worker";
// At this width even the smallest model keeps a GPU busy.
constexpr uint32_t kWidestMeasured = 32;
constexpr absl::Duration kShortestGrace = absl::Seconds(1);
constexpr absl::Duration kLongestGrace = absl::Hours(24);
// Added to the grace period: a lease that is given back before its trainer runs is useless.
constexpr absl::Duration kUsefulWork = absl::Seconds(60);
// A trainer's libraries may come from a slow file server, and the first use of a GPU may take long.
constexpr absl::Duration kLongestAnswer = absl::Seconds(60);

// Adds a flag that takes "90s", "5m", "1h30m".
void AddDuration(CLI::App* app, const std::string& name, absl::Duration* value,
                 const std::string& help, absl::Duration shortest = absl::ZeroDuration(),
                 absl::Duration longest = absl::InfiniteDuration()) {
  app->add_option_function<std::string>(
         name,
         [name, value, shortest, longest](const std::string& text) {
           if (!absl::ParseDuration(text, value) || *value <= absl::ZeroDuration()) {
             throw CLI::ValidationError(name,
                                        "'" + text + "' is not a duration, for example 90s or 5m");
           }
           if (*value < shortest || *value > longest) {
             throw CLI::ValidationError(
                 name, absl::StrCat("must be from ", absl::FormatDuration(shortest), " to ",
                                    absl::FormatDuration(longest), ", not ", text));
           }
         },
         help)
      ->type_name("DURATION");
}

// Adds --pack: "auto" or a number.
void AddPack(CLI::App* app, uint32_t* value) {
  app->add_option_function<std::string>(
         "--pack",
         [value](const std::string& text) {
           *value = 0;
           if (text == "auto") return;
           if (!absl::SimpleAtoi(text, value) || *value < 1 || *value > kMaxPackWidth) {
             throw CLI::ValidationError("--pack", absl::StrCat("must be auto or from 1 to ",
                                                               kMaxPackWidth, ", not ", text));
           }
         },
         "jobs that differ only in seed which one trainer takes at most; auto: as many as train "
         "fastest here, measured for a few seconds when a task, depth or model is new")
      ->type_name("auto|N")
      ->default_str("auto");
}

// Sets the measurement for --pack auto. Nothing is measured if only one job at a time is possible.
void MeasureWidths(const WorkerOptions& options, const std::string& state, bool gpu,
                   AgentConfig* config) {
  // On a CPU a trainer's thread trains one job at a time.
  config->pack_width = gpu ? kWidestMeasured : std::min(config->pack.threads, kMaxPackWidth);
  if (config->pack_width == 1) {
    spdlog::info("packs have one job: a thread of a CPU trains one at a time");
    return;
  }
  PackWidthsConfig measure;
  measure.trainer = config->pack.trainer;
  measure.threads = config->pack.threads;
  measure.device = DeviceSpecText(options.device);
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
  if (FileExists(JoinPath(kFormerStateFolder, "spool"))) {
    spdlog::warn("earlier versions kept their state in ./{}; --state-dir {} goes on with it",
                 kFormerStateFolder, kFormerStateFolder);
  }
  return DefaultStateFolder();
}

// Asks the trainer about its devices, and waits for the answer.
absl::StatusOr<TrainerChoice> FindTrainer(const WorkerOptions& options) {
  TrainerRequest request;
  if (!options.trainer.empty()) {
    COPPICE_ASSIGN_OR_RETURN(request.given, Absolute(options.trainer));
  }
  COPPICE_ASSIGN_OR_RETURN(request.folder, Absolute(FolderOfThisProgram()));
  request.device = options.device;
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

std::optional<WorkerOptions> ParseWorkerOptions(int argc, const char* const* argv, int* exit_code) {
  WorkerOptions options;
  CLI::App app(
      "Coppice's worker daemon: takes leases from a coordinator and runs a trainer in each "
      "of its slots.",
      "coppice-worker");
  app.set_version_flag("--version", ProgramVersion("coppice-worker"));
  rpc::AddAccessFlags(&app, &options.access);
  app.add_option(
      "--name", options.name,
      "unique among workers: a newer one takes the name from an older one, which then ends "
      "with exit code 79 (default: the host's name and a suffix)");
  app.add_option("--slots", options.slots, "trainers at the same time")
      ->check(CLI::Range(1u, kMaxSlots))
      ->capture_default_str();
  AddPack(&app, &options.pack);
  app.add_option("--threads", options.threads, "threads of each trainer (default: cores / slots)")
      ->check(CLI::Range(1, 1024));
  app.add_option(
         "--state-dir", options.state_dir,
         "spool, run specs, logs, measured pack widths; a new or empty folder, or one that a "
         "worker made (default: coppice/worker-HOST in XDG_STATE_HOME, ~/.local/state)")
      ->type_name("DIR");
  app.add_option("--checkpoint-dir", options.checkpoint_dir,
                 "the coordinator's checkpoint folder, where this machine sees it (default: "
                 "checkpoints go over the network)")
      ->type_name("DIR");
  app.add_option("--trainer", options.trainer,
                 "the trainer program (default: beside this one, where there is a GPU to use "
                 "coppice-trainer-cuda, else coppice-trainer)")
      ->type_name("PATH");
  app.add_option_function<std::string>(
         "--device",
         [&options](const std::string& text) { options.device = *DeviceSpecFromText(text); },
         "where trainers compute")
      ->check(CLI::IsMember(DeviceKindTexts()))
      ->default_str(DeviceSpecText(options.device));
  AddDuration(&app, "--grace", &options.grace,
              "from SIGTERM to the exit, for checkpoints (default: 25s)", kShortestGrace,
              kLongestGrace);
  AddDuration(&app, "--walltime", &options.walltime,
              "how long this machine is ours: the worker gives everything back before (default: "
              "until SLURM_JOB_END_TIME where that is set, else for ever; inf: for ever)");
  AddDuration(&app, "--walltime-margin", &options.walltime_margin,
              "take no new work in so much of the walltime's end (default, and at least: the grace "
              "period and a minute)");
  AddDuration(&app, "--idle-exit", &options.idle_exit,
              "exit when there was no work for so long (default: stay)");
  app.add_flag("--exit-when-drained", options.exit_when_drained,
               "exit when the coordinator drains this worker and nothing runs any more");
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    *exit_code = app.exit(error) == 0 ? 0 : 2;
    const std::string advice = *exit_code == 0 ? "" : UsageAdvice(app, {argv + 1, argv + argc});
    if (!advice.empty()) std::cerr << "coppice-worker" << advice << "\n";
    return std::nullopt;
  }
  if (const char* end = std::getenv("SLURM_JOB_END_TIME")) options.slurm_job_end_time = end;
  return options;
}

absl::StatusOr<Walltime> WalltimeOf(const WorkerOptions& options, absl::Time now) {
  Walltime walltime;
  walltime.margin = std::max(options.grace + kUsefulWork, options.walltime_margin);
  const bool by_flag = options.walltime > absl::ZeroDuration();
  if (by_flag) {
    walltime.total = options.walltime;
  } else if (!options.slurm_job_end_time.empty()) {
    int64_t end = 0;
    if (!absl::SimpleAtoi(options.slurm_job_end_time, &end) || end <= 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("SLURM_JOB_END_TIME is '", options.slurm_job_end_time,
                       "', not a time in Unix seconds; unset it, or give --walltime DURATION"));
    }
    walltime.total = absl::FromUnixSeconds(end) - now;
  }
  if (walltime.total > walltime.margin) return walltime;
  const std::string margin =
      absl::StrCat("no work is taken in the last ", absl::FormatDuration(walltime.margin),
                   " (--grace and a minute, or --walltime-margin)");
  if (by_flag) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--walltime ", absl::FormatDuration(walltime.total), " leaves no time for work: ", margin,
        "; give more, or shorten --grace or --walltime-margin"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the Slurm job ends in ", absl::FormatDuration(absl::Trunc(walltime.total, absl::Seconds(1))),
      " (SLURM_JOB_END_TIME), and ", margin,
      "; ask Slurm for more time, or give --walltime DURATION when the variable is wrong"));
}

absl::StatusOr<PreparedWorker> PrepareWorker(const WorkerOptions& options) {
  COPPICE_ASSIGN_OR_RETURN(const Walltime walltime, WalltimeOf(options, Clock::Real()->Now()));
  COPPICE_ASSIGN_OR_RETURN(const std::string state, StatePath(options));
  AgentConfig config;
  config.spool_dir = JoinPath(state, "spool");
  config.pack.runs_dir = JoinPath(state, "runs");
  config.pack.logs_dir = JoinPath(state, "logs");
  COPPICE_ASSIGN_OR_RETURN(StateFolder folder, OpenStateFolder(state));
  RemoveOldFiles(folder);

  COPPICE_ASSIGN_OR_RETURN(const TrainerChoice trainer, FindTrainer(options));
  config.pack.trainer = trainer.path;
  config.pack.checkpoints = {JoinPath(state, "scratch"), false, folder.scratch};
  if (!options.checkpoint_dir.empty()) {
    COPPICE_RETURN_IF_ERROR(UseSharedFolder(options.checkpoint_dir, &config));
  }
  config.name = options.name;
  if (config.name.empty()) {
    COPPICE_ASSIGN_OR_RETURN(config.name, DefaultName(state));
  }
  config.host = HostName();
  config.device = trainer.device;
  config.slots = options.slots;
  config.pack_width = options.pack;
  const uint32_t cores = std::max(1u, std::thread::hardware_concurrency());
  config.pack.threads = options.threads > 0 ? options.threads : std::max(1u, cores / options.slots);
  config.pack.device = DeviceSpecText(options.device);
  config.pack.grace = options.grace;
  config.pack.stop_grace = std::min(config.pack.stop_grace, options.grace);
  config.grace = options.grace;
  config.idle_exit = options.idle_exit;
  config.walltime = walltime.total;
  config.walltime_margin = walltime.margin;
  if (options.pack == 0) MeasureWidths(options, state, trainer.gpu, &config);
  config.exit_when_drained = options.exit_when_drained;
  return PreparedWorker{std::move(folder), std::move(config)};
}

}  // namespace coppice::worker
