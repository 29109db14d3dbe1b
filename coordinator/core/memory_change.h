// Everything that may change the core's memory, one value for each kind of change.
//
// Live commands and recovery make the same values, and Apply is the only function that carries them
// out. Beside Apply two things change memory, both without a commit behind them: time (a wait that
// is over makes a job ready), and the answer to a waiter, which takes it out.
#ifndef COPPICE_COORDINATOR_CORE_MEMORY_CHANGE_H_
#define COPPICE_COORDINATOR_CORE_MEMORY_CHANGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/core/dispatch/scheduler.h"
#include "coordinator/core/dispatch/waiters.h"
#include "coordinator/core/dispatch/worker_health.h"
#include "coordinator/core/lease_table.h"
#include "coordinator/core/metric_names.h"
#include "coordinator/core/store.h"
#include "coordinator/core/worker_table.h"

namespace coppice::core {

struct Memory;

// ---- sweeps

// A submission began. Its jobs are not granted before the whole sweep is stored.
struct SubmissionBegan {
  SweepId sweep = 0;
};
// New jobs of a group were stored, PENDING at step 0: `first` and those after it, before `end`.
struct JobsStored {
  Scheduler::Group group;
  JobId first = 0;
  JobId end = 0;
};
// A sweep is stored as a whole. From now on people see it, and its jobs are granted unless it is
// paused.
struct SweepAdded {
  SweepRow sweep;
  std::vector<GroupRow> groups;
};
// A sweep was extended: these of its groups are new or have another spec.
struct SweepExtended {
  SweepRow sweep;
  std::vector<GroupRow> groups;
};
// A part of an interrupted submission was deleted; `gone`: nothing of it is left.
struct SubmissionTakenBack {
  SweepId sweep = 0;
  std::vector<GroupId> groups;
  bool gone = false;
};
// A person deleted a sweep, whose jobs have all ended. Its rows may still be there.
struct SweepDeleted {
  SweepId sweep = 0;
  std::vector<GroupId> groups;
};
// A person paused or resumed a sweep.
struct SweepPaused {
  SweepId sweep = 0;
  bool paused = false;
};

// ---- jobs and leases

// A job waits for a worker. It is not granted before `eligible_at` (monotonic; zero: at once).
struct JobQueued {
  GroupId group = 0;
  JobId job = 0;
  uint32_t resume_step = 0;
  absl::Duration eligible_at = absl::ZeroDuration();
};
// A job no longer waits: it was granted, or it ended. `resume_step` is the one it was queued with.
struct JobUnqueued {
  GroupId group = 0;
  JobId job = 0;
  uint32_t resume_step = 0;
};
// A worker holds a job. Its full term begins at `at`.
struct LeaseBegan {
  LeaseRef lease;
  SweepId sweep = 0;
  GroupId group = 0;
  std::string worker;  // name
  uint32_t stored_step = 0;
  double work_per_step = 0;
  bool recovered = false;  // LeaseEntry: granted before this process began
  absl::Duration at;
};
// The attempt ended, however it did.
struct LeaseEnded {
  LeaseRef lease;
  absl::Duration at;
};
// The job of a lease stands at another step in the database.
struct StepStored {
  LeaseRef lease;
  uint32_t step = 0;
};
// A heartbeat or a registration of `worker` listed these leases. Those that it really holds get a
// new term and the trainers' figures.
struct LeasesRenewed {
  std::string worker;  // name
  std::vector<HeldLease> held;
  absl::Duration at;
};
// A heartbeat of its worker did not list the lease.
struct LeaseMissed {
  LeaseRef lease;
};
// The pace of a group's jobs before this process began, from the database.
struct PaceRecalled {
  SweepId sweep = 0;
  GroupId group = 0;
  Pace pace;
};
// Work has waited since then, in Unix time, as the database tells after a restart.
struct WaitRecalled {
  int64_t since_ms = 0;
};
// A waiter got its grant. The count decides whose turn it is (scheduler.h).
struct GrantMade {
  size_t jobs = 0;
};

// ---- workers

// A process has a worker's name, after its registration or after a restart of the coordinator.
struct WorkerPut {
  WorkerEntry entry;
};
// The stored row of a worker changed: a drain, the time it was last seen, a refused older process.
struct WorkerRowStored {
  WorkerRow row;
};
// A worker called, other than by a heartbeat.
struct WorkerTouched {
  std::string id;
  absl::Duration at;
  int64_t at_ms = 0;
};
// A worker's heartbeat arrived.
struct WorkerBeat {
  std::string id;
  BeatState state;
  absl::Duration at;
  int64_t at_ms = 0;
};
// A worker process said goodbye. Its waiting requests end.
struct WorkerDeparted {
  WorkerRow row;
};
// Workers that were long gone were deleted. The next look for such workers is at `next_look`.
struct WorkersForgotten {
  std::vector<std::string> names;
  absl::Duration next_look;
};

// ---- worker health (worker_health.h)

// Another process took a worker's name.
struct WorkerProcessChanged {
  std::string worker;  // name
  bool same_settings = false;
};
// An attempt failed before it got anywhere.
struct WorkerFailed {
  std::string worker;  // name
  WorkerHealth::Failure failure;
  absl::Duration at;
  int64_t at_ms = 0;
};
// A job made progress on the worker.
struct WorkerProgressed {
  std::string worker;  // name
  int64_t at_ms = 0;
};
// A pack of `width` jobs did not fit the worker's memory.
struct PackTooWide {
  std::string worker;  // name
  GroupId group = 0;
  uint32_t width = 0;
};
// The worker measured that packs of `width` jobs are best.
struct PackMeasured {
  std::string worker;  // name
  GroupId group = 0;
  uint32_t width = 0;
};

// ---- other

// The database has these metric names of a sweep; `count` is the sweep's number of names.
struct SweepMetricNames {
  SweepId sweep = 0;
  std::vector<std::string> names;
  size_t count = 0;
};
// The database has exactly these metric names of a job.
struct JobMetricNames {
  JobId job = 0;
  MetricNames::Set names;
};
// A request for work found none yet and waits. A waiter that it replaces must be answered
// (Waiters::TakeReplaced).
struct WaiterAdded {
  Waiter waiter;
};
// The store accepts no changes for this reason; empty: it accepts them again.
struct StoreTroubled {
  std::string reason;
};
// The database was opened. What it says here stays true as long as the process lives.
struct StoreOpened {
  std::string store_id;
  AttemptNumber attempt_floor = 0;
  std::vector<SweepRow> cut_short;
  std::vector<SweepRow> continuing;
  std::vector<SweepRow> half_deleted;
};
// The pools have counted what each sweep has used: their workers get no jobs of these.
struct SpentSweepsCounted {
  pools::SpentSweeps spent;
};

using MemoryChange =
    std::variant<SubmissionBegan, JobsStored, SweepAdded, SweepExtended, SubmissionTakenBack,
                 SweepDeleted, SweepPaused, JobQueued, JobUnqueued, LeaseBegan, LeaseEnded,
                 StepStored, LeasesRenewed, LeaseMissed, PaceRecalled, WaitRecalled, GrantMade,
                 WorkerPut, WorkerRowStored, WorkerTouched, WorkerBeat, WorkerDeparted,
                 WorkersForgotten, WorkerProcessChanged, WorkerFailed, WorkerProgressed,
                 PackTooWide, PackMeasured, SweepMetricNames, JobMetricNames, WaiterAdded,
                 StoreTroubled, StoreOpened, SpentSweepsCounted>;

// The changes that a row stands for. A command makes them from the row that it wrote, recovery from
// the row that it read.
Scheduler::Group GroupOf(const GroupRow& group, int32_t priority);
JobQueued QueuedJob(const JobRow& job, absl::Duration eligible_at);
JobUnqueued UnqueuedJob(const JobRow& job);
LeaseBegan LeaseOf(const JobRow& job, double work_per_step, bool recovered, absl::Duration at);

// Carries out a change, on the writer thread and after its commit. It reads no clock and cannot
// fail.
void Apply(Memory& memory, MemoryChange change);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_MEMORY_CHANGE_H_
