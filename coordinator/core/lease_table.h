// Who holds what, until when, and how fast it goes.
#ifndef COPPICE_COORDINATOR_CORE_LEASE_TABLE_H_
#define COPPICE_COORDINATOR_CORE_LEASE_TABLE_H_

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "coordinator/core/types.h"

namespace coppice::core {

struct LeaseEntry {
  LeaseRef ref;
  SweepId sweep_id = 0;
  GroupId group_id = 0;
  std::string worker;  // name
  absl::Duration granted_at;
  absl::Duration renewed_at;
  absl::Duration deadline;
  int missed = 0;            // heartbeats in a row that did not list it
  uint32_t stored_step = 0;  // as the store has it
  uint32_t live_step = 0;    // as the last heartbeat has it
  // Granted before this process began. Only then can the store lack what its worker was told to be
  // durable (it was restored, or its disk lied); otherwise the worker errs.
  bool recovered = false;
  double steps_per_second = 0;
  double work_per_step = 0;
  uint32_t first_step = 0;  // where it began
  // A trainer runs, and may go so long without getting on; zero: none runs, as far as is known.
  absl::Duration stall_limit;
  absl::Duration got_on_at;  // when it last did
};

// What jobs of a group did while they held a slot: steps of one job over its time. `seconds` is
// above 0 where `steps` is.
struct Pace {
  double steps = 0;
  double seconds = 0;
};

// What the running jobs of a sweep add to what is stored.
struct LiveStats {
  absl::flat_hash_map<GroupId, uint64_t> extra_steps;  // done but not yet reported
  double steps_per_second = 0;
  double work_per_second = 0;
  double extra_work = 0;
  uint64_t workers = 0;
  uint64_t leases = 0;
  // Of leases that run and of those that have ended; of groups that have made a step.
  absl::flat_hash_map<GroupId, Pace> pace;
  uint64_t silent = 0;  // leases whose trainer has not got on for a while
  absl::Duration longest_silence;
};

// Purpose: the leases of RUNNING jobs, on the monotonic clock. Nothing here is durable: after a
// restart every lease starts a full term. Owner: the core; the writer thread changes it (after
// commits, and for heartbeats), readers look. Thread-safe.
class LeaseTable {
 public:
  explicit LeaseTable(absl::Duration term, Clock* clock = nullptr) : term_(term), clock_(clock) {}
  absl::Duration term() const { return term_; }
  // How long a trainer has not got on, if that is longer than heartbeats and reports take; zero
  // otherwise. Its rate then falls: what it did before is spread over the silence.
  absl::Duration SilenceOf(const LeaseEntry& entry) const;
  double RateOf(const LeaseEntry& entry) const;

  void Add(LeaseEntry entry, absl::Duration now);  // starts a term
  void Remove(const LeaseRef& ref, absl::Duration now);
  // What is known of a group from before this process began.
  void Recall(SweepId sweep, GroupId group, const Pace& pace);
  // A heartbeat listed it. False: not held by `worker` with this attempt.
  bool Renew(const HeldLease& held, const std::string& worker, absl::Duration now);
  // A heartbeat of its worker did not list it; how often in a row by now.
  int Miss(const LeaseRef& ref);
  void SetStoredStep(const LeaseRef& ref, uint32_t step);

  std::optional<LeaseEntry> Find(JobId job) const;
  std::vector<LeaseEntry> OfWorker(const std::string& worker) const;  // by job
  size_t CountOfWorker(const std::string& worker) const;
  std::vector<LeaseRef> Due(absl::Duration now, size_t limit) const;
  std::optional<absl::Duration> NextDeadline() const;
  LiveStats Live(SweepId sweep) const;
  // How many ever did.
  uint64_t begun() const;
  uint64_t ended() const;
  std::vector<SweepId> SweepsOf(const std::string& worker) const;

 private:
  absl::Duration SilenceAt(const LeaseEntry& entry, absl::Duration now) const;

  const absl::Duration term_;
  Clock* const clock_;
  mutable absl::Mutex mutex_;
  uint64_t begun_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t ended_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<JobId, LeaseEntry> leases_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<absl::Duration, JobId>> deadlines_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::set<JobId>> by_worker_ ABSL_GUARDED_BY(mutex_);
  // What Live answers, kept up to date: a sweep may have a hundred thousand leases, and people ask
  // once a second.
  struct Totals {
    LiveStats stats;
    size_t leases = 0;
    std::set<std::pair<absl::Duration, JobId>> got_on;  // of those with a trainer
    absl::flat_hash_map<std::string, size_t> workers;
  };
  void AddTo(Totals& totals, const LeaseEntry& entry) const;
  void TakeFrom(Totals& totals, const LeaseEntry& entry) const;

  absl::flat_hash_map<SweepId, Totals> by_sweep_ ABSL_GUARDED_BY(mutex_);
  // Of leases that have ended, the newest counting most.
  absl::flat_hash_map<SweepId, absl::flat_hash_map<GroupId, Pace>> past_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_LEASE_TABLE_H_
