#include "coordinator/service/convert_pools.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "coordinator/pools/sweep_budget.h"
#include "coordinator/service/checks.h"

namespace coppice::service {
namespace {

constexpr size_t kMaxPoolTextBytes = 4096;
constexpr int kMaxPoolFlags = 1000;  // CheckPoolSpec allows fewer
// Ended allocations in a list of all pools.
constexpr size_t kEndedInList = 5;

absl::Status CheckTexts(const v1::PoolSpec& spec) {
  for (const std::string* text :
       {&spec.partition(), &spec.account(), &spec.qos(), &spec.gres(), &spec.constraint(),
        &spec.cluster(), &spec.worker(), &spec.access_file(), &spec.log_dir()}) {
    COPPICE_RETURN_IF_ERROR(CheckLine("a setting of the pool", *text, kMaxPoolTextBytes));
  }
  for (const auto* flags : {&spec.worker_flags(), &spec.sbatch_flags()}) {
    if (flags->size() > kMaxPoolFlags) return Bad("the pool's flags", "are too many");
    for (const std::string& flag : *flags) {
      COPPICE_RETURN_IF_ERROR(CheckLine("a flag of the pool", flag, kMaxPoolTextBytes));
    }
  }
  return absl::OkStatus();
}

void Fill(const v1::PoolSpec& from, pools::PoolSpec* to) {
  to->name = from.name();
  to->partition = from.partition();
  to->account = from.account();
  to->qos = from.qos();
  to->gres = from.gres();
  to->constraint = from.constraint();
  to->cluster = from.cluster();
  to->gpus = from.gpus();
  to->cpus = from.cpus();
  to->memory_mib = from.memory_mib();
  to->max_workers = from.max_workers();
  to->backlog = from.backlog();
  to->submits_a_minute = from.submits_a_minute();
  to->min_walltime_s = from.min_walltime_s();
  to->max_walltime_s = from.max_walltime_s();
  to->time_min_s = from.time_min_s();
  to->gpu_hours_a_day = from.gpu_hours_a_day();
  to->gpu_hours_a_sweep = from.gpu_hours_a_sweep();
  to->nice = from.nice();
  to->rank = from.rank();
  to->wait_before_s = from.wait_before_s();
  to->idle_exit_s = from.idle_exit_s();
  to->grace_s = from.grace_s();
  to->slots = from.slots();
  to->pack = from.pack();
  to->worker = from.worker();
  to->access_file = from.access_file();
  to->log_dir = from.log_dir();
  to->worker_flags = {from.worker_flags().begin(), from.worker_flags().end()};
  to->sbatch_flags = {from.sbatch_flags().begin(), from.sbatch_flags().end()};
  to->watch_only = from.watch_only();
  to->has_target = from.has_target();
  to->target = from.target();
}

v1::PoolMode ModeToProto(pools::PoolMode mode) {
  switch (mode) {
    case pools::PoolMode::kRunning:
      return v1::POOL_RUNNING;
    case pools::PoolMode::kPaused:
      return v1::POOL_PAUSED;
    case pools::PoolMode::kDraining:
      return v1::POOL_DRAINING;
    case pools::PoolMode::kStopped:
      return v1::POOL_STOPPED;
  }
  return v1::POOL_MODE_UNSPECIFIED;
}

// A batch system's text may hold anything; a message's text is UTF-8.
std::string Text(const std::string& text) { return Printable(text); }

void AllocationToProto(const pools::AllocationRow& row, v1::PoolAllocation* out) {
  out->set_key(row.key);
  out->set_state(std::string(pools::AllocationStateName(row.state)));
  out->set_job_id(Text(row.job_id));
  out->set_node(Text(row.node));
  out->set_batch_state(Text(row.slurm_state));
  out->set_reason(Text(row.reason));
  out->set_submitted_ms(row.submitted_ms);
  out->set_started_ms(row.started_ms);
  out->set_ended_ms(row.ended_ms);
  out->set_ends_ms(row.ends_ms);
  out->set_estimated_start_ms(row.estimated_start_ms);
  out->set_restarts(row.restarts);
  out->set_walltime_s(row.walltime_s);
  out->set_gpu_seconds(row.gpu_seconds);
  out->set_registered(row.registered);
  out->set_outcome(row.outcome);
  out->set_error(Text(row.error));
  out->set_output_tail(Text(row.output_tail));
}

void UsageToProto(const pools::PoolStatus& pool, v1::PoolUsage* out) {
  out->set_starts(pool.waits.starts);
  out->set_queue_wait_median_s(pool.waits.median_s);
  out->set_queue_wait_longest_s(pool.waits.longest_s);
  const pools::UsageSums& usage = pool.usage;
  const double hours = usage.allocation_seconds / 3600;
  out->set_allocation_hours(hours);
  out->set_preemptions(usage.preemptions);
  if (usage.slot_seconds > 0) {
    out->set_useful_share(usage.busy_slot_seconds / usage.slot_seconds);
  }
  if (hours > 0) out->set_preemptions_an_hour(usage.preemptions / hours);
}

// " (Priority, start about 14:30 UTC)" for queued ones: the different reasons and the first start.
std::string QueuedBecause(const pools::PoolStatus& pool) {
  std::set<std::string> reasons;
  int64_t start_ms = 0;
  for (const pools::AllocationRow& row : pool.allocations) {
    if (row.state != pools::AllocationState::kQueued) continue;
    if (!row.reason.empty() && row.reason != "None") reasons.insert(Text(row.reason));
    if (row.estimated_start_ms != 0 && (start_ms == 0 || row.estimated_start_ms < start_ms)) {
      start_ms = row.estimated_start_ms;
    }
  }
  std::vector<std::string> parts(reasons.begin(), reasons.end());
  if (start_ms != 0) {
    parts.push_back(absl::StrCat(
        "start about ", absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixMillis(start_ms),
                                         absl::UTCTimeZone())));
  }
  return parts.empty() ? "" : absl::StrCat(": ", absl::StrJoin(parts, ", "));
}

std::string ExplainPool(const pools::PoolStatus& pool) {
  const std::string& name = pool.row.spec.name;
  switch (pool.row.mode) {
    case pools::PoolMode::kPaused:
      return absl::StrCat("The pool ", name, " is paused: `coppice pool resume ", name,
                          "` lets it ask for workers again.");
    case pools::PoolMode::kDraining:
      return absl::StrCat("The pool ", name, " is draining: `coppice pool resume ", name,
                          "` lets it ask for workers again.");
    case pools::PoolMode::kStopped:
      return absl::StrCat("The pool ", name, " has stopped: ", Text(pool.row.why),
                          " `coppice pool ", "resume ", name, "` starts it again.");
    case pools::PoolMode::kRunning:
      break;
  }
  if (pool.queued > 0) {
    return absl::StrCat(pool.queued, pool.queued == 1 ? " allocation is" : " allocations are",
                        " queued in the pool ", name, QueuedBecause(pool), ".");
  }
  return absl::StrCat(
      "The pool ", name, ": ",
      pool.row.decision.empty() ? "it has not looked yet" : Text(pool.row.decision));
}

}  // namespace

