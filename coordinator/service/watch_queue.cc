#include "coordinator/service/watch_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace coppice::service {

void WatchQueue::Push(const core::SweepChange& change) {
  absl::MutexLock lock(&mutex_);
  if (overflow_) return;
  if (change.job.has_value()) {
    if (jobs_.insert_or_assign(change.job->id, *change.job).second) {
      order_.push_back(change.job->id);
      of_all_->Take(1);
    }
    if (jobs_.size() > max_jobs_ || (jobs_.size() > kFew && !of_all_->HasRoom())) {
      overflow_ = true;
      of_all_->GiveBack(jobs_.size());
      order_.clear();
      jobs_.clear();
      summary_.reset();
      return;
    }
  }
  if (change.summary.has_value()) {
    // The last summary must follow every job that it counts.
    if (summary_.has_value() && change.finished) {
      order_.erase(std::find(order_.begin(), order_.end(), kSummary));
      summary_.reset();
    }
    if (!summary_.has_value()) order_.push_back(kSummary);
    summary_ = change.summary;
  }
  finished_ = finished_ || change.finished;
  deleted_ = deleted_ || change.deleted;
}

absl::StatusOr<WatchQueue::Next> WatchQueue::Pop() {
  absl::MutexLock lock(&mutex_);
  if (overflow_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more jobs changed before the watcher read them than may wait (", max_jobs_,
                     " for one watcher, less while many are slow); list the jobs and watch again"));
  }
  Next next;
  if (order_.empty()) {
    if (deleted_ && !finished_) return absl::NotFoundError("the sweep was deleted");
    next.end = finished_;
    return next;
  }
  const core::JobId id = order_.front();
  order_.pop_front();
  if (id == kSummary) {
    next.summary = std::exchange(summary_, std::nullopt);
  } else {
    const auto it = jobs_.find(id);
    next.job = std::move(it->second);
    jobs_.erase(it);
    of_all_->GiveBack(1);
  }
  return next;
}

}  // namespace coppice::service
