#ifndef COPPICE_COORDINATOR_CORE_DISPATCH_WAITERS_H_
#define COPPICE_COORDINATOR_CORE_DISPATCH_WAITERS_H_

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
  uint64_t number = 0;    // set by Add
  bool programs = false;  // its worker runs programs of the users' own
  std::string pool = {};  // that has asked for its worker; empty: none
};

// Purpose: lease requests that wait for work, in order of arrival. A waiter that was served and
// asks again goes to the end. A hundred thousand may wait, so no function here visits all of them
// except TakeAll and End. Owner: the writer thread; no other thread touches it. The caller must
// answer each Waiter that it takes out.
class Waiters {
 public:
  using Queue = std::list<Waiter>;

  // Replaces a waiter of the same request: it was sent again while the first still waits.
  void Add(Waiter waiter);
  // Ends the requests of a worker that has gone.
  void End(const std::string& worker);
  // Takes the requests that were replaced or ended.
  std::vector<Waiter> TakeReplaced();
  std::vector<Waiter> TakeOverdue(absl::Duration now);
  std::vector<Waiter> TakeAll();
  std::optional<absl::Duration> NextDeadline() const;

  size_t size() const { return queue_.size(); }
  // The waiters whose workers run programs.
  size_t programs() const { return programs_; }
  size_t CountOf(const std::string& worker) const;
  bool Has(const std::string& worker, const std::string& request_id) const {
    return by_request_.contains({worker, request_id});
  }

  // Iteration in order, for the code that serves waiters. Take removes one and moves `it` to the
  // next.
  Queue::iterator begin() { return queue_.begin(); }
  Queue::iterator end() { return queue_.end(); }
  Waiter Take(Queue::iterator& it);

 private:
  Queue queue_;
  uint64_t next_number_ = 1;
  std::map<std::pair<absl::Duration, uint64_t>, Queue::iterator> by_deadline_;
  absl::flat_hash_map<std::pair<std::string, std::string>, Queue::iterator> by_request_;
  absl::flat_hash_map<std::string, size_t> counts_;  // by worker; without zeros
  std::vector<Waiter> replaced_;
  size_t programs_ = 0;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_DISPATCH_WAITERS_H_
