#include "coordinator/core/dispatch/waiters.h"

#include <iterator>
#include <utility>

namespace coppice::core {

void Waiters::Add(Waiter waiter) {
  waiter.number = next_number_++;
  const std::pair<absl::Duration, uint64_t> place = {waiter.deadline, waiter.number};
  const auto present = by_request_.find({waiter.worker, waiter.request.request_id});
  programs_ += waiter.programs ? 1 : 0;
  if (present != by_request_.end()) {
    const Queue::iterator it = present->second;
    programs_ -= it->programs ? 1 : 0;
    by_deadline_.erase({it->deadline, it->number});
    by_deadline_.emplace(place, it);
    replaced_.push_back(std::exchange(*it, std::move(waiter)));
    return;
  }
  queue_.push_back(std::move(waiter));
  const auto it = std::prev(queue_.end());
  by_deadline_.emplace(place, it);
  by_request_.emplace(std::make_pair(it->worker, it->request.request_id), it);
  ++counts_[it->worker];
}

void Waiters::End(const std::string& worker) {
  size_t left = CountOf(worker);
  for (auto it = queue_.begin(); it != queue_.end() && left > 0;) {
    if (it->worker != worker) {
      ++it;
      continue;
    }
    replaced_.push_back(Take(it));
    --left;
  }
}

std::vector<Waiter> Waiters::TakeReplaced() { return std::exchange(replaced_, {}); }

Waiter Waiters::Take(Queue::iterator& it) {
  by_deadline_.erase({it->deadline, it->number});
  by_request_.erase(std::make_pair(it->worker, it->request.request_id));
  const auto count = counts_.find(it->worker);
  if (--count->second == 0) counts_.erase(count);
  programs_ -= it->programs ? 1 : 0;
  Waiter taken = std::move(*it);
  it = queue_.erase(it);
  return taken;
}

std::vector<Waiter> Waiters::TakeOverdue(absl::Duration now) {
  std::vector<Waiter> overdue;
  while (!by_deadline_.empty() && by_deadline_.begin()->first.first <= now) {
    Queue::iterator it = by_deadline_.begin()->second;
    overdue.push_back(Take(it));
  }
  return overdue;
}

std::vector<Waiter> Waiters::TakeAll() {
  std::vector<Waiter> all(std::make_move_iterator(queue_.begin()),
                          std::make_move_iterator(queue_.end()));
  queue_.clear();
  by_deadline_.clear();
  by_request_.clear();
  counts_.clear();
  programs_ = 0;
  return all;
}

std::optional<absl::Duration> Waiters::NextDeadline() const {
  if (by_deadline_.empty()) return std::nullopt;
  return by_deadline_.begin()->first.first;
}

size_t Waiters::CountOf(const std::string& worker) const {
  const auto it = counts_.find(worker);
  return it == counts_.end() ? 0 : it->second;
}

}  // namespace coppice::core