absl::StatusOr<pools::PoolSpec> PoolSpecFromProto(const v1::PoolSpec& spec) {
  COPPICE_RETURN_IF_ERROR(CheckTexts(spec));
  pools::PoolSpec out;
  Fill(spec, &out);
  COPPICE_RETURN_IF_ERROR(pools::CheckPoolSpec(out));
  return out;
}

absl::StatusOr<std::string> PoolNameFromProto(const std::string& name) {
  COPPICE_RETURN_IF_ERROR(CheckName("the pool's name", name, pools::kMaxPoolNameBytes));
  return name;
}

absl::StatusOr<pools::PoolMode> PoolModeFromProto(v1::PoolMode mode) {
  switch (mode) {
    case v1::POOL_RUNNING:
      return pools::PoolMode::kRunning;
    case v1::POOL_PAUSED:
      return pools::PoolMode::kPaused;
    case v1::POOL_DRAINING:
      return pools::PoolMode::kDraining;
    default:
      return Bad("mode", "must be POOL_RUNNING, POOL_PAUSED or POOL_DRAINING");
  }
}

void ToProto(const pools::PoolSpec& spec, v1::PoolSpec* out) {
  out->set_name(spec.name);
  out->set_partition(spec.partition);
  out->set_account(spec.account);
  out->set_qos(spec.qos);
  out->set_gres(spec.gres);
  out->set_constraint(spec.constraint);
  out->set_cluster(spec.cluster);
  out->set_gpus(spec.gpus);
  out->set_cpus(spec.cpus);
  out->set_memory_mib(spec.memory_mib);
  out->set_max_workers(spec.max_workers);
  out->set_backlog(spec.backlog);
  out->set_submits_a_minute(spec.submits_a_minute);
  out->set_min_walltime_s(spec.min_walltime_s);
  out->set_max_walltime_s(spec.max_walltime_s);
  out->set_time_min_s(spec.time_min_s);
  out->set_gpu_hours_a_day(spec.gpu_hours_a_day);
  out->set_gpu_hours_a_sweep(spec.gpu_hours_a_sweep);
  out->set_nice(spec.nice);
  out->set_rank(spec.rank);
  out->set_wait_before_s(spec.wait_before_s);
  out->set_idle_exit_s(spec.idle_exit_s);
  out->set_grace_s(spec.grace_s);
  out->set_slots(spec.slots);
  out->set_pack(spec.pack);
  out->set_worker(spec.worker);
  out->set_access_file(spec.access_file);
  out->set_log_dir(spec.log_dir);
  for (const std::string& flag : spec.worker_flags) out->add_worker_flags(flag);
  for (const std::string& flag : spec.sbatch_flags) out->add_sbatch_flags(flag);
  out->set_watch_only(spec.watch_only);
  if (spec.has_target) out->set_target(spec.target);
}

