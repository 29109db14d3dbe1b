#ifndef COPPICE_COORDINATOR_SERVICE_WATCH_QUEUE_H_
#define COPPICE_COORDINATOR_SERVICE_WATCH_QUEUE_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/service/byte_budget.h"

namespace coppice::service {

// Purpose: the changes not yet sent to one watcher. A newer change of a job replaces one that still
// waits, and so does a newer summary: a slow watcher sees fewer states, never older ones. Owner:
// the watch stream. Thread-safe. Failure codes (of Pop): RESOURCE_EXHAUSTED when more than
// `max_jobs` jobs wait, or when the bound of all watchers is reached and more than kFew wait for
// this one. The watcher should then list the jobs and watch again. NOT_FOUND, after all changes:
// the sweep was deleted.
class WatchQueue {
 public:
  // The number of jobs that may always wait.
  static constexpr size_t kFew = 16;

  // `of_all` counts the waiting jobs of all watchers.
  WatchQueue(size_t max_jobs, std::shared_ptr<ByteBudget> of_all)
      : max_jobs_(max_jobs), of_all_(std::move(of_all)) {}
  ~WatchQueue() { of_all_->GiveBack(jobs_.size()); }

  void Push(const core::SweepChange& change);

  struct Next {
    std::optional<core::Job> job;
    std::optional<core::SweepSummary> summary;
    bool end = false;  // everything was sent and the sweep has ended
  };
  // All fields empty: nothing waits.
  absl::StatusOr<Next> Pop();

 private:
  static constexpr core::JobId kSummary = 0;  // stands for the summary in order_

  const size_t max_jobs_;
  const std::shared_ptr<ByteBudget> of_all_;
  absl::Mutex mutex_;
  std::deque<core::JobId> order_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<core::JobId, core::Job> jobs_ ABSL_GUARDED_BY(mutex_);
  std::optional<core::SweepSummary> summary_ ABSL_GUARDED_BY(mutex_);
  bool overflow_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool deleted_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_WATCH_QUEUE_H_
