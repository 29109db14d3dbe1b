// The loop carries out a decision: rows are stored, then allocations cancelled and submitted.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "coordinator/pools/pool_loop.h"
#include "coordinator/pools/script.h"

namespace coppice::pools {

void Autoscaler::Loop::Execute(std::vector<Planned> submits, std::vector<std::string> cancels) {
  std::sort(cancels.begin(), cancels.end());
  cancels.erase(std::unique(cancels.begin(), cancels.end()), cancels.end());
  Flush([this, submits = std::move(submits), cancels = std::move(cancels)](absl::Status stored) {
    if (!stored.ok()) {
      SetDecisions(absl::StrCat("waits for the coordinator's disk: ", stored.message()));
      return EndTick();
    }
    CancelNext(cancels, [this, submits] {
      SubmitNext(std::deque<Planned>(submits.begin(), submits.end()));
    });
  });
}

void Autoscaler::Loop::Flush(std::function<void(absl::Status)> then) {
  AllocationTracker::Changes changes = tracker_.TakeChanges();
  if (changes.empty()) return then(absl::OkStatus());
  records_.Save(changes.pools, changes.allocations,
                Bind([this, changes, then](absl::Status stored) {
                  if (!stored.ok()) {
                    spdlog::warn("pools: cannot store their state: {}", stored.ToString());
                    tracker_.PutBack(changes);
                  }
                  then(stored);
                }));
}

void Autoscaler::Loop::CancelNext(std::vector<std::string> keys, std::function<void()> then) {
  if (keys.empty()) return then();
  // Those of one cluster with one command.
  std::vector<std::string> ids, rest;
  std::string cluster;
  for (const std::string& key : keys) {
    const AllocationRow* const row = tracker_.FindAllocation(key);
    if (row == nullptr || row->job_id.empty()) continue;
    const PoolRow* const pool = tracker_.FindPool(row->pool);
    const std::string of = pool == nullptr ? "" : pool->spec.cluster;
    if (ids.empty()) cluster = of;
    if (of != cluster) {
      rest.push_back(key);
      continue;
    }
    ids.push_back(row->job_id);
    spdlog::info("pool {}: cancels job {} if it still waits", row->pool, row->job_id);
  }
  if (ids.empty()) return then();
  poll_now_ = true;
  batch_.CancelQueued(ids, cluster, Bind([this, rest, then](absl::Status status) {
                        // The queue says what became of them.
                        if (!status.ok()) spdlog::warn("pools: {}", status.ToString());
                        CancelNext(rest, then);
                      }));
}

void Autoscaler::Loop::SubmitNext(std::deque<Planned> submits) {
  if (submits.empty() || closing_) return EndTick();
  const Planned next = submits.front();
  submits.pop_front();
  PoolRow* const pool = tracker_.FindPool(next.pool);
  // A refusal in this tick, or a command, has changed the pool meanwhile.
  if (pool == nullptr || pool->removed || pool->mode != PoolMode::kRunning ||
      pool->backoff_until_ms > Now().now_ms || memory_[next.pool].site_backlog != UINT32_MAX) {
    return SubmitNext(std::move(submits));
  }
  const AllocationRow row = tracker_.Intend(pool, next.walltime_s, Now());
  Submission submission;
  submission.key = row.key;
  submission.cluster = pool->spec.cluster;
  submission.log_dir = pool->spec.log_dir;
  submission.script = WriteScript(pool->spec, row.key, row.walltime_s, pool->excluded);
  records_.Save(
      {*pool}, {row}, Bind([this, row, submission, submits](absl::Status stored) {
        if (!stored.ok()) {
          spdlog::warn("pool {}: submits nothing, since its row cannot be stored: {}", row.pool,
                       stored.ToString());
          SetDecisions(absl::StrCat("waits for the coordinator's disk: ", stored.message()));
          return EndTick();
        }
        tracker_.Begin(row);
        if (closing_) return;  // the next start finds that it was never queued
        batch_.Submit(submission, Bind([this, key = row.key, submits](SubmitResult result) {
                        Submitted(key, result, submits);
                      }));
      }));
}

void Autoscaler::Loop::Submitted(const std::string& key, const SubmitResult& result,
                                 std::deque<Planned> rest) {
  tracker_.ApplySubmit(key, result, Now());
  const AllocationRow* const row = tracker_.FindAllocation(key);
  if (result.kind == SubmitResult::Kind::kLimit && row != nullptr) {
    uint32_t queued = 0;
    for (const auto& entry : tracker_.allocations()) {
      const AllocationState state = entry.second.state;
      queued += entry.second.pool == row->pool &&
                (state == AllocationState::kQueued || state == AllocationState::kIntended);
    }
    memory_[row->pool].site_backlog = queued;
    memory_[row->pool].site_limit_until = clock_.Monotonic() + kSiteLimit;
  }
  Flush([this, rest = std::move(rest)](absl::Status) { SubmitNext(rest); });
}

}  // namespace coppice::pools