void ToProto(const pools::PoolStatus& pool, size_t ended, v1::Pool* out) {
  UsageToProto(pool, out->mutable_usage());
  ToProto(pool.row.spec, out->mutable_spec());
  out->set_mode(ModeToProto(pool.row.mode));
  out->set_why(Text(pool.row.why));
  out->set_wanted(pool.wanted);
  out->set_connected(pool.connected);
  out->set_queued(pool.queued);
  out->set_running(pool.running);
  out->set_unclear(pool.unclear);
  out->set_gpu_seconds_today(pool.gpu_seconds_today);
  out->set_decision(Text(pool.row.decision));
  out->set_decided_ms(pool.row.decided_ms);
  out->set_failures(pool.row.failures);
  out->set_backoff_until_ms(pool.row.backoff_until_ms);
  out->set_last_error(Text(pool.row.last_error));
  for (const pools::ExcludedNode& node : pool.row.excluded) {
    v1::ExcludedNode* const to = out->add_excluded();
    to->set_node(Text(node.node));
    to->set_until_ms(node.until_ms);
    to->set_why(Text(node.why));
  }
  for (const pools::SweepUse& use : pool.row.sweep_use) {
    v1::PoolSweepUse* const to = out->add_sweeps();
    to->set_sweep_id(use.sweep_id);
    to->set_name(Text(use.name));
    to->set_gpu_seconds(use.gpu_seconds);
    to->set_spent(pools::IsSpent(pool.row, use));
  }
  size_t shown = 0;
  for (const pools::AllocationRow& row : pool.allocations) {
    const bool over = row.state == pools::AllocationState::kEnded;
    if (over && shown++ >= ended) continue;
    AllocationToProto(row, out->add_allocations());
  }
}

void ToProto(const pools::AutoscalerStatus& status, v1::BatchSystem* out) {
  out->set_trouble(Text(status.trouble));
  out->set_trouble_since_ms(status.trouble_since_ms);
  out->set_polled_ms(status.polled_ms);
  out->set_stopped_by_file(status.stopped_by_file);
  out->set_dry_run(status.dry_run);
}

void ToProto(const pools::AutoscalerStatus& status, v1::ListPoolsResponse* out) {
  for (const pools::PoolStatus& pool : status.pools) ToProto(pool, kEndedInList, out->add_pools());
  ToProto(status, out->mutable_batch());
}

std::vector<std::string> ExplainPools(const pools::AutoscalerStatus& status) {
  std::vector<std::string> sentences;
  if (!status.trouble.empty() && !status.pools.empty()) {
    sentences.push_back(absl::StrCat("The batch system does not answer: ", Text(status.trouble),
                                     ". The pools wait for it."));
  }
  for (const pools::PoolStatus& pool : status.pools) sentences.push_back(ExplainPool(pool));
  return sentences;
}

}  // namespace coppice::service
