// The changes that an answer of the batch system makes in one row.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "coordinator/pools/allocation_tracker.h"
#include "coordinator/pools/slurm_reasons.h"

namespace coppice::pools {
namespace {

// A failure so soon after the start speaks against the node.
constexpr int64_t kQuickRunMs = 60'000;

// True if Slurm's word may stand on a script's --exclude line.
bool IsNodeName(absl::string_view node) {
  return !node.empty() && std::all_of(node.begin(), node.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace

void AllocationTracker::ApplyJob(const Job& job, AllocationRow* row, TrackerTime time) {
  Observation& seen = observations_[row->key];
  seen.missing = 0;
  seen.unknown = 0;
  if (job.phase == JobPhase::kEnded) {
    if (IsAlive(*row)) ApplyEnded(job, row, time);
    return;
  }
  const AllocationRow before = *row;
  seen.ended_since.reset();
  if (!IsAlive(*row)) {
    spdlog::warn("pool {}: job {} of {} is back: {}", row->pool, job.job_id, row->key, job.state);
    row->outcome.clear();
    row->error.clear();
    row->ended_ms = 0;
    row->started_ms = 0;
    seen.start_ms = 0;
  }
  row->job_id = job.job_id;
  if (row->submitted_ms == 0) row->submitted_ms = time.now_ms;
  row->slurm_state = job.state;
  row->reason = job.reason;
  switch (job.phase) {
    case JobPhase::kPending:
      ApplyPending(job, row, time);
      break;
    case JobPhase::kRunning:
      ApplyRunning(job, row, time);
      break;
    case JobPhase::kUnknown:
      row->state = AllocationState::kUnknown;
      row->error = absl::StrCat("Slurm's state ", job.state, " is not known; it counts as alive");
      break;
    case JobPhase::kEnded:
      break;
  }
  if (before.state != row->state || before.job_id != row->job_id || before.node != row->node ||
      before.reason != row->reason || before.slurm_state != row->slurm_state ||
      before.ends_ms != row->ends_ms || before.restarts != row->restarts ||
      before.estimated_start_ms != row->estimated_start_ms || before.error != row->error) {
    Touch(*row);
  }
}

void AllocationTracker::ApplyPending(const Job& job, AllocationRow* row, TrackerTime time) {
  if (row->started_ms != 0) {
    // Requeued: the same allocation, which waits again.
    CloseRequeued(row, time.now_ms);
    spdlog::info("pool {}: job {} is back in the queue: {}", row->pool, row->job_id, job.reason);
  }
  if (job.restarts.has_value()) row->restarts = *job.restarts;
  row->state = AllocationState::kQueued;
  row->node.clear();
  row->ends_ms = 0;
  row->estimated_start_ms = job.start_ms;
  const PendingReason reason = ClassifyPending(job.reason);
  row->error = reason.remedy;
  std::optional<absl::Duration>& since = observations_[row->key].stuck_since;
  if (reason.kind != PendingReason::Kind::kNeverStarts) {
    since.reset();
  } else if (!since.has_value()) {
    since = time.monotonic;
  }
}

void AllocationTracker::BeginRun(const Job& job, AllocationRow* row, TrackerTime time) {
  // By the controller's clock, as far as that fits this one.
  row->started_ms = job.start_ms > 0 ? std::clamp(job.start_ms, row->intended_ms,
                                                  std::max(row->intended_ms, time.now_ms))
                                     : time.now_ms;
  Observation& seen = observations_[row->key];
  seen.restarts_before = row->restarts;
  seen.worker_gone_ms = 0;
  Touch(*row);
  spdlog::info("pool {}: job {} runs on {}", row->pool, row->job_id, job.node);
}

void AllocationTracker::CloseIfStartedAnew(const Job& job, AllocationRow* row) {
  const Observation& seen = observations_[row->key];
  // After a restart of the coordinator only the row tells of the start, by this machine's clock.
  const int64_t known_ms = seen.start_ms > 0 ? seen.start_ms : row->started_ms + kSameStartMs;
  if (row->started_ms == 0 || seen.booting || job.start_ms <= known_ms) return;
  CloseRequeued(row, job.start_ms);
  spdlog::info("pool {}: job {} was requeued meanwhile", row->pool, row->job_id);
}

void AllocationTracker::ApplyRunning(const Job& job, AllocationRow* row, TrackerTime time) {
  observations_[row->key].stuck_since.reset();
  if (row->state != AllocationState::kRunning) row->error.clear();
  row->state = AllocationState::kRunning;
  // The run is over. Slurm shows what comes next later: an end, or the queue again. For a job on
  // its way into the queue it already shows the start that it hopes for.
  if (job.state == "COMPLETING") return;
  Observation& seen = observations_[row->key];
  CloseIfStartedAnew(job, row);
  if (row->started_ms == 0) BeginRun(job, row, time);
  seen.start_ms = job.start_ms;
  seen.booting = job.state == "CONFIGURING" || job.state == "POWER_UP_NODE";
  seen.alive_ms = time.now_ms;
  row->node = job.node;
  row->ends_ms = job.end_ms;
  row->estimated_start_ms = 0;
  if (job.restarts.has_value()) row->restarts = *job.restarts;
}

void AllocationTracker::ApplyEnded(const Job& job, AllocationRow* row, TrackerTime time) {
  Observation& seen = observations_[row->key];
  if (MayBeRequeued(job.state)) {
    // Slurm shows this state also on the way back into the queue.
    if (!seen.ended_since.has_value()) seen.ended_since = time.monotonic;
    if (time.monotonic - *seen.ended_since < kMissingBeforeShow) return;
  }
  CloseIfStartedAnew(job, row);
  if (row->job_id.empty()) row->job_id = job.job_id;
  if (!job.node.empty()) row->node = job.node;
  if (row->started_ms == 0 && job.start_ms > 0 && job.end_ms > job.start_ms) {
    row->started_ms =
        std::clamp(job.start_ms, row->intended_ms, std::max(row->intended_ms, time.now_ms));
  }
  row->slurm_state = job.state;
  row->reason = job.reason;
  const int64_t end_ms =
      job.end_ms > 0 ? std::clamp(job.end_ms, std::max(row->intended_ms, row->started_ms),
                                  std::max({row->intended_ms, row->started_ms, time.now_ms}))
                     : time.now_ms;
  const int64_t ran_ms = row->started_ms > 0 ? end_ms - row->started_ms : 0;
  const Ending ending = ClassifyEnding(job, row->registered, ran_ms / 1000);
  const int64_t started_ms = row->started_ms;
  CloseRun(row, end_ms);
  row->started_ms = started_ms;
  row->error = ending.error;
  End(row, ending.outcome, time);
  row->ended_ms = end_ms;
  if (MayBeRequeued(job.state)) preempted_.push_back(row->pool);
  PoolRow* const pool = FindPool(row->pool);
  if (pool == nullptr) return;
  if (ending.verdict == Ending::Verdict::kGood) NoteSuccess(pool);
  if (ending.verdict != Ending::Verdict::kFailure) return;
  failed_.push_back(row->key);
  NoteFailure(pool,
              absl::StrCat("job ", row->job_id, row->node.empty() ? "" : " on ", row->node, ": ",
                           ending.error),
              time);
  if (ran_ms < kQuickRunMs) NoteNode(pool, *row, time);
}

void AllocationTracker::ApplyMissing(AllocationRow* row, absl::Duration asked, TrackerTime time) {
  Observation& seen = observations_[row->key];
  if (row->job_id.empty()) {
    // The answer counts only if sbatch can have reached the controller no more when it was asked.
    if (seen.in_flight || asked - seen.given_up < kSettle) return;
    // One answer may leave out a job that is there.
    if (seen.missing++ == 0) seen.missing_since = asked;
    if (asked - seen.missing_since < kUnsentBeforeEnd) return;
    spdlog::info("pool {}: {} was never queued", row->pool, row->key);
    End(row, "not_submitted", time);
    return;
  }
  if (seen.missing++ == 0) seen.missing_since = time.monotonic;
  if (seen.missing < 2 || row->state == AllocationState::kUnknown) return;
  row->state = AllocationState::kUnknown;
  row->error = "squeue leaves it out; nothing is concluded from that";
  Touch(*row);
}

void AllocationTracker::CloseRequeued(AllocationRow* row, int64_t latest_ms) {
  Observation& seen = observations_[row->key];
  // Slurm does not say when it took the node away. The last sign of the run is nearest to it.
  int64_t end_ms = latest_ms;
  if (seen.worker_gone_ms != 0) {
    end_ms = std::min(end_ms, seen.worker_gone_ms);
  } else if (seen.alive_ms != 0) {
    end_ms = std::min(end_ms, seen.alive_ms);
  }
  CloseRun(row, end_ms);
  row->restarts = std::max(row->restarts, seen.restarts_before + 1);
  preempted_.push_back(row->pool);
  seen.restarts_before = row->restarts;
  seen.start_ms = seen.alive_ms = seen.worker_gone_ms = 0;
}

void AllocationTracker::CloseRun(AllocationRow* row, int64_t end_ms) {
  if (row->started_ms > 0) {
    row->gpu_seconds +=
        row->gpus * static_cast<double>(std::max<int64_t>(0, end_ms - row->started_ms)) / 1000;
  }
  row->started_ms = 0;
  Touch(*row);
}

void AllocationTracker::End(AllocationRow* row, const std::string& outcome, TrackerTime time) {
  row->state = AllocationState::kEnded;
  row->outcome = outcome;
  row->ended_ms = time.now_ms;
  row->estimated_start_ms = 0;
  observations_[row->key].ended_since.reset();
  observations_[row->key].stuck_since.reset();
  Touch(*row);
  if (row->job_id.empty()) return;
  spdlog::info("pool {}: job {} has ended: {}{}{}", row->pool, row->job_id, outcome,
               row->error.empty() ? "" : ": ", row->error);
}

void AllocationTracker::NoteFailure(PoolRow* pool, const std::string& error, TrackerTime time) {
  pool->last_error = error;
  Touch(*pool);
  // An allocation that was asked for before the pause began says nothing new.
  if (time.now_ms < pool->backoff_until_ms) return;
  ++pool->failures;
  pool->backoff_until_ms = time.now_ms + absl::ToInt64Milliseconds(PoolBackoff(pool->failures));
}

void AllocationTracker::NoteSuccess(PoolRow* pool) {
  if (pool->failures == 0 && pool->last_error.empty()) return;
  pool->failures = 0;
  pool->backoff_until_ms = 0;
  pool->last_error.clear();
  Touch(*pool);
}

void AllocationTracker::NoteNode(PoolRow* pool, const AllocationRow& row, TrackerTime time) {
  const auto excluded = [&pool](const std::string& node) {
    return std::any_of(pool->excluded.begin(), pool->excluded.end(),
                       [&node](const ExcludedNode& entry) { return entry.node == node; });
  };
  if (!IsNodeName(row.node) || excluded(row.node)) return;
  size_t failures = 0;
  for (const auto& entry : allocations_) {
    const AllocationRow& other = entry.second;
    if (other.pool != row.pool || other.node != row.node || IsAlive(other) ||
        other.ended_ms < time.now_ms - kExcludeMs) {
      continue;
    }
    // A worker that registered there says that the node is well.
    if (other.registered) return;
    const int64_t ran_ms = other.started_ms == 0 ? 0 : other.ended_ms - other.started_ms;
    if (!other.error.empty() && ran_ms < kQuickRunMs) ++failures;
  }
  if (failures < kQuickFailures) return;
  pool->excluded.push_back({row.node, time.now_ms + kExcludeMs, row.error});
  // The others need not wait for it.
  pool->failures = 0;
  pool->backoff_until_ms = 0;
  spdlog::warn("pool {}: node {} is left out for an hour after {} quick failures: {}", row.pool,
               row.node, failures, row.error);
  Touch(*pool);
}

}  // namespace coppice::pools
