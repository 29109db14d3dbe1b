#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/limits.h"
#include "common/base/names.h"
#include "common/base/printable.h"
#include "coordinator/pools/pool.h"

namespace coppice::pools {
namespace {

constexpr size_t kMaxWordBytes = 200;
constexpr size_t kMaxPathBytes = 1000;
constexpr size_t kMaxFlags = 50;
constexpr int64_t kMinute = 60;
constexpr int64_t kYear = 366 * 86'400;

absl::Status Bad(absl::string_view flag, absl::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", rule));
}

// A word of Slurm's: it stands unquoted on a #SBATCH line.
absl::Status CheckWord(absl::string_view flag, absl::string_view word) {
  if (word.empty()) return absl::OkStatus();
  const auto allowed = [](unsigned char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("_-.,:;=+*/@&|[]()!%", c);
  };
  if (word.size() > kMaxWordBytes || word.front() == '-' ||
      !std::all_of(word.begin(), word.end(), allowed)) {
    return Bad(flag, absl::StrCat("at most ", kMaxWordBytes,
                                  " letters, digits and _-.,:;=+*/@&|[]()!%, no spaces, the first "
                                  "one not a '-'"));
  }
  return absl::OkStatus();
}

// A path stands in quotes on a #SBATCH line or in the script.
absl::Status CheckPath(absl::string_view flag, absl::string_view path, bool required) {
  if (path.empty()) {
    return required ? Bad(flag, "give an absolute path, as the nodes see it") : absl::OkStatus();
  }
  if (path.front() != '/' || path.size() > kMaxPathBytes) {
    return Bad(flag, absl::StrCat("give an absolute path of at most ", kMaxPathBytes, " bytes"));
  }
  if (!IsPrintable(path) || absl::StrContains(path, '"') || absl::StrContains(path, '\\') ||
      absl::StrContains(path, '%')) {
    return Bad(flag, "no control characters, quotes, backslashes or '%': sbatch reads them");
  }
  return absl::OkStatus();
}

absl::Status CheckRange(absl::string_view flag, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return Bad(flag, absl::StrCat("must be from ", low, " to ", high));
}

struct Owned {
  absl::string_view flag;
  absl::string_view instead;
};

absl::Status CheckFlag(absl::string_view option, absl::string_view flag,
                       std::initializer_list<Owned> owned) {
  if (flag.size() < 3 || !absl::StartsWith(flag, "--") || flag.size() > kMaxWordBytes) {
    return Bad(option, absl::StrCat("give a long flag with its value, such as --flag=value, not '",
                                    PrintableLine(flag.substr(0, 40)), "'"));
  }
  const absl::string_view name = flag.substr(0, flag.find('='));
  for (const Owned& entry : owned) {
    if (name == entry.flag) {
      return Bad(option, absl::StrCat(name, " is the pool's own; ", entry.instead));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSbatchFlag(absl::string_view flag) {
  const absl::Status status =
      CheckFlag("--sbatch-flag", flag,
                {{"--job-name", "it carries the pool's key"},
                 {"--comment", "it carries the pool's key"},
                 {"--parsable", "it is always set"},
                 {"--export", "put what the worker needs into --worker-flag"},
                 {"--export-file", "put what the worker needs into --worker-flag"},
                 {"--output", "use --log-dir"},
                 {"--error", "use --log-dir"},
                 {"--open-mode", "output is always appended"},
                 {"--array", "a pool submits one allocation at a time; use --max-workers"},
                 {"--nodes", "an allocation has one node; use --max-workers"},
                 {"--ntasks", "an allocation has one worker; use --max-workers"},
                 {"--wrap", "the pool writes the script"},
                 {"--wait", "the pool does not wait"},
                 {"--test-only", "use `coppice pool check`"},
                 {"--hold", "use `coppice pool pause`"},
                 {"--time", "use --walltime"},
                 {"--time-min", "use --time-min of the pool"},
                 {"--partition", "use --partition of the pool"},
                 {"--account", "use --account of the pool"},
                 {"--qos", "use --qos of the pool"},
                 {"--gres", "use --gres of the pool"},
                 {"--constraint", "use --constraint of the pool"},
                 {"--clusters", "use --cluster"},
                 {"--cluster", "use --cluster of the pool"},
                 {"--gpus", "use --gpus of the pool"},
                 {"--cpus-per-task", "use --cpus"},
                 {"--mem", "use --memory"},
                 {"--nice", "use --nice of the pool"},
                 {"--chdir", "the job runs in --log-dir"},
                 {"--gpus-per-node", "use --gpus of the pool"},
                 {"--signal", "the pool sets it from --grace"},
                 {"--requeue", "it is always set"},
                 {"--no-requeue", "a preempted worker must come back"}});
  if (!status.ok()) return status;
  const size_t equals = flag.find('=');
  if (absl::Status name = CheckWord("--sbatch-flag", flag.substr(2, equals - 2)); !name.ok()) {
    return name;
  }
  return equals == absl::string_view::npos ? absl::OkStatus()
                                           : CheckWord("--sbatch-flag", flag.substr(equals + 1));
}

absl::Status CheckWorkerFlag(absl::string_view flag) {
  if (!IsPrintable(flag)) return Bad("--worker-flag", "no control characters");
  return CheckFlag("--worker-flag", flag,
                   {{"--name", "each worker has its allocation's"},
                    {"--idle-exit", "use --idle-exit of the pool"},
                    {"--grace", "use --grace of the pool"},
                    {"--slots", "use --slots of the pool"},
                    {"--pack", "use --pack of the pool"},
                    {"--access", "use --access of the pool"},
                    {"--walltime", "the worker reads the end of its allocation from Slurm"},
                    {"--token", "a secret in an argument is seen by all; use --access"}});
}

absl::Status FirstError(std::initializer_list<absl::Status> statuses) {
  for (const absl::Status& status : statuses) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckNumbers(const PoolSpec& spec) {
  return FirstError({
      CheckRange("--gpus", spec.gpus, 0, 1024),
      CheckRange("--cpus", spec.cpus, 0, 65'536),
      CheckRange("--memory", static_cast<int64_t>(std::min<uint64_t>(spec.memory_mib, 1u << 31)), 0,
                 1 << 30),
      CheckRange("--max-workers", spec.max_workers, 1, 10'000),
      CheckRange("--backlog", spec.backlog, 1, 1000),
      CheckRange("--submits-a-minute", spec.submits_a_minute, 1, 600),
      CheckRange("--nice", spec.nice, -10'000, 2'147'483'645),
      CheckRange("--rank", spec.rank, 0, 1000),
      CheckRange("--wait-before", spec.wait_before_s, 0, kYear),
      CheckRange("--idle-exit", spec.idle_exit_s, 1, kYear),
      CheckRange("--grace", spec.grace_s, 1, 86'400),
      CheckRange("--slots", spec.slots, 0, kMaxSlots),
      CheckRange("--pack", spec.pack, 0, kMaxPackWidth),
  });
}

absl::Status CheckTimes(const PoolSpec& spec) {
  const int64_t least = spec.grace_s + kMinute;
  if (spec.max_walltime_s < least || spec.max_walltime_s > kYear) {
    return Bad("--walltime", absl::StrCat("must be from ", least,
                                          "s, which is --grace and a minute, to a year; it is the "
                                          "longest time for which the pool asks"));
  }
  if (spec.min_walltime_s != 0 &&
      (spec.min_walltime_s < least || spec.min_walltime_s > spec.max_walltime_s)) {
    return Bad("--min-walltime", absl::StrCat("must be from ", least, "s, which is --grace and a ",
                                              "minute, to --walltime"));
  }
  if (spec.time_min_s != 0 && (spec.time_min_s < least || spec.time_min_s > spec.max_walltime_s)) {
    return Bad("--time-min", absl::StrCat("must be from ", least,
                                          "s, which is --grace and a minute, to ", "--walltime"));
  }
  return absl::OkStatus();
}

absl::Status CheckBudget(const PoolSpec& spec) {
  for (const auto& [flag, hours] :
       {std::make_pair("--gpu-hours-a-day", spec.gpu_hours_a_day),
        std::make_pair("--gpu-hours-a-sweep", spec.gpu_hours_a_sweep)}) {
    if (!std::isfinite(hours) || hours < 0 || hours > 1e9) {
      return Bad(flag, "must be a number from 0, which is no limit");
    }
    if (hours > 0 && spec.gpus == 0) {
      return Bad(flag, "needs --gpus: without it the pool's allocations have none");
    }
  }
  if (spec.has_target && spec.target > spec.max_workers) {
    return Bad("--target", absl::StrCat("must be at most --max-workers, which is ",
                                        spec.max_workers, "; raise that first"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPoolSpec(const PoolSpec& spec) {
  if (!IsPlainName(spec.name, kMaxPoolNameBytes)) {
    return Bad("--name", absl::StrCat("1 to ", kMaxPoolNameBytes,
                                      " letters, digits, '.', '_' and '-', the first one a letter "
                                      "or a digit"));
  }
  absl::Status status = FirstError({
      CheckWord("--partition", spec.partition),
      CheckWord("--account", spec.account),
      CheckWord("--qos", spec.qos),
      CheckWord("--gres", spec.gres),
      CheckWord("--constraint", spec.constraint),
      CheckWord("--cluster", spec.cluster),
      CheckNumbers(spec),
      CheckTimes(spec),
      CheckBudget(spec),
      CheckPath("--worker", spec.worker, true),
      CheckPath("--access", spec.access_file, false),
      CheckPath("--log-dir", spec.log_dir, true),
  });
  if (!status.ok()) return status;
  if (spec.sbatch_flags.size() > kMaxFlags || spec.worker_flags.size() > kMaxFlags) {
    return Bad("--sbatch-flag and --worker-flag", absl::StrCat("at most ", kMaxFlags, " each"));
  }
  for (const std::string& flag : spec.sbatch_flags) {
    if (status = CheckSbatchFlag(flag); !status.ok()) return status;
  }
  for (const std::string& flag : spec.worker_flags) {
    if (status = CheckWorkerFlag(flag); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace coppice::pools
