#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/job_filter.h"
#include "coordinator/core/views.h"

namespace coppice::core {
namespace {

// The jobs of one part, read before any of them is changed.
struct Selection {
  std::vector<JobRow> jobs;
  JobId next_after = 0;
};

absl::StatusOr<Selection> SelectPart(Transaction& tx, const JobFilter& filter, StateSet states,
                                     JobId after) {
  Selection part;
  COPPICE_ASSIGN_OR_RETURN(part.next_after,
                           WalkJobs(tx.read(), tx.memory().catalog, filter, states, after,
                                    kBulkLooks, [&](const JobRow& job, const GroupInfo&) {
                                      part.jobs.push_back(job);
                                      return part.jobs.size() < kBulkPart;
                                    }));
  if (part.jobs.size() == kBulkPart) part.next_after = part.jobs.back().id;
  return part;
}

}  // namespace

absl::StatusOr<SweepSummary> SetSweepPaused(Transaction& tx, const std::string& name, bool paused) {
  COPPICE_ASSIGN_OR_RETURN(const std::optional<SweepRow> sweep, tx.read().FindSweep(name));
  if (!sweep.has_value()) return absl::NotFoundError(absl::StrCat("no sweep named '", name, "'"));
  if (sweep->paused != paused) {
    COPPICE_RETURN_IF_ERROR(tx.write().SetSweepPaused(sweep->id, paused));
    tx.effects().touched.push_back(sweep->id);
    tx.AfterCommit([id = sweep->id, paused](Memory& memory) {
      memory.catalog.SetPaused(id, paused);
      memory.scheduler.SetPaused(id, paused);
    });
  }
  return ReadSummary(tx.read(), sweep->id, tx.memory().leases);
}

absl::StatusOr<BulkPart> CancelPart(Transaction& tx, const JobFilter& filter, JobId after) {
  const StateSet open({JobState::kPending, JobState::kRunning});
  COPPICE_ASSIGN_OR_RETURN(const Selection part, SelectPart(tx, filter, open, after));
  for (const JobRow& job : part.jobs) {
    JobRow cancelled = job;
    cancelled.reason = "cancelled";
    cancelled.not_before_ms = 0;
    if (job.state == JobState::kRunning) {
      COPPICE_RETURN_IF_ERROR(
          tx.EndAttempt(job, JobTrigger::kCancel, std::move(cancelled),
                        {"cancelled", "cancelled on request", job.step, "", ""}));
    } else {
      COPPICE_RETURN_IF_ERROR(
          tx.Move(job, JobTrigger::kCancel, std::move(cancelled), "cancelled on request"));
    }
  }
  return BulkPart{part.jobs.size(), part.next_after};
}

absl::StatusOr<BulkPart> RetryPart(Transaction& tx, const JobFilter& filter, JobId after) {
  const StateSet ended({JobState::kFailed, JobState::kCancelled});
  COPPICE_ASSIGN_OR_RETURN(const Selection part, SelectPart(tx, filter, ended, after));
  for (const JobRow& job : part.jobs) {
    JobRow retried = job;
    retried.failures = 0;
    retried.forgiven_epoch = job.epoch;
    retried.not_before_ms = 0;
    retried.reason.clear();
    COPPICE_RETURN_IF_ERROR(
        tx.Move(job, JobTrigger::kRetry, std::move(retried), "retried on request"));
  }
  return BulkPart{part.jobs.size(), part.next_after};
}

}  // namespace coppice::core
