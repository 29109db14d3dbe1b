// What callers ask of the loop.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/pools/holdings.h"
#include "coordinator/pools/pool_loop.h"
#include "coordinator/pools/script.h"
#include "coordinator/pools/slurm_text.h"

namespace coppice::pools {
namespace {

bool RequeuesPreempted(const Capabilities& capabilities) {
  return absl::StrContains(capabilities.preempt_mode, "REQUEUE");
}

bool Preempts(const Capabilities& capabilities) {
  return !capabilities.preempt_mode.empty() && capabilities.preempt_mode != "OFF";
}

void AddSubmitAnswer(const SubmitResult& result, PoolCheck* check) {
  const std::string text = absl::StrCat("sbatch --test-only: ", result.text,
                                        result.remedy.empty() ? "" : ". ", result.remedy);
  switch (result.kind) {
    case SubmitResult::Kind::kAccepted:
      check->facts.push_back(text);
      return;
    case SubmitResult::Kind::kPermanent:
      check->errors.push_back(text);
      return;
    case SubmitResult::Kind::kLimit:
    case SubmitResult::Kind::kTransient:
    case SubmitResult::Kind::kUnclear:
      check->warnings.push_back(text);
      return;
  }
}

}  // namespace

void JudgeCapabilities(const PoolSpec& spec, const Capabilities& capabilities, PoolCheck* check) {
  const std::string partition =
      absl::StrCat("partition ", spec.partition.empty() ? "(default)" : spec.partition);
  check->facts.push_back(absl::StrCat(
      partition, ": at most ",
      capabilities.max_time_s == 0 ? "any time" : FormatSlurmDuration(capabilities.max_time_s),
      ", GraceTime ", capabilities.grace_time_s, " s, KillWait ", capabilities.kill_wait_s,
      " s, PreemptMode ", capabilities.preempt_mode, ", ", capabilities.nodes, " nodes, ",
      capabilities.cpus, " CPUs, Slurm ", capabilities.version));
  if (!capabilities.partition_up) {
    check->warnings.push_back(absl::StrCat(partition, " is not up; allocations will wait"));
  }
  if (capabilities.max_time_s > 0 && spec.max_walltime_s > capabilities.max_time_s) {
    check->errors.push_back(
        absl::StrCat("--walltime is longer than the partition's MaxTime, ",
                     FormatSlurmDuration(capabilities.max_time_s),
                     ": Slurm would take such a job and never start it. Lower --walltime to it."));
  }
  const int64_t warned_s = capabilities.grace_time_s + capabilities.kill_wait_s;
  if (Preempts(capabilities) && warned_s < spec.grace_s) {
    check->warnings.push_back(absl::StrCat(
        "--grace ", spec.grace_s, "s is longer than GraceTime and KillWait, ", warned_s,
        " s: a preempted worker may be killed before its checkpoint is written. Lower --grace."));
  }
  if (Preempts(capabilities) && !RequeuesPreempted(capabilities)) {
    check->warnings.push_back(absl::StrCat("PreemptMode ", capabilities.preempt_mode,
                                           " does not requeue: the pool submits anew instead"));
  }
  if (capabilities.nodes > 0 && spec.cpus > capabilities.cpus / capabilities.nodes) {
    check->warnings.push_back(
        absl::StrCat("--cpus ", spec.cpus, " is more than the partition's nodes have on average, ",
                     capabilities.cpus / capabilities.nodes,
                     ": if none has so many, Slurm takes the job and never starts it"));
  }
}

void Autoscaler::Loop::ChangePool(const std::string& name, bool may_be_new, Change change,
                                  Done done) {
  if (!loaded_) return done(absl::UnavailableError("the pools are not loaded yet; try again"));
  const PoolRow* const there = tracker_.FindPool(name);
  if (!may_be_new && (there == nullptr || there->removed)) {
    return done(absl::NotFoundError(
        absl::StrCat("no pool is named '", name, "'; `coppice pool list` lists them")));
  }
  PoolRow copy = there == nullptr ? PoolRow() : *there;
  if (absl::Status good = change(&copy); !good.ok()) return done(good);
  copy.changed_ms = Now().now_ms;
  records_.Save({copy}, {}, Bind([this, name, change, done](absl::Status stored) {
                  if (!stored.ok()) return done(stored);
                  // The loop may have changed the row meanwhile, so its present state is changed.
                  const PoolRow* const present = tracker_.FindPool(name);
                  PoolRow row = present == nullptr ? PoolRow() : *present;
                  if (absl::Status good = change(&row); !good.ok()) return done(good);
                  row.changed_ms = Now().now_ms;
                  tracker_.PutPool(std::move(row));
                  memory_.erase(name);
                  done(absl::OkStatus());
                  Nudge();
                }));
}

void Autoscaler::Loop::Check(const PoolSpec& spec,
                             std::function<void(absl::StatusOr<PoolCheck>)> done) {
  if (absl::Status good = CheckPoolSpec(spec); !good.ok()) return done(good);
  const PoolRow* const there = tracker_.FindPool(spec.name);
  const std::string key =
      AllocationKey(options_.store_id, spec.name, there == nullptr ? 1 : there->next_sequence);
  PoolCheck check;
  check.script = WriteScript(spec, key, spec.max_walltime_s,
                             there == nullptr ? std::vector<ExcludedNode>() : there->excluded);
  batch_.GetCapabilities(
      spec.partition, spec.cluster,
      Bind([this, spec, key, check, done](absl::StatusOr<Capabilities> capabilities) mutable {
        if (capabilities.ok()) {
          JudgeCapabilities(spec, *capabilities, &check);
        } else {
          check.errors.push_back(std::string(capabilities.status().message()));
        }
        batch_.TestSubmit({key, check.script, spec.log_dir, spec.cluster},
                          Bind([check, done](SubmitResult result) mutable {
                            AddSubmitAnswer(result, &check);
                            done(std::move(check));
                          }));
      }));
}

AutoscalerStatus Autoscaler::Loop::MakeStatus() const {
  AutoscalerStatus status;
  status.trouble = trouble_;
  status.trouble_since_ms = trouble_since_ms_;
  status.polled_ms = polled_ms_;
  status.stopped_by_file = stopped_by_file_;
  status.dry_run = options_.dry_run;
  for (const auto& entry : tracker_.pools()) {
    if (entry.second.removed) continue;
    PoolStatus pool;
    pool.row = entry.second;
    for (const PoolDecision& decision : decisions_) {
      if (decision.pool != entry.first) continue;
      pool.wanted = decision.wanted;
      pool.connected = decision.connected;
    }
    for (const auto& allocation : tracker_.allocations()) {
      const AllocationRow& row = allocation.second;
      if (row.pool != entry.first) continue;
      pool.queued +=
          row.state == AllocationState::kQueued || row.state == AllocationState::kIntended;
      pool.running += row.state == AllocationState::kRunning;
      pool.unclear += row.state == AllocationState::kUnknown;
      pool.gpu_seconds_today += GpuSecondsToday(row, Now().now_ms);
      pool.allocations.push_back(row);
    }
    std::sort(pool.allocations.begin(), pool.allocations.end(),
              [](const AllocationRow& a, const AllocationRow& b) {
                const bool a_ended = a.state == AllocationState::kEnded;
                const bool b_ended = b.state == AllocationState::kEnded;
                return a_ended != b_ended ? b_ended : a.sequence > b.sequence;
              });
    status.pools.push_back(std::move(pool));
  }
  std::sort(status.pools.begin(), status.pools.end(), [](const PoolStatus& a, const PoolStatus& b) {
    return std::make_pair(a.row.spec.rank, a.row.spec.name) <
           std::make_pair(b.row.spec.rank, b.row.spec.name);
  });
  return status;
}

}  // namespace coppice::pools
