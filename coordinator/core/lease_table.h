// The current leases: their holders, deadlines and rates.
#ifndef COPPICE_COORDINATOR_CORE_LEASE_TABLE_H_
#define COPPICE_COORDINATOR_CORE_LEASE_TABLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
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
  uint32_t stored_step = 0;  // as stored
  uint32_t live_step = 0;    // as in the last heartbeat
  // True if the lease was granted before this process began. Only then can the store lack records
  // that were acknowledged to the worker (after a restore, or if the disk lost writes). Otherwise
  // the worker is wrong.
  bool recovered = false;
  double steps_per_second = 0;
  double work_per_step = 0;
  uint32_t first_step = 0;  // step at which the attempt began
  // A running trainer may make no progress for this long. Zero: no trainer is known to run.
  absl::Duration stall_limit;
  absl::Duration got_on_at;  // last progress of the trainer
};

// The pace of a group's jobs while they held a slot: the steps of one job over its time. `seconds`
// is above 0 if `steps` is.
struct Pace {
  double steps = 0;
  double seconds = 0;
};

// Adds the running jobs of a sweep to the stored figures.
struct LiveStats {
  absl::flat_hash_map<GroupId, uint64_t> extra_steps;  // done but not yet reported
  double steps_per_second = 0;
  double work_per_second = 0;
  double extra_work = 0;
  uint64_t workers = 0;
  uint64_t leases = 0;
  // Covers running and ended leases, of groups that have made a step.
  absl::flat_hash_map<GroupId, Pace> pace;
  uint64_t silent = 0;  // leases whose trainer has made no progress for a while
  absl::Duration longest_silence;
};

// Purpose: the leases of RUNNING jobs, on the monotonic clock. Nothing here is durable: after a
// restart every lease starts a full term. Owner: the core. The writer thread changes it (after
// commits, and for heartbeats); other threads only read. Thread-safe.
class LeaseTable {
 public:
  explicit LeaseTable(absl::Duration term, Clock* clock = nullptr) : term_(term), clock_(clock) {}
  absl::Duration term() const { return term_; }
  // Returns how long a trainer has made no progress, or zero if that is no longer than heartbeats
  // and reports take. RateOf lowers the rate of a silent trainer: its earlier progress is spread
  // over the silence.
  absl::Duration SilenceOf(const LeaseEntry& entry) const;
  double RateOf(const LeaseEntry& entry) const;

  void Add(LeaseEntry entry, absl::Duration now);  // starts a term
  void Remove(const LeaseRef& ref, absl::Duration now);
  // Adds a group's pace from before this process began.
  void Recall(SweepId sweep, GroupId group, const Pace& pace);
  // Forgets the paces of a sweep that has no leases.
  void Forget(SweepId sweep);
  // Renews a lease that a heartbeat listed. False: `worker` does not hold it with this attempt.
  bool Renew(const HeldLease& held, const std::string& worker, absl::Duration now);
  // Counts a heartbeat of its worker that did not list the lease. Returns how many in a row did
  // not.
  int Miss(const LeaseRef& ref);
  void SetStoredStep(const LeaseRef& ref, uint32_t step);

  std::optional<LeaseEntry> Find(JobId job) const;
  std::vector<LeaseEntry> OfWorker(const std::string& worker) const;  // by job
  size_t CountOfWorker(const std::string& worker) const;
  std::map<SweepId, uint64_t> CountBySweep() const;
  std::map<SweepId, uint64_t> CountBySweep(const std::string& worker) const;
  std::vector<LeaseRef> Due(absl::Duration now, size_t limit) const;
  std::optional<absl::Duration> NextDeadline() const;
  LiveStats Live(SweepId sweep) const;
  // Totals since this process began.
  uint64_t begun() const;
  uint64_t ended() const;
  std::vector<LeaseEntry> All() const;  // by job; for tests

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
  // The answer of Live, kept up to date: a sweep may have a hundred thousand leases, and clients
  // ask once a second.
  struct Totals {
    LiveStats stats;
    size_t leases = 0;
    std::set<std::pair<absl::Duration, JobId>> got_on;  // of leases with a trainer
    absl::flat_hash_map<std::string, size_t> workers;
  };
  void AddTo(Totals& totals, const LeaseEntry& entry) const;
  void TakeFrom(Totals& totals, const LeaseEntry& entry) const;

  absl::flat_hash_map<SweepId, Totals> by_sweep_ ABSL_GUARDED_BY(mutex_);
  // Paces of ended leases, weighted toward the newest.
  absl::flat_hash_map<SweepId, absl::flat_hash_map<GroupId, Pace>> past_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_LEASE_TABLE_H_
