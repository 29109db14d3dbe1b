#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/job_filter.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/views.h"

namespace coppice::core {
namespace {

// The sweep is stored already: fine when a client sends it again, an error when it means another
// one.
absl::StatusOr<SubmitResult> Resubmit(Transaction& tx, const SweepRow& stored,
                                      const SweepSpec& spec, Plan plan) {
  COPPICE_ASSIGN_OR_RETURN(const std::string blob, tx.read().GetSpecBlob(stored.id));
  if (blob != spec.spec_blob) {
    return absl::AlreadyExistsError(absl::StrCat(
        "a sweep named '", spec.name, "' with other settings exists: choose another name"));
  }
  COPPICE_ASSIGN_OR_RETURN(SweepSummary summary,
                           ReadSummary(tx.read(), stored.id, tx.memory().leases));
  return SubmitResult{std::move(summary), std::move(plan), false};
}

absl::StatusOr<std::vector<GroupRow>> InsertGroups(Transaction& tx, SweepId sweep_id,
                                                   const SweepSpec& spec) {
  std::vector<GroupRow> groups;
  for (const GroupSpec& group_spec : spec.groups) {
    GroupRow group;
    group.sweep_id = sweep_id;
    group.spec = group_spec;
    COPPICE_ASSIGN_OR_RETURN(group.id, tx.write().InsertGroup(group));
    COPPICE_ASSIGN_OR_RETURN(group.first_job,
                             tx.write().InsertJobs(sweep_id, group.id, spec.seeds));
    group.jobs = spec.seeds.size();
    group.counts.pending = group.jobs;
    groups.push_back(std::move(group));
  }
  return groups;
}

void IndexSweep(Memory& memory, const SweepRow& sweep, const std::vector<GroupRow>& groups) {
  memory.catalog.Add(sweep, groups);
  for (const GroupRow& group : groups) {
    memory.scheduler.AddGroup(
        {group.id, sweep.id, sweep.priority, group.spec.work_per_step, group.spec.steps});
    for (uint64_t i = 0; i < group.jobs; ++i) {
      memory.scheduler.Add(group.id, group.first_job + i, 0, absl::ZeroDuration());
    }
  }
}

// The jobs of one part, read before any of them is changed.
absl::StatusOr<std::vector<JobRow>> SelectPart(Transaction& tx, const JobFilter& filter,
                                               StateSet states, JobId after) {
  std::vector<JobRow> jobs;
  COPPICE_RETURN_IF_ERROR(ForEachJob(tx.read(), tx.memory().catalog, filter, states, after,
                                     [&](const JobRow& job, const GroupInfo&) {
                                       jobs.push_back(job);
                                       return jobs.size() < kBulkPart;
                                     }));
  return jobs;
}

BulkPart PartOf(const std::vector<JobRow>& jobs) {
  return {jobs.size(), jobs.size() == kBulkPart ? jobs.back().id : 0};
}

}  // namespace

absl::StatusOr<SubmitResult> SubmitSweep(Transaction& tx, const SweepSpec& spec,
                                         uint32_t pack_width) {
  COPPICE_RETURN_IF_ERROR(CheckSpec(spec));
  Plan plan = MakePlan(spec, pack_width);
  COPPICE_ASSIGN_OR_RETURN(const std::optional<SweepRow> stored, tx.read().FindSweep(spec.name));
  if (stored.has_value()) return Resubmit(tx, *stored, spec, std::move(plan));

  SweepRow sweep;
  sweep.name = spec.name;
  sweep.priority = spec.priority;
  sweep.max_failures = spec.max_failures;
  sweep.created_ms = tx.now_ms();
  sweep.steps_total = plan.steps_total;
  sweep.unfinished = plan.jobs;
  COPPICE_ASSIGN_OR_RETURN(sweep.id, tx.write().InsertSweep(sweep, spec.spec_blob));
  COPPICE_ASSIGN_OR_RETURN(std::vector<GroupRow> groups, InsertGroups(tx, sweep.id, spec));
  SubmitResult result{MakeSummary(sweep, groups, tx.memory().leases), std::move(plan), true};
  for (size_t i = 0; i < groups.size(); ++i) result.plan.groups[i].id = groups[i].id;
  tx.AfterCommit(
      [sweep, groups = std::move(groups)](Memory& memory) { IndexSweep(memory, sweep, groups); });
  return result;
}

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
  COPPICE_ASSIGN_OR_RETURN(const std::vector<JobRow> jobs, SelectPart(tx, filter, open, after));
  for (const JobRow& job : jobs) {
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
  return PartOf(jobs);
}

absl::StatusOr<BulkPart> RetryPart(Transaction& tx, const JobFilter& filter, JobId after) {
  const StateSet ended({JobState::kFailed, JobState::kCancelled});
  COPPICE_ASSIGN_OR_RETURN(const std::vector<JobRow> jobs, SelectPart(tx, filter, ended, after));
  for (const JobRow& job : jobs) {
    JobRow retried = job;
    retried.failures = 0;
    retried.forgiven_epoch = job.epoch;
    retried.not_before_ms = 0;
    retried.reason.clear();
    COPPICE_RETURN_IF_ERROR(
        tx.Move(job, JobTrigger::kRetry, std::move(retried), "retried on request"));
  }
  return PartOf(jobs);
}

}  // namespace coppice::core
