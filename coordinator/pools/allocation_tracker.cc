#include "coordinator/pools/allocation_tracker.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/logging.h"

namespace coppice::pools {

absl::Duration PoolBackoff(uint32_t failures) {
  static constexpr std::array<int64_t, 5> kSeconds = {10, 60, 300, 900, 3600};
  if (failures == 0) return absl::ZeroDuration();
  return absl::Seconds(kSeconds[std::min<size_t>(failures, kSeconds.size()) - 1]);
}

void AllocationTracker::Load(PoolsLoaded loaded, TrackerTime time) {
  for (PoolRow& pool : loaded.pools) {
    // The clock may have been set back since then.
    const int64_t latest = time.now_ms + absl::ToInt64Milliseconds(PoolBackoff(UINT32_MAX));
    pool.backoff_until_ms = std::min(pool.backoff_until_ms, latest);
    const std::string name = pool.spec.name;
    pools_[name] = std::move(pool);
  }
  for (AllocationRow& row : loaded.allocations) {
    observations_[row.key].given_up = time.monotonic;
    observations_[row.key].restarts_before = row.restarts;
    const std::string key = row.key;
    allocations_[key] = std::move(row);
  }
}

PoolRow* AllocationTracker::FindPool(const std::string& name) {
  const auto it = pools_.find(name);
  return it == pools_.end() ? nullptr : &it->second;
}

AllocationRow* AllocationTracker::Find(const std::string& key) {
  const auto it = allocations_.find(key);
  return it == allocations_.end() ? nullptr : &it->second;
}

const AllocationRow* AllocationTracker::FindAllocation(const std::string& key) const {
  const auto it = allocations_.find(key);
  return it == allocations_.end() ? nullptr : &it->second;
}

void AllocationTracker::PutPool(PoolRow row) {
  Touch(row);
  const std::string name = row.spec.name;
  pools_[name] = std::move(row);
}

std::vector<AllocationRow> AllocationTracker::AllocationList() const {
  std::vector<AllocationRow> rows;
  rows.reserve(allocations_.size());
  for (const auto& entry : allocations_) rows.push_back(entry.second);
  return rows;
}

AllocationRow AllocationTracker::Intend(PoolRow* pool, int64_t walltime_s, TrackerTime time) {
  AllocationRow row;
  row.sequence = pool->next_sequence++;
  row.pool = pool->spec.name;
  row.key = AllocationKey(store_id_, row.pool, row.sequence);
  row.intended_ms = time.now_ms;
  row.walltime_s = walltime_s;
  row.gpus = pool->spec.gpus;
  Touch(*pool);
  return row;
}

void AllocationTracker::Begin(const AllocationRow& row) {
  allocations_[row.key] = row;
  observations_[row.key].in_flight = true;
}

void AllocationTracker::ApplySubmit(const std::string& key, const SubmitResult& result,
                                    TrackerTime time) {
  AllocationRow* const row = Find(key);
  if (row == nullptr) return;
  Observation& seen = observations_[key];
  seen.in_flight = false;
  seen.given_up = time.monotonic;
  PoolRow* const pool = FindPool(row->pool);
  Touch(*row);
  if (result.kind == SubmitResult::Kind::kAccepted) {
    row->job_id = result.job_id;
    row->submitted_ms = time.now_ms;
    if (row->state == AllocationState::kIntended) row->state = AllocationState::kQueued;
    spdlog::info("pool {}: job {} is queued as {}", row->pool, row->job_id, key);
    return;
  }
  // The queue has shown the job already, whatever sbatch says.
  if (!row->job_id.empty()) return;
  row->error = absl::StrCat(result.text, result.remedy.empty() ? "" : ". ", result.remedy);
  if (result.kind == SubmitResult::Kind::kUnclear) {
    spdlog::warn("pool {}: whether {} was queued is not clear: {}", row->pool, key, row->error);
    if (pool != nullptr) NoteFailure(pool, row->error, time);
    return;
  }
  spdlog::warn("pool {}: {} was refused: {}", row->pool, key, row->error);
  End(row, "refused", time);
  if (pool == nullptr) return;
  if (result.kind == SubmitResult::Kind::kPermanent) {
    pool->mode = PoolMode::kStopped;
    pool->why = absl::StrCat(row->error, " Then `coppice pool resume ", row->pool, "`.");
    pool->changed_ms = time.now_ms;
    Touch(*pool);
  } else if (result.kind == SubmitResult::Kind::kTransient) {
    NoteFailure(pool, row->error, time);
  } else {
    pool->last_error = row->error;
    Touch(*pool);
  }
}

void AllocationTracker::ApplyQueue(const std::vector<Job>& jobs, absl::Duration asked,
                                   TrackerTime time) {
  std::set<std::string> present;
  const std::string prefix = absl::StrCat(absl::string_view(store_id_).substr(0, 8), "-");
  for (const Job& job : jobs) {
    if (!absl::StartsWith(job.key, prefix)) continue;
    AllocationRow* row = Find(job.key);
    if (row == nullptr) {
      Adopt(job, time);
      row = Find(job.key);
      if (row == nullptr) continue;
    }
    // Another job with this name is none of ours; only a row without a number takes one.
    if (!row->job_id.empty() && row->job_id != job.job_id) continue;
    present.insert(job.key);
    ApplyJob(job, row, time);
  }
  for (auto& entry : allocations_) {
    AllocationRow& row = entry.second;
    if (IsAlive(row) && present.count(row.key) == 0) ApplyMissing(&row, asked, time);
  }
}

// A job with a key of this store whose row is not in memory: it ended long ago, and lives after
// all, or its row was lost with a restored backup.
void AllocationTracker::Adopt(const Job& job, TrackerTime time) {
  if (job.phase == JobPhase::kEnded) return;
  const size_t dash = job.key.rfind('-');
  uint64_t sequence = 0;
  if (dash == std::string::npos || dash < 9 ||
      !absl::SimpleAtoi(absl::string_view(job.key).substr(dash + 1), &sequence)) {
    return;
  }
  PoolRow* const pool = FindPool(job.key.substr(9, dash - 9));
  if (pool == nullptr || AllocationKey(store_id_, pool->spec.name, sequence) != job.key) return;
  AllocationRow row;
  row.key = job.key;
  row.pool = pool->spec.name;
  row.sequence = sequence;
  row.intended_ms = row.submitted_ms = time.now_ms;
  row.walltime_s = pool->spec.max_walltime_s;
  row.gpus = pool->spec.gpus;
  if (sequence >= pool->next_sequence) {
    pool->next_sequence = sequence + 1;
    Touch(*pool);
  }
  spdlog::warn("pool {}: job {} is this pool's by its name {}, and is adopted", row.pool,
               job.job_id, job.key);
  allocations_[row.key] = row;
}

void AllocationTracker::ApplyShown(const std::string& key, const std::optional<Job>& job,
                                   TrackerTime time) {
  AllocationRow* const row = Find(key);
  if (row == nullptr || !IsAlive(*row)) return;
  if (job.has_value()) {
    if (job->job_id == row->job_id) ApplyJob(*job, row, time);
    return;
  }
  Observation& seen = observations_[key];
  ++seen.unknown;
  if (seen.worker_there || seen.unknown < kUnknownAnswers || seen.missing == 0 ||
      time.monotonic - seen.missing_since < kUnknownBeforeEnd) {
    return;
  }
  CloseRun(row, time.now_ms);
  row->error = "Slurm knows the job no more, and its worker is gone";
  End(row, "lost", time);
}

void AllocationTracker::SetOutputTail(const std::string& key, std::string tail) {
  AllocationRow* const row = Find(key);
  if (row == nullptr) return;
  row->output_tail = std::move(tail);
  Touch(*row);
}

std::vector<std::string> AllocationTracker::ToShow(TrackerTime time) const {
  std::vector<std::string> keys;
  for (const auto& entry : observations_) {
    const Observation& seen = entry.second;
    const AllocationRow* const row = FindAllocation(entry.first);
    if (row != nullptr && IsAlive(*row) && !row->job_id.empty() && seen.missing >= 2 &&
        time.monotonic - seen.missing_since >= kMissingBeforeShow) {
      keys.push_back(entry.first);
    }
  }
  return keys;
}

std::vector<std::string> AllocationTracker::ToCancel(TrackerTime time) {
  std::vector<std::string> keys;
  for (auto& entry : allocations_) {
    AllocationRow& row = entry.second;
    if (row.state != AllocationState::kQueued || row.job_id.empty()) continue;
    PoolRow* const pool = FindPool(row.pool);
    if (pool == nullptr || pool->removed) {
      keys.push_back(row.key);
      continue;
    }
    const std::optional<absl::Duration>& since = observations_[row.key].stuck_since;
    if (!since.has_value() || time.monotonic - *since < kStuckBeforeCancel) continue;
    keys.push_back(row.key);
    if (pool->mode == PoolMode::kStopped) continue;
    pool->mode = PoolMode::kStopped;
    pool->why = absl::StrCat("job ", row.job_id, " can never start (", row.reason, "). ", row.error,
                             " Then `coppice pool resume ", row.pool, "`.");
    pool->changed_ms = time.now_ms;
    spdlog::error("pool {} is stopped: {}", row.pool, pool->why);
    Touch(*pool);
  }
  return keys;
}

std::vector<std::string> AllocationTracker::TakeFailed() { return std::exchange(failed_, {}); }

std::vector<std::string> AllocationTracker::TakePreempted() {
  return std::exchange(preempted_, {});
}

bool AllocationTracker::Waits() const {
  for (const auto& entry : observations_) {
    const AllocationRow* const row = FindAllocation(entry.first);
    if (row == nullptr || !IsAlive(*row)) continue;
    if (row->state != AllocationState::kRunning || entry.second.missing > 0 ||
        entry.second.ended_since.has_value()) {
      return true;
    }
  }
  return false;
}

bool AllocationTracker::HasAlive() const {
  return std::any_of(allocations_.begin(), allocations_.end(),
                     [](const auto& entry) { return IsAlive(entry.second); });
}

bool AllocationTracker::HasAlive(const std::string& pool) const {
  return std::any_of(allocations_.begin(), allocations_.end(), [&pool](const auto& entry) {
    return entry.second.pool == pool && IsAlive(entry.second);
  });
}

void AllocationTracker::Forget(TrackerTime time) {
  for (auto it = allocations_.begin(); it != allocations_.end();) {
    const AllocationRow& row = it->second;
    if (IsAlive(row) || row.ended_ms > time.now_ms - kKeepEndedMs ||
        changed_allocations_.count(row.key) > 0) {
      ++it;
      continue;
    }
    observations_.erase(row.key);
    it = allocations_.erase(it);
  }
  for (auto& entry : pools_) {
    std::vector<ExcludedNode>& excluded = entry.second.excluded;
    const auto over =
        std::remove_if(excluded.begin(), excluded.end(), [&time](const ExcludedNode& node) {
          return node.until_ms <= time.now_ms || node.until_ms > time.now_ms + kExcludeMs;
        });
    if (over == excluded.end()) continue;
    excluded.erase(over, excluded.end());
    Touch(entry.second);
  }
}

AllocationTracker::Changes AllocationTracker::TakeChanges() {
  Changes changes;
  for (const std::string& name : changed_pools_) changes.pools.push_back(pools_[name]);
  for (const std::string& key : changed_allocations_) {
    if (const AllocationRow* const row = FindAllocation(key)) changes.allocations.push_back(*row);
  }
  changed_pools_.clear();
  changed_allocations_.clear();
  return changes;
}

void AllocationTracker::PutBack(const Changes& changes) {
  for (const PoolRow& row : changes.pools) Touch(row);
  for (const AllocationRow& row : changes.allocations) Touch(row);
}

}  // namespace coppice::pools
