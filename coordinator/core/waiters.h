#ifndef COPPICE_COORDINATOR_CORE_WAITERS_H_
#define COPPICE_COORDINATOR_CORE_WAITERS_H_

#include <functional>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/core/coordinator.h"

namespace coppice::core {

struct Waiter {
  AcquireRequest request;
  std::string worker;  // name
  absl::Duration deadline;
  std::function<bool()> cancelled;
  Coordinator::Done<LeaseGrant> done;
};

// Purpose: lease requests that wait for work, in the order they came; who was served and asks again
// stands at the end. Owner: the writer thread, the only one to touch it. Each Waiter that is taken
// out is to be answered.
class Waiters {
 public:
  // Returns the waiter it replaces: the same request, sent again while the first still waits.
  std::optional<Waiter> Add(Waiter waiter);
  std::vector<Waiter> TakeOverdue(absl::Duration now);
  std::vector<Waiter> TakeAll();
  std::optional<absl::Duration> NextDeadline() const;
  // For the one who serves them.
  std::list<Waiter>& queue() { return queue_; }

 private:
  std::list<Waiter> queue_;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_WAITERS_H_
