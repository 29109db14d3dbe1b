#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/views.h"

namespace coppice::core {
namespace {

// Answers for a sweep that is already stored. OK if the client repeats the same sweep; an error if
// it means another one.
absl::StatusOr<SubmitResult> Resubmit(CommandContext& tx, const SweepRow& stored,
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

absl::StatusOr<std::vector<GroupRow>> InsertGroups(CommandContext& tx, SweepId sweep_id,
                                                   const SweepSpec& spec) {
  std::vector<GroupRow> groups;
  for (const GroupSpec& group_spec : spec.groups) {
    GroupRow group;
    group.sweep_id = sweep_id;
    group.spec = group_spec;
    group.seeds_ascend = std::is_sorted(spec.seeds.begin(), spec.seeds.end());
    group.jobs = spec.seeds.size();
    group.counts.pending = group.jobs;
    COPPICE_ASSIGN_OR_RETURN(group.id, tx.write().InsertGroup(group));
    COPPICE_ASSIGN_OR_RETURN(group.first_job,
                             tx.write().ReserveJobs(sweep_id, group.id, group.jobs));
    groups.push_back(std::move(group));
  }
  return groups;
}

// Inserts up to `most` jobs after the first `inserted` ones. Sets `now_inserted` to the new count.
absl::Status InsertSome(CommandContext& tx, const Submission& submission, uint64_t inserted,
                        uint64_t most, uint64_t& now_inserted) {
  const std::vector<uint32_t>& seeds = submission.spec->seeds;
  const uint64_t end = std::min(submission.jobs(), inserted + most);
  for (uint64_t at = inserted; at < end;) {
    const GroupRow& group = submission.groups[at / seeds.size()];
    const uint64_t first = at % seeds.size();
    const uint64_t last = std::min<uint64_t>(seeds.size(), first + end - at);
    COPPICE_RETURN_IF_ERROR(
        tx.write().InsertJobs(submission.sweep.id, group.id, group.first_job + first,
                              absl::MakeConstSpan(seeds).subspan(first, last - first)));
    tx.AfterCommit(JobsStored{GroupOf(group, submission.sweep.priority), group.first_job + first,
                              group.first_job + last});
    at += last - first;
  }
  now_inserted = end;
  return absl::OkStatus();
}

// Called after the last job was inserted: the sweep is now submitted.
absl::StatusOr<SubmitResult> Complete(CommandContext& tx, const Submission& submission) {
  COPPICE_RETURN_IF_ERROR(NoteOperation(tx, submission.sweep.id, submission.sweep.name,
                                        submission.caller, "submitted",
                                        absl::StrCat(submission.jobs(), " jobs")));
  SubmitResult result{MakeSummary(submission.sweep, submission.groups, tx.memory().leases),
                      submission.plan, true};
  for (size_t i = 0; i < submission.groups.size(); ++i) {
    result.plan.groups[i].id = submission.groups[i].id;
  }
  tx.AfterCommit(SweepAdded{submission.sweep, submission.groups});
  return result;
}

}  // namespace

absl::StatusOr<SubmitStep> BeginSubmit(CommandContext& tx, const Submission& submission) {
  const SweepSpec& spec = *submission.spec;
  SubmitStep step;
  COPPICE_ASSIGN_OR_RETURN(const std::optional<SweepRow> stored, tx.read().FindSweep(spec.name));
  if (stored.has_value()) {
    COPPICE_ASSIGN_OR_RETURN(step.result, Resubmit(tx, *stored, spec, submission.plan));
    return step;
  }
  COPPICE_ASSIGN_OR_RETURN(const auto incomplete, tx.read().ListIncompleteSweeps());
  for (const SweepRow& sweep : incomplete) {
    if (sweep.name == spec.name) step.leftover = sweep.id;
  }
  if (step.leftover != 0) return step;

  Submission& begun = step.begun.emplace(submission);
  SweepRow& sweep = begun.sweep;
  sweep.name = spec.name;
  sweep.priority = spec.priority;
  sweep.max_failures = spec.max_failures;
  sweep.created_ms = tx.now_ms();
  sweep.steps_total = submission.plan.steps_total;
  sweep.unfinished = submission.plan.jobs;
  sweep.tags = spec.tags;
  COPPICE_ASSIGN_OR_RETURN(sweep.id, tx.write().InsertSweep(sweep, spec.spec_blob));
  COPPICE_ASSIGN_OR_RETURN(begun.groups, InsertGroups(tx, sweep.id, spec));
  // No job is granted before the whole sweep is stored.
  tx.AfterCommit(SubmissionBegan{sweep.id});
  COPPICE_RETURN_IF_ERROR(InsertSome(tx, begun, 0, tx.memory().options.jobs_a_part, step.inserted));
  if (step.inserted == begun.jobs()) {
    COPPICE_ASSIGN_OR_RETURN(step.result, Complete(tx, begun));
  }
  return step;
}

absl::StatusOr<SubmitStep> ContinueSubmit(CommandContext& tx, const Submission& submission,
                                          uint64_t inserted) {
  SubmitStep step;
  COPPICE_RETURN_IF_ERROR(
      InsertSome(tx, submission, inserted, tx.memory().options.jobs_a_part, step.inserted));
  if (step.inserted == submission.jobs()) {
    COPPICE_ASSIGN_OR_RETURN(step.result, Complete(tx, submission));
  }
  return step;
}

absl::StatusOr<bool> TakeBackSubmit(CommandContext& tx, SweepId id) {
  const uint64_t part = tx.memory().options.jobs_a_part;
  COPPICE_ASSIGN_OR_RETURN(const std::vector<GroupRow> groups, tx.read().ListGroups(id));
  COPPICE_ASSIGN_OR_RETURN(const DeletedPart deleted, tx.write().DeletePartOfSweep(id, part));
  SubmissionTakenBack change{id, {}, deleted.gone};
  for (const GroupRow& group : groups) change.groups.push_back(group.id);
  tx.AfterCommit(std::move(change));
  return deleted.gone;
}

}  // namespace coppice::core
