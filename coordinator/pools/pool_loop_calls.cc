// Answers of the loop to its callers.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/pools/holdings.h"
#include "coordinator/pools/pool_loop.h"
#include "coordinator/pools/script.h"
#include "coordinator/pools/slurm_text.h"

namespace coppice::pools {
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

AutoscalerStatus Autoscaler::Loop::MakeStatus() const {
  AutoscalerStatus status;
  status.trouble = trouble_;
  status.trouble_since_ms = trouble_since_ms_;
  // Between two runs by cron nobody is there, which is no trouble.
  const std::string absent = batch_.Absent();
  const int64_t since_ms = std::max(polled_ms_, loaded_ms_);
  if (!absent.empty() && Now().now_ms - since_ms > absl::ToInt64Milliseconds(kLongestAbsence)) {
    status.trouble = absent;
    status.trouble_since_ms = since_ms;
  }
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
    if (const auto usage = usage_.find(entry.first); usage != usage_.end()) {
      pool.usage = usage->second.Sum(Now().now_ms);
    }
    pool.waits = QueueWaitsOf(pool.allocations, Now().now_ms);
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
