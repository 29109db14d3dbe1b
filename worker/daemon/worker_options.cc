#include "worker/daemon/worker_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/build_info.h"
#include "common/base/limits.h"
#include "common/base/printable.h"
#include "common/base/usage.h"

namespace coppice::worker {
namespace {

constexpr absl::Duration kShortestGrace = absl::Seconds(1);
constexpr absl::Duration kLongestGrace = absl::Hours(24);
constexpr absl::Duration kSlurmIdleExit = absl::Minutes(5);
constexpr absl::Duration kSlurmCoordinatorTimeout = absl::Minutes(30);
// A pool's allocation that came too late for the work is given back sooner.
constexpr absl::Duration kFirstIdleExit = absl::Seconds(30);
// Added to the grace period: a lease that is given back before its trainer runs is useless.
constexpr absl::Duration kUsefulWork = absl::Seconds(60);

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

// Adds --device: a kind, or one of the visible GPUs.
void AddDevice(CLI::App* app, DeviceSpec* value) {
  app->add_option_function<std::string>(
         "--device",
         [value](const std::string& text) {
           const auto device = DeviceSpecFromText(text);
           if (!device) {
             throw CLI::ValidationError(
                 "--device",
                 "must be auto, cpu, cuda or cuda:N (the N-th visible GPU, from 0), not " +
                     PrintableLine(text));
           }
           *value = *device;
         },
         "where trainers compute; cuda:N: all slots on the N-th visible GPU, from 0")
      ->type_name("auto|cpu|cuda|cuda:N")
      ->default_str(DeviceSpecText(*value));
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
      "with exit code 79 (default: the host's name and a suffix, or CLUSTER-JOB-TASK in a Slurm "
      "job)");
  app.add_option("--slots", options.slots,
                 "trainers at the same time (default: one for each visible GPU; one without)")
      ->check(CLI::Range(1u, kMaxSlots));
  AddPack(&app, &options.pack);
  app.add_option("--threads", options.threads,
                 "threads of each trainer (default: usable cores / slots)")
      ->check(CLI::Range(1, 1024));
  app.add_option(
         "--state-dir", options.state_dir,
         "spool, run specs, logs, measured pack widths; a new or empty folder, or one that a "
         "worker made; in a Slurm job the folder above those of its workers (default: "
         "coppice/worker-HOST, or coppice/slurm, in XDG_STATE_HOME, ~/.local/state)")
      ->type_name("DIR");
  app.add_option("--checkpoint-dir", options.checkpoint_dir,
                 "the coordinator's checkpoint folder, where this machine sees it (default: "
                 "checkpoints go over the network)")
      ->type_name("DIR");
  app.add_option("--trainer", options.trainer,
                 "the trainer program (default: beside this one, where there is a GPU to use "
                 "coppice-trainer-cuda, else coppice-trainer)")
      ->type_name("PATH");
  AddDevice(&app, &options.device);
  app.add_flag("--programs", options.programs,
               "also run programs of the users' own: whoever may submit sweeps then runs commands "
               "on this machine, as this account");
  AddDuration(&app, "--grace", &options.grace,
              "from SIGTERM to the exit, for checkpoints (default: 25s)", kShortestGrace,
              kLongestGrace);
  AddDuration(&app, "--walltime", &options.walltime,
              "how long this machine is ours: the worker gives everything back before (default: "
              "until SLURM_JOB_END_TIME where that is set, else for ever; inf: for ever)");
  AddDuration(&app, "--walltime-margin", &options.walltime_margin,
              "take no new work in so much of the walltime's end (default, and at least: the grace "
              "period and a minute)");
  AddDuration(
      &app, "--idle-exit", &options.idle_exit,
      "exit when there was no work for so long; inf: stay (default: 5m in a Slurm job, else "
      "stay)");
  AddDuration(&app, "--coordinator-timeout", &options.coordinator_timeout,
              "save and exit when the coordinator cannot be reached for so long, and after "
              "--idle-exit when there is nothing to do; inf: never (default: 30m in a Slurm job, "
              "else never)");
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
  options.allocation = ReadAllocation([](const char* name) { return std::getenv(name); });
  return options;
}

IdleLimits IdleLimitsOf(const WorkerOptions& options) {
  IdleLimits limits;
  const bool slurm = options.allocation.system == "slurm";
  if (slurm) {
    limits.idle_exit = kSlurmIdleExit;
    limits.coordinator_timeout = kSlurmCoordinatorTimeout;
  }
  if (options.idle_exit > absl::ZeroDuration()) limits.idle_exit = options.idle_exit;
  if (options.coordinator_timeout > absl::ZeroDuration())
    limits.coordinator_timeout = options.coordinator_timeout;
  if (slurm && !options.allocation.pool_key.empty()) limits.first_idle_exit = kFirstIdleExit;
  return limits;
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

}  // namespace coppice::worker
