#ifndef COPPICE_COORDINATOR_CORE_WAITERS_H_
#define COPPICE_COORDINATOR_CORE_WAITERS_H_

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "coordinator/core/coordinator.h"

namespace coppice::core {

struct Waiter {
  AcquireRequest request;
  std::string worker;  // name
  absl::Duration deadline;
  std::function<bool()> cancelled;
  Coordinator::Done<LeaseGrant> done;
  uint64_t number = 0;  // set by Add
};

// Purpose: lease requests that wait for work, in the order they came; who was served and asks again
// stands at the end. A hundred thousand may wait: nothing here looks at all of them. Owner: the
// writer thread, the only one to touch it. Each Waiter that is taken out is to be answered.
class Waiters {
 public:
  using Queue = std::list<Waiter>;

  // Returns the waiter it replaces: the same request, sent again while the first still waits.
  std::optional<Waiter> Add(Waiter waiter);
  std::vector<Waiter> TakeOverdue(absl::Duration now);
  std::vector<Waiter> TakeAll();
  std::optional<absl::Duration> NextDeadline() const;

  size_t size() const { return queue_.size(); }
  size_t CountOf(const std::string& worker) const;
  bool Has(const std::string& worker, const std::string& request_id) const {
    return by_request_.contains({worker, request_id});
  }

  // For the one who serves them: in order; Take moves one out and `it` on to the next.
  Queue::iterator begin() { return queue_.begin(); }
  Queue::iterator end() { return queue_.end(); }
  Waiter Take(Queue::iterator& it);

 private:
  Queue queue_;
  uint64_t next_number_ = 1;
  std::map<std::pair<absl::Duration, uint64_t>, Queue::iterator> by_deadline_;
  absl::flat_hash_map<std::pair<std::string, std::string>, Queue::iterator> by_request_;
  absl::flat_hash_map<std::string, size_t> counts_;  // by worker; no zeros
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_WAITERS_H_
