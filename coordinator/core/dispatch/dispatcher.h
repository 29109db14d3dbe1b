// The choice of jobs for waiting workers. Each policy is a file of this folder:
//   waiters.h        the order of the waiters: that of their requests
//   scheduler.h      the order of the jobs
//   pack_rules.h     the width of a pack
//   worker_health.h  the workers that are passed over for a while, and the widths that fit them
//   admission.h      the limit on new work while workers or the coordinator fall behind
//   turn_budget.h    the limit on new work in one turn of the writer
#ifndef COPPICE_COORDINATOR_CORE_DISPATCH_DISPATCHER_H_
#define COPPICE_COORDINATOR_CORE_DISPATCH_DISPATCHER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/dispatch/admission.h"
#include "coordinator/core/dispatch/scheduler.h"
#include "coordinator/core/dispatch/turn_budget.h"
#include "coordinator/core/dispatch/waiters.h"
#include "coordinator/core/dispatch/worker_health.h"
#include "coordinator/core/lease_table.h"
#include "coordinator/core/worker_table.h"

namespace coppice::core {

// Purpose: decides which waiter gets which jobs now, and at most how many. It plans; the command
// Grant (grant_commands.cc) stores the grant. The parts mirror committed state: Apply
// (memory_change.h) changes them after commits.
// Owner: Memory, which also owns `workers` and `leases`. Threads: the writer thread alone. No
// failure codes. Nothing is durable.
class Dispatcher {
 public:
  Dispatcher(const WorkerTable* workers, const LeaseTable* leases,
             absl::Duration heartbeat_interval)
      : admission(heartbeat_interval), workers_(*workers), leases_(*leases) {}

  struct Grant {
    Waiter waiter;
    Scheduler::Pick pick;
    bool unmeasured = false;  // LeaseGrant
  };
  struct Answer {
    Waiter waiter;
    absl::StatusOr<LeaseGrant> result;
  };
  struct Plan {
    std::vector<Grant> grants;
    std::vector<Answer> answers;  // waiters whose callers or workers have gone
  };

  // Sets how many jobs the turn may grant (turn_budget.h).
  void BeginTurn(size_t others, bool backlog) { budget_.BeginTurn(others, backlog); }
  // Plans a grant for each waiter, in their order, while there is work and the turn may grant more.
  // It takes the waiters out; the caller runs the grants and gives the answers. A draining worker
  // waits, and so does a suspect one while another is connected.
  Plan PlanGrants(absl::Duration now);

  // Admits the jobs whose wait is over.
  void PromoteDelayed(absl::Duration now) { scheduler.PromoteDelayed(now); }
  // Returns the next time at which a plan may find more to grant or a waiter's deadline passes.
  std::optional<absl::Duration> NextDue(absl::Duration now) const;

  Waiters waiters;
  Scheduler scheduler;
  WorkerHealth health;
  Admission admission;
  // Sweeps whose jobs a pool's workers do not get, by the pool's name.
  absl::flat_hash_map<std::string, absl::flat_hash_set<SweepId>> spent;
  uint64_t grants = 0;  // total, for the scheduler's turns
  double width = 0;     // jobs a grant, weighted toward the newest; 0: none was made yet

  // Notes at the end of a turn whether jobs are left that no waiter took. True: work has come.
  bool NoteWaiting(int64_t now_ms);
  // Work has waited since then, before this process began; the earliest time counts.
  void RecallWaiting(int64_t since_ms);
  // Since when jobs have waited without a break, in Unix time; 0: none waits.
  int64_t waiting_since_ms() const { return waiting_since_ms_; }

 private:
  // True if a trusted worker may take the work, now or when one of its slots is free.
  bool AnyTrusted(absl::Duration now) const;
  AllowedGroups AllowedTo(const Waiter& waiter) const;
  // Returns the jobs for a waiter, or nothing if no other waiter that is allowed the same can get a
  // job either.
  std::optional<Grant> Choose(const Waiter& waiter, const AllowedGroups& allowed,
                              const absl::flat_hash_set<JobId>& taken, uint64_t turn) const;

  const WorkerTable& workers_;
  const LeaseTable& leases_;
  TurnBudget budget_;
  int64_t waiting_since_ms_ = 0;
  size_t ready_ = 0;  // as NoteWaiting found it last
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_DISPATCH_DISPATCHER_H_
