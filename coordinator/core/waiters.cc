#include "coordinator/core/waiters.h"

#include <algorithm>
#include <utility>

namespace coppice::core {

std::optional<Waiter> Waiters::Add(Waiter waiter) {
  for (Waiter& present : queue_) {
    if (present.worker != waiter.worker || present.request.request_id != waiter.request.request_id)
      continue;
    return std::exchange(present, std::move(waiter));
  }
  queue_.push_back(std::move(waiter));
  return std::nullopt;
}

std::vector<Waiter> Waiters::TakeOverdue(absl::Duration now) {
  std::vector<Waiter> overdue;
  for (auto it = queue_.begin(); it != queue_.end();) {
    if (it->deadline > now) {
      ++it;
      continue;
    }
    overdue.push_back(std::move(*it));
    it = queue_.erase(it);
  }
  return overdue;
}

std::vector<Waiter> Waiters::TakeAll() {
  std::vector<Waiter> all(std::make_move_iterator(queue_.begin()),
                          std::make_move_iterator(queue_.end()));
  queue_.clear();
  return all;
}

std::optional<absl::Duration> Waiters::NextDeadline() const {
  std::optional<absl::Duration> next;
  for (const Waiter& waiter : queue_)
    next = std::min(next.value_or(waiter.deadline), waiter.deadline);
  return next;
}

}  // namespace coppice::core
