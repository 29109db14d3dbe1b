#include "coordinator/core/recovery.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/lost_attempts.h"

namespace coppice::core {
namespace {

constexpr uint32_t kMaxDropped = 100'000;
// Enough jobs to estimate the pace of a group.
constexpr int kJobsOfPace = 20;
constexpr uint32_t kNewestOperations = 20;

struct Clocks {
  int64_t now_ms;
  absl::Duration now;
};

void RecoverJob(Memory& memory, const JobRow& job, const GroupRow& group, const Clocks& clocks) {
  if (job.state == JobState::kRunning) {
    Apply(memory, LeaseOf(job, group.spec.work_per_step, /*recovered=*/true, clocks.now));
    return;
  }
  absl::Duration eligible_at = absl::ZeroDuration();
  if (job.not_before_ms > clocks.now_ms) {
    absl::Duration wait = absl::Milliseconds(job.not_before_ms - clocks.now_ms);
    // A wait beyond the longest possible one shows that the wall clock was set back while nothing
    // ran. A shorter wait is the one that was set, after a failure or after lost attempts.
    if (wait > kLongestLostBackoff) {
      wait = job.failures > 0 ? FailureBackoff(job.failures) : kLongestLostBackoff;
    }
    eligible_at = clocks.now + wait;
  }
  Apply(memory, QueuedJob(job, eligible_at));
}

// Estimates the pace from jobs that were trained in one attempt: only then is it known how long
// they held a slot.
absl::Status RecallPace(ReadTransaction& read, Memory& memory, const GroupRow& group) {
  int looked_at = 0;
  Pace pace;
  COPPICE_RETURN_IF_ERROR(read.ScanJobs(
      group.first_job, group.first_job + group.jobs - 1, StateSet({JobState::kSucceeded}),
      [&](const JobRow& job) {
        if (job.attempts == 1 && job.finished_ms > job.started_ms && job.started_ms > 0) {
          pace.steps += job.step;
          pace.seconds += static_cast<double>(job.finished_ms - job.started_ms) / 1e3;
        }
        return ++looked_at < kJobsOfPace;
      }));
  Apply(memory, PaceRecalled{group.sweep_id, group.id, pace});
  return absl::OkStatus();
}

// The time since when the sweep's jobs could be granted: its submission, or when a person resumed
// or extended it.
absl::StatusOr<int64_t> OpenSince(ReadTransaction& read, const SweepRow& sweep) {
  int64_t since_ms = sweep.created_ms;
  COPPICE_ASSIGN_OR_RETURN(const auto operations, read.ListOperations(sweep.id, kNewestOperations));
  for (const Operation& operation : operations) {
    if (operation.action == kResumedAction || operation.action == kExtendedAction)
      since_ms = std::max(since_ms, operation.time_ms);
  }
  return since_ms;
}

absl::Status RecoverSweep(ReadTransaction& read, Memory& memory, const SweepRow& sweep,
                          const Clocks& clocks) {
  COPPICE_ASSIGN_OR_RETURN(const std::vector<GroupRow> groups, read.ListGroups(sweep.id));
  Apply(memory, SweepAdded{sweep, groups});
  const StateSet open({JobState::kPending, JobState::kRunning});
  bool never_granted = false;
  for (const GroupRow& group : groups) {
    if (group.counts.unfinished() == 0) continue;
    if (group.counts.succeeded > 0) COPPICE_RETURN_IF_ERROR(RecallPace(read, memory, group));
    COPPICE_RETURN_IF_ERROR(read.ScanJobs(group.first_job, group.first_job + group.jobs - 1, open,
                                          [&](const JobRow& job) {
                                            RecoverJob(memory, job, group, clocks);
                                            never_granted = never_granted || job.attempts == 0;
                                            return true;
                                          }));
  }
  // The wait of a job since its last attempt is not known.
  if (sweep.paused || !never_granted) return absl::OkStatus();
  COPPICE_ASSIGN_OR_RETURN(const int64_t since_ms, OpenSince(read, sweep));
  Apply(memory, WaitRecalled{std::min(since_ms, clocks.now_ms)});
  return absl::OkStatus();
}

}  // namespace

absl::Status Recover(Store& store, Clock& clock, Memory& memory, std::vector<Checkpoint>& dropped) {
  const Clocks clocks{clock.NowMillis(), clock.Monotonic()};
  return store.Read([&](ReadTransaction& read) -> absl::Status {
    StoreOpened opened{store.store_id(), 0, {}, {}, {}};
    COPPICE_ASSIGN_OR_RETURN(opened.attempt_floor, read.GetAttemptFloor());
    COPPICE_ASSIGN_OR_RETURN(opened.cut_short, read.ListIncompleteSweeps());
    COPPICE_ASSIGN_OR_RETURN(opened.continuing, read.ListContinuingSweeps());
    COPPICE_ASSIGN_OR_RETURN(opened.half_deleted, read.ListDeletedSweeps());
    Apply(memory, std::move(opened));
    COPPICE_ASSIGN_OR_RETURN(const auto sweeps, read.ListSweeps());
    for (const SweepRow& sweep : sweeps)
      COPPICE_RETURN_IF_ERROR(RecoverSweep(read, memory, sweep, clocks));
    COPPICE_ASSIGN_OR_RETURN(const auto workers, read.ListWorkers());
    for (const WorkerRow& row : workers) {
      WorkerEntry entry;
      entry.row = row;
      Apply(memory, WorkerPut{std::move(entry)});
    }
    COPPICE_ASSIGN_OR_RETURN(dropped, read.ListDroppedCheckpoints(kMaxDropped));
    return absl::OkStatus();
  });
}

}  // namespace coppice::core
