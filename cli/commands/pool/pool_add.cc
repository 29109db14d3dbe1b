#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <ostream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/commands/pool/pool.h"
#include "cli/json.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/base/user_folders.h"

namespace coppice::cli {
namespace {

// Times and sizes as people write them; the rest goes to the message as it is.
struct AddOptions {
  std::string name, partition, account, qos, gres, constraint, cluster;
  std::string worker, access_file, log_dir;
  uint32_t gpus = 0, cpus = 0, max_workers = 1, backlog = 2, submits_a_minute = 10;
  uint32_t rank = 0, slots = 0, pack = 0;
  int32_t nice = 0;
  double gpu_hours_a_day = 0, gpu_hours_a_sweep = 0;
  std::string memory;
  std::string walltime, min_walltime, time_min, wait_before = "0s";
  std::string idle_exit = "5m", grace = "25s";
  std::vector<std::string> worker_flags, sbatch_flags;
  bool replace = false;
  bool dry_run = false;
  bool watch_only = false;
};

absl::StatusOr<int64_t> Seconds(const std::string& flag, const std::string& text) {
  absl::Duration duration;
  if (text.empty()) return 0;
  if (absl::ParseDuration(text, &duration) && duration >= absl::ZeroDuration() &&
      duration < absl::Hours(24 * 3660)) {
    return absl::ToInt64Seconds(duration);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " '", text, "' is not a time; write for example 90s, 30m or 4h"));
}

absl::StatusOr<uint64_t> Mebibytes(const std::string& text) {
  if (text.empty()) return 0;
  uint64_t factor = 1;
  std::string digits = text;
  if (absl::EndsWith(text, "G") || absl::EndsWith(text, "M")) {
    factor = absl::EndsWith(text, "G") ? 1024 : 1;
    digits.pop_back();
  }
  uint32_t number = 0;
  if (absl::SimpleAtoi(digits, &number)) return number * factor;
  return absl::InvalidArgumentError(
      absl::StrCat("--memory '", text, "' is not a size; write for example 16G or 800M"));
}

// The coppice-worker beside this program; empty: there is none.
std::string WorkerBesideThis() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return "";
  const std::filesystem::path worker = self.parent_path() / "coppice-worker";
  return std::filesystem::exists(worker, error) ? worker.string() : "";
}

absl::Status FillPaths(const AddOptions& options, v1::PoolSpec* spec) {
  spec->set_worker(options.worker.empty() ? WorkerBesideThis() : options.worker);
  if (spec->worker().empty()) {
    return absl::InvalidArgumentError(
        "there is no coppice-worker beside this program; name the one on the nodes with --worker "
        "PATH");
  }
  spec->set_access_file(options.access_file);
  if (!options.log_dir.empty()) {
    spec->set_log_dir(options.log_dir);
    return absl::OkStatus();
  }
  COPPICE_ASSIGN_OR_RETURN(const std::string home, StateHome());
  spec->set_log_dir(JoinPath(JoinPath(home, "pools"), options.name));
  return absl::OkStatus();
}

absl::StatusOr<v1::PoolSpec> MakeSpec(const AddOptions& options) {
  v1::PoolSpec spec;
  spec.set_name(options.name);
  spec.set_partition(options.partition);
  spec.set_account(options.account);
  spec.set_qos(options.qos);
  spec.set_gres(options.gres);
  spec.set_constraint(options.constraint);
  spec.set_cluster(options.cluster);
  spec.set_gpus(options.gpus);
  spec.set_cpus(options.cpus);
  spec.set_max_workers(options.max_workers);
  spec.set_backlog(options.backlog);
  spec.set_submits_a_minute(options.submits_a_minute);
  spec.set_rank(options.rank);
  spec.set_slots(options.slots);
  spec.set_pack(options.pack);
  spec.set_nice(options.nice);
  spec.set_watch_only(options.watch_only);
  spec.set_gpu_hours_a_day(options.gpu_hours_a_day);
  spec.set_gpu_hours_a_sweep(options.gpu_hours_a_sweep);
  COPPICE_ASSIGN_OR_RETURN(const uint64_t memory, Mebibytes(options.memory));
  COPPICE_ASSIGN_OR_RETURN(const int64_t walltime, Seconds("--walltime", options.walltime));
  COPPICE_ASSIGN_OR_RETURN(const int64_t least, Seconds("--min-walltime", options.min_walltime));
  COPPICE_ASSIGN_OR_RETURN(const int64_t time_min, Seconds("--time-min", options.time_min));
  COPPICE_ASSIGN_OR_RETURN(const int64_t wait, Seconds("--wait-before", options.wait_before));
  COPPICE_ASSIGN_OR_RETURN(const int64_t idle, Seconds("--idle-exit", options.idle_exit));
  COPPICE_ASSIGN_OR_RETURN(const int64_t grace, Seconds("--grace", options.grace));
  spec.set_memory_mib(memory);
  spec.set_max_walltime_s(walltime);
  spec.set_min_walltime_s(least);
  spec.set_time_min_s(time_min);
  spec.set_wait_before_s(wait);
  spec.set_idle_exit_s(idle);
  spec.set_grace_s(grace);
  for (const std::string& flag : options.worker_flags) spec.add_worker_flags(flag);
  for (const std::string& flag : options.sbatch_flags) spec.add_sbatch_flags(flag);
  COPPICE_RETURN_IF_ERROR(FillPaths(options, &spec));
  return spec;
}

