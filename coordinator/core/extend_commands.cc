// Stores an extension. extension_plan.h decides what it changes.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/extension_plan.h"
#include "coordinator/core/point.h"
#include "coordinator/core/views.h"

namespace coppice::core {
namespace {

// Checks that the plan still fits what is stored.
absl::Status CheckPlan(CommandContext& tx, ExtensionPlan& plan) {
  COPPICE_ASSIGN_OR_RETURN(const auto sweep, tx.read().FindSweep(plan.sweep.name));
  if (!sweep.has_value() || sweep->id != plan.sweep.id)
    return absl::NotFoundError(absl::StrCat("no sweep named '", plan.sweep.name, "'"));
  plan.sweep.finished_ms = sweep->finished_ms;
  plan.sweep.paused = sweep->paused;
  COPPICE_ASSIGN_OR_RETURN(const std::string blob, tx.read().GetSpecBlob(sweep->id));
  if (blob != plan.stored_blob) {
    return absl::AbortedError(
        absl::StrCat("sweep '", plan.sweep.name, "' was changed meanwhile: extend again"));
  }
  for (const GroupRow& group : plan.fresh) {
    COPPICE_ASSIGN_OR_RETURN(const bool begun,
                             tx.read().AnyBegun(group.first_job, group.first_job + group.jobs - 1));
    if (!begun) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("jobs of ", PointText(group.spec),
                     " have begun meanwhile: their settings cannot change any more"));
  }
  return absl::OkStatus();
}

absl::Status ChangeGroups(CommandContext& tx, const ExtensionPlan& plan) {
  for (const GroupRow& group : plan.changed) COPPICE_RETURN_IF_ERROR(tx.write().UpdateGroup(group));
  for (const GroupId id : plan.to_follow)
    COPPICE_RETURN_IF_ERROR(tx.write().SetGroupContinuing(id, true));
  return absl::OkStatus();
}

absl::Status InsertParts(CommandContext& tx, ExtensionPlan& plan) {
  for (NewGroup& added : plan.added) {
    GroupRow& group = added.row;
    COPPICE_ASSIGN_OR_RETURN(group.id, tx.write().InsertGroup(group));
    COPPICE_ASSIGN_OR_RETURN(group.first_job,
                             tx.write().ReserveJobs(group.sweep_id, group.id, group.jobs));
    COPPICE_RETURN_IF_ERROR(
        tx.write().InsertJobs(group.sweep_id, group.id, group.first_job, added.seeds));
  }
  if (!plan.added.empty() && plan.sweep.finished_ms != 0)
    COPPICE_RETURN_IF_ERROR(tx.write().SetSweepFinished(plan.sweep.id, 0));
  return absl::OkStatus();
}

void TellMemory(CommandContext& tx, const ExtensionPlan& plan) {
  SweepExtended extended{plan.sweep, plan.changed};
  extended.groups.reserve(plan.changed.size() + plan.added.size());
  for (const NewGroup& added : plan.added) extended.groups.push_back(added.row);
  tx.AfterCommit(std::move(extended));
  for (const NewGroup& added : plan.added) {
    const GroupRow& group = added.row;
    tx.AfterCommit(JobsStored{GroupOf(group, plan.sweep.priority), group.first_job,
                              group.first_job + group.jobs});
  }
}

// "12 new jobs; 3 jobs go on; priority: 0 -> 5".
std::string Describe(const Extension& extension) {
  constexpr size_t kLines = 10;
  std::vector<std::string> parts;
  const auto count = [&parts](uint64_t n, const char* what) {
    if (n > 0) parts.push_back(absl::StrCat(n, what));
  };
  count(extension.new_jobs, " new jobs");
  count(extension.continued_jobs, " jobs go on");
  count(extension.longer_jobs, " jobs get more steps");
  count(extension.changed_jobs, " jobs get other settings");
  const size_t lines = std::min(extension.settings.size(), kLines);
  parts.insert(parts.end(), extension.settings.begin(),
               extension.settings.begin() + static_cast<ptrdiff_t>(lines));
  if (lines < extension.settings.size()) parts.emplace_back("...");
  return absl::StrJoin(parts, "; ");
}

// Lets one job that does not run follow its group to more steps.
absl::Status ContinueJob(CommandContext& tx, const JobRow& job, const GroupSpec& spec) {
  const bool ended_early = job.state == JobState::kSucceeded && job.step < spec.steps;
  if (job.attempt == 0 || (job.state == JobState::kSucceeded && !ended_early))
    return absl::OkStatus();
  JobRow after = job;
  COPPICE_ASSIGN_OR_RETURN(const AttemptRow last, tx.read().GetAttempt(job.id, job.attempt));
  COPPICE_ASSIGN_OR_RETURN(const bool shorter, tx.LeaveShorterRun(last, spec, after));
  if (ended_early) {
    after.reason.clear();
    const std::string cause = absl::StrCat("it has ", spec.steps, " steps now, and goes on from ",
                                           "step ", after.checkpoint_step);
    return tx.Move(job, JobTrigger::kExtend, std::move(after), cause);
  }
  return shorter ? tx.UpdateResting(job, after) : absl::OkStatus();
}

// Lets the jobs after `after` follow, one part of them. Returns the last of the part; 0: all have
// followed.
absl::StatusOr<JobId> ContinuePart(CommandContext& tx, SweepId id, JobId after) {
  const StateSet resting(
      {JobState::kPending, JobState::kSucceeded, JobState::kFailed, JobState::kCancelled});
  uint64_t left = std::min<uint64_t>(kBulkPart, tx.memory().options.jobs_a_part);
  COPPICE_ASSIGN_OR_RETURN(const std::vector<GroupRow> groups, tx.read().ListGroupCounts(id));
  for (const GroupRow& group : groups) {
    if (!group.continuing) continue;
    std::vector<JobRow> jobs;
    COPPICE_RETURN_IF_ERROR(tx.read().ScanJobs(std::max(group.first_job, after + 1),
                                               group.first_job + group.jobs - 1, resting,
                                               [&](const JobRow& job) {
                                                 jobs.push_back(job);
                                                 return jobs.size() < left;
                                               }));
    for (const JobRow& job : jobs) COPPICE_RETURN_IF_ERROR(ContinueJob(tx, job, group.spec));
    left -= jobs.size();
    if (left == 0) return jobs.back().id;
    COPPICE_RETURN_IF_ERROR(tx.write().SetGroupContinuing(group.id, false));
  }
  return 0;
}

}  // namespace

