#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/job_filter.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/views.h"

namespace coppice::core {
namespace {

// The jobs of one part, read before any of them is changed.
struct Selection {
  std::vector<JobRow> jobs;
  JobId next_after = 0;
};

absl::StatusOr<Selection> SelectPart(CommandContext& tx, const JobFilter& filter, StateSet states,
                                     JobId after) {
  Selection part;
  COPPICE_ASSIGN_OR_RETURN(part.next_after,
                           WalkJobs(tx.read(), tx.memory().catalog, filter, states, after,
                                    kBulkJobsRead, [&](const JobRow& job, const GroupInfo&) {
                                      part.jobs.push_back(job);
                                      return part.jobs.size() < kBulkPart;
                                    }));
  if (part.jobs.size() == kBulkPart) part.next_after = part.jobs.back().id;
  return part;
}

// Returns "tasks dyck; depths 2, 4", the restrictions of a filter, or "all" if it has none.
std::string Describe(const JobFilter& filter) {
  constexpr size_t kNamed = 20;
  std::vector<std::string> parts;
  const auto add = [&](const char* what, const auto& values) {
    if (values.empty()) return;
    const size_t named = std::min(kNamed, values.size());
    parts.push_back(absl::StrCat(
        what, " ", absl::StrJoin(values.begin(), values.begin() + static_cast<long>(named), ", ")));
    if (named < values.size())
      absl::StrAppend(&parts.back(), " and ", values.size() - named, " more");
  };
  add("jobs", filter.job_ids);
  add("tasks", filter.tasks);
  add("depths", filter.depths);
  add("seeds", filter.seeds);
  for (const AxisCondition& condition : filter.where) add(condition.axis.c_str(), condition.values);
  std::vector<std::string> states;
  for (const JobState state : filter.states) states.emplace_back(StateName(state));
  add("states", states);
  return parts.empty() ? "all" : absl::StrJoin(parts, "; ");
}

// Records the first part of a bulk change, for each sweep that it names or touches.
absl::Status NoteBulk(CommandContext& tx, const Caller& caller, const JobFilter& filter,
                      JobId after, const std::vector<JobRow>& jobs, const std::string& action) {
  if (after != 0 || jobs.empty()) return absl::OkStatus();
  std::set<SweepId> sweeps;
  for (const JobRow& job : jobs) sweeps.insert(job.sweep_id);
  for (const SweepId id : sweeps) {
    COPPICE_ASSIGN_OR_RETURN(const SweepRow sweep, tx.read().GetSweep(id));
    COPPICE_RETURN_IF_ERROR(NoteOperation(tx, id, sweep.name, caller, action, Describe(filter)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status NoteOperation(CommandContext& tx, SweepId id, const std::string& sweep,
                           const Caller& caller, const std::string& action,
                           const std::string& detail) {
  constexpr uint32_t kKept = 1000;  // of a sweep
  const std::string who = Describe(caller);
  COPPICE_RETURN_IF_ERROR(
      tx.write().InsertOperation(id, {tx.now_ms(), action, who, detail}, kKept));
  tx.Say(LogLine::kInfo,
         absl::StrCat("sweep ", sweep, ": ", action,
                      detail.empty() ? "" : absl::StrCat(" (", detail, ")"), " by ", who));
  return absl::OkStatus();
}

absl::StatusOr<SweepSummary> SetSweepPaused(CommandContext& tx, const Caller& caller,
                                            const std::string& name, bool paused) {
  COPPICE_ASSIGN_OR_RETURN(const std::optional<SweepRow> sweep, tx.read().FindSweep(name));
  if (!sweep.has_value()) return absl::NotFoundError(absl::StrCat("no sweep named '", name, "'"));
  if (sweep->paused != paused) {
    COPPICE_RETURN_IF_ERROR(tx.write().SetSweepPaused(sweep->id, paused));
    COPPICE_RETURN_IF_ERROR(
        NoteOperation(tx, sweep->id, name, caller, paused ? "paused" : kResumedAction, ""));
    tx.effects().touched.push_back(sweep->id);
    tx.AfterCommit(SweepPaused{sweep->id, paused});
  }
  return ReadSummary(tx.read(), sweep->id, tx.memory().leases);
}

absl::StatusOr<SweepSummary> AnnotateSweep(CommandContext& tx, const Caller& caller,
                                           const Annotation& annotation) {
  COPPICE_ASSIGN_OR_RETURN(const std::optional<SweepRow> sweep,
                           tx.read().FindSweep(annotation.name));
  if (!sweep.has_value())
    return absl::NotFoundError(absl::StrCat("no sweep named '", annotation.name, "'"));
  if (annotation.note.has_value() && *annotation.note != sweep->note) {
    COPPICE_RETURN_IF_ERROR(tx.write().SetSweepNote(sweep->id, *annotation.note));
    COPPICE_RETURN_IF_ERROR(NoteOperation(tx, sweep->id, sweep->name, caller, "noted",
                                          annotation.note->empty() ? "removed" : ""));
    tx.effects().touched.push_back(sweep->id);
  }
  std::set<std::string> tags(sweep->tags.begin(), sweep->tags.end());
  std::vector<std::string> changes;
  for (const std::string& tag : annotation.remove_tags) {
    if (tags.erase(tag) > 0) changes.push_back(absl::StrCat("-", tag));
  }
  for (const std::string& tag : annotation.add_tags) {
    if (tags.insert(tag).second) changes.push_back(absl::StrCat("+", tag));
  }
  if (!changes.empty()) {
    if (tags.size() > kMaxTags) {
      return absl::InvalidArgumentError(absl::StrCat("the sweep would have ", tags.size(),
                                                     " tags, at most ", kMaxTags, " are allowed"));
    }
    COPPICE_RETURN_IF_ERROR(tx.write().SetSweepTags(sweep->id, {tags.begin(), tags.end()}));
    COPPICE_RETURN_IF_ERROR(
        NoteOperation(tx, sweep->id, sweep->name, caller, "tagged", absl::StrJoin(changes, " ")));
    tx.effects().touched.push_back(sweep->id);
  }
  return ReadSummary(tx.read(), sweep->id, tx.memory().leases);
}

absl::StatusOr<BulkPart> CancelPart(CommandContext& tx, const Caller& caller,
                                    const JobFilter& filter, JobId after) {
  const StateSet open({JobState::kPending, JobState::kRunning});
  COPPICE_ASSIGN_OR_RETURN(const Selection part, SelectPart(tx, filter, open, after));
  COPPICE_RETURN_IF_ERROR(NoteBulk(tx, caller, filter, after, part.jobs, "cancelled jobs"));
  const std::string cause = absl::StrCat("cancelled on request of ", Describe(caller));
  for (const JobRow& job : part.jobs) {
    JobRow cancelled = job;
    cancelled.reason = "cancelled";
    cancelled.not_before_ms = 0;
    if (job.state == JobState::kRunning) {
      COPPICE_RETURN_IF_ERROR(tx.EndAttempt(job, JobTrigger::kCancel, std::move(cancelled),
                                            {AttemptOutcome::kCancelled, cause, job.step}));
    } else {
      COPPICE_RETURN_IF_ERROR(tx.Move(job, JobTrigger::kCancel, std::move(cancelled), cause));
    }
  }
  return BulkPart{part.jobs.size(), part.next_after};
}

absl::StatusOr<BulkPart> RetryPart(CommandContext& tx, const Caller& caller,
                                   const JobFilter& filter, JobId after) {
  const StateSet ended({JobState::kFailed, JobState::kCancelled});
  COPPICE_ASSIGN_OR_RETURN(const Selection part, SelectPart(tx, filter, ended, after));
  COPPICE_RETURN_IF_ERROR(NoteBulk(tx, caller, filter, after, part.jobs, "retried jobs"));
  const std::string cause = absl::StrCat("retried on request of ", Describe(caller));
  for (const JobRow& job : part.jobs) {
    JobRow retried = job;
    retried.failures = 0;
    retried.forgiven_attempt = job.attempt;
    retried.not_before_ms = 0;
    retried.reason.clear();
    COPPICE_RETURN_IF_ERROR(tx.Move(job, JobTrigger::kRetry, std::move(retried), cause));
  }
  return BulkPart{part.jobs.size(), part.next_after};
}

}  // namespace coppice::core