absl::StatusOr<int> Add(const AddOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(const v1::PoolSpec spec, MakeSpec(options));
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  if (options.dry_run) {
    v1::CheckPoolRequest request;
    *request.mutable_spec() = spec;
    COPPICE_ASSIGN_OR_RETURN(const v1::CheckPoolResponse check, client->CheckPool(request));
    return PrintPoolCheck(check, context);
  }
  v1::AddPoolRequest request;
  *request.mutable_spec() = spec;
  request.set_replace(options.replace);
  COPPICE_RETURN_IF_ERROR(client->AddPool(request).status());
  if (context->json) {
    context->out << ToJson(spec);
    return kExitDone;
  }
  if (spec.watch_only()) {
    context->out << spec.name() << " only watches: `coppice pool show " << spec.name()
                 << "` and the coordinator's log say what it would do\n";
    return kExitDone;
  }
  context->out << spec.name() << (options.replace ? " has these settings now" : " is added")
               << ": it asks for up to " << spec.max_workers()
               << (spec.max_workers() == 1 ? " worker" : " workers")
               << " while work waits; `coppice "
               << "pool check " << spec.name() << "` tests it, `coppice pool show " << spec.name()
               << "` says what it does\n";
  return kExitDone;
}

void AddBatchFlags(CLI::App* command, AddOptions* options) {
  command->add_option("--partition", options->partition, "As for sbatch, like the next five");
  command->add_option("--account", options->account, "");
  command->add_option("--qos", options->qos, "");
  command->add_option("--gres", options->gres, "");
  command->add_option("--constraint", options->constraint, "");
  command->add_option("--cluster", options->cluster, "The cluster of a federation");
  command->add_option("--gpus", options->gpus, "GPUs of an allocation, which is one node's share");
  command->add_option("--cpus", options->cpus, "CPUs of an allocation");
  command->add_option("--memory", options->memory, "Memory of an allocation, for example 16G");
  command->add_option("--nice", options->nice, "As for sbatch: a higher number waits longer");
  command->add_option("--sbatch-flag", options->sbatch_flags,
                      "Another flag for sbatch, as --sbatch-flag=--exclusive; may be repeated");
}

void AddLimitFlags(CLI::App* command, AddOptions* options) {
  command->add_option("--walltime", options->walltime, "The longest allocation, for example 4h")
      ->required();
  command->add_option("--min-walltime", options->min_walltime, "The shortest worth asking for");
  command->add_option("--time-min", options->time_min,
                      "Lets the batch system shorten an allocation to this, to start it earlier");
  command->add_option("--max-workers", options->max_workers, "Allocations that run or are queued")
      ->capture_default_str();
  command->add_option("--backlog", options->backlog, "Allocations that are queued")
      ->capture_default_str();
  command->add_option("--submits-a-minute", options->submits_a_minute, "Submissions a minute")
      ->capture_default_str();
  command->add_option("--gpu-hours-a-day", options->gpu_hours_a_day,
                      "GPU hours in any 24 hours (default: no limit)");
  command->add_option("--gpu-hours-a-sweep", options->gpu_hours_a_sweep,
                      "GPU hours that the jobs of each sweep may use (default: no limit)");
  command->add_option("--rank", options->rank, "Pools of a lower rank are filled first")
      ->capture_default_str();
  command
      ->add_option("--wait-before", options->wait_before,
                   "Ask only once work has waited for so long")
      ->capture_default_str();
}

void AddWorkerFlags(CLI::App* command, AddOptions* options) {
  command->add_option("--worker", options->worker,
                      "Path of coppice-worker on the nodes (default: the one beside this program)");
  command->add_option("--worker-access", options->access_file,
                      "Path of the access file on the nodes (default: the worker's own)");
  command->add_option("--log-dir", options->log_dir,
                      "Folder of the allocations' output, on the nodes too (default: "
                      "coppice/pools/POOL in XDG_STATE_HOME, ~/.local/state)");
  command->add_option("--idle-exit", options->idle_exit, "A worker without work ends after this")
      ->capture_default_str();
  command
      ->add_option("--grace", options->grace,
                   "Time that a worker has for its checkpoints when it must end")
      ->capture_default_str();
  command->add_option("--slots", options->slots, "Slots of a worker (default: its GPUs)");
  command->add_option("--pack", options->pack, "Jobs a slot (default: the worker measures)");
  command->add_option("--worker-flag", options->worker_flags,
                      "Another flag for coppice-worker, as --worker-flag=--threads=4; may be "
                      "repeated");
}

}  // namespace

void AddPoolAdd(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("add", "Add a pool, or change the settings of one");
  const auto options = std::make_shared<AddOptions>();
  command->add_option("NAME", options->name, "The pool's name")->required();
  AddBatchFlags(command, options.get());
  AddLimitFlags(command, options.get());
  AddWorkerFlags(command, options.get());
  command->add_flag("--replace", options->replace, "Replace all settings of a pool that exists");
  command->add_flag("--watch-only", options->watch_only,
                    "Let the pool decide and log, but submit and cancel nothing, until it is "
                    "replaced without this flag");
  command->add_flag("--dry-run", options->dry_run,
                    "Print the script, ask the batch system about it, and add nothing");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Add(*options, context); }; });
}

}  // namespace coppice::cli