absl::StatusOr<ExtendStep> BeginExtend(CommandContext& tx, const Caller& caller,
                                       const std::string& spec_blob, ExtensionPlan plan) {
  COPPICE_RETURN_IF_ERROR(CheckPlan(tx, plan));
  COPPICE_RETURN_IF_ERROR(CountContinuations(tx.read(), plan));
  COPPICE_RETURN_IF_ERROR(ChangeGroups(tx, plan));
  COPPICE_RETURN_IF_ERROR(InsertParts(tx, plan));
  COPPICE_RETURN_IF_ERROR(tx.write().UpdateSweep(plan.sweep, spec_blob));
  COPPICE_RETURN_IF_ERROR(NoteOperation(tx, plan.sweep.id, plan.sweep.name, caller, kExtendedAction,
                                        Describe(plan.extension)));
  tx.effects().touched.push_back(plan.sweep.id);
  TellMemory(tx, plan);
  COPPICE_ASSIGN_OR_RETURN(ExtendStep step, ContinueExtend(tx, plan.sweep.id, 0));
  step.extension = std::move(plan.extension);
  return step;
}

absl::StatusOr<ExtendStep> ContinueExtend(CommandContext& tx, SweepId id, JobId after) {
  ExtendStep step;
  COPPICE_ASSIGN_OR_RETURN(step.next_after, ContinuePart(tx, id, after));
  if (step.next_after == 0) {
    COPPICE_ASSIGN_OR_RETURN(step.sweep, ReadSummary(tx.read(), id, tx.memory().leases));
  }
  return step;
}

}  // namespace coppice::core
