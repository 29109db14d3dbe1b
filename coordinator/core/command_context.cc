#include "coordinator/core/command_context.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace coppice::core {
namespace {

template <typename T>
void MoveTo(std::vector<T>& to, std::vector<T>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

void Effects::Append(Effects&& more) {
  MoveTo(memory, more.memory);
  MoveTo(log, more.log);
  MoveTo(changed, more.changed);
  MoveTo(touched, more.touched);
  MoveTo(finished, more.finished);
  MoveTo(logged, more.logged);
  MoveTo(dropped, more.dropped);
  MoveTo(deleted, more.deleted);
}

absl::Status CommandContext::Move(const JobRow& before, JobTrigger trigger, JobRow after,
                                  const std::string& cause) {
  const std::optional<JobState> next = NextState(before.state, trigger);
  if (!next.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat("job ", before.id, " is ",
                                                      StateName(before.state), ": it cannot be ",
                                                      EventTypeText(EventOf(trigger))));
  }
  after.state = *next;
  if (after.state != JobState::kRunning) after.worker.clear();
  after.finished_ms = IsOpen(after.state) ? 0 : now_ms_;
  COPPICE_RETURN_IF_ERROR(store_.UpdateJob(before, after));
  COPPICE_RETURN_IF_ERROR(LogEvent(after, EventOf(trigger), cause));
  COPPICE_RETURN_IF_ERROR(FinishOrReopenSweep(before, after));
  Reindex(before, after);
  effects_.changed.push_back(std::move(after));
  return absl::OkStatus();
}

absl::Status CommandContext::FinishOrReopenSweep(const JobRow& before, const JobRow& after) {
  if (IsOpen(before.state) == IsOpen(after.state)) return absl::OkStatus();
  COPPICE_ASSIGN_OR_RETURN(const SweepRow sweep, read().GetSweep(after.sweep_id));
  // All jobs of a deleted sweep have ended, so every change of one opens it again.
  if (sweep.deleted) return absl::NotFoundError(absl::StrCat("no job with id ", after.id));
  if (sweep.unfinished == 0) {
    effects_.finished.push_back(sweep.id);
    return store_.SetSweepFinished(sweep.id, now_ms_);
  }
  if (sweep.finished_ms != 0) return store_.SetSweepFinished(sweep.id, 0);
  return absl::OkStatus();
}

// Keeps the scheduler's index and the lease table consistent with the job.
void CommandContext::Reindex(const JobRow& before, const JobRow& after) {
  absl::Duration eligible_at = absl::ZeroDuration();
  if (after.not_before_ms > now_ms_)
    eligible_at = now_ + absl::Milliseconds(after.not_before_ms - now_ms_);
  if (before.state == JobState::kPending) AfterCommit(UnqueuedJob(before));
  if (before.state == JobState::kRunning) {
    AfterCommit(LeaseEnded{{before.id, before.attempt}, now_});
  }
  if (after.state == JobState::kPending) AfterCommit(QueuedJob(after, eligible_at));
  if (after.state == JobState::kRunning) {
    const auto group = memory_.catalog.Group(after.group_id);
    AfterCommit(LeaseOf(after, group == nullptr ? 0 : group->spec.work_per_step,
                        /*recovered=*/false, now_));
  }
}

absl::Status CommandContext::EndAttempt(const JobRow& before, JobTrigger trigger, JobRow after,
                                        const Ending& ending) {
  COPPICE_ASSIGN_OR_RETURN(AttemptRow attempt, read().GetAttempt(before.id, before.attempt));
  return EndAttempt(before, trigger, std::move(after), std::move(attempt), ending);
}

absl::Status CommandContext::EndAttempt(const JobRow& before, JobTrigger trigger, JobRow after,
                                        AttemptRow attempt, const Ending& ending) {
  attempt.ended_ms = now_ms_;
  attempt.outcome = ending.outcome;
  attempt.message = ending.message;
  attempt.failure = ending.failure;
  attempt.mark = ending.mark;
  attempt.log_tail = ending.log_tail;
  attempt.end_step = std::max({attempt.start_step, attempt.row_step, ending.end_step});
  COPPICE_RETURN_IF_ERROR(store_.UpdateAttempt(attempt));
  if (const auto group = memory_.catalog.Group(after.group_id); group != nullptr)
    COPPICE_RETURN_IF_ERROR(LeaveShorterRun(attempt, group->spec, after).status());
  return Move(before, trigger, std::move(after), ending.message);
}

absl::StatusOr<bool> CommandContext::LeaveShorterRun(const AttemptRow& last, const GroupSpec& spec,
                                                     JobRow& job) {
  if (last.steps == 0 || last.steps >= spec.steps) return false;
  if (HasCommonEnd(spec, last.steps)) return false;
  COPPICE_ASSIGN_OR_RETURN(auto listed, read().ListCheckpoints(job.id, CheckpointState::kListed));
  size_t at_end = 0;
  for (; at_end < listed.size() && listed[at_end].step == last.steps; ++at_end) {
    COPPICE_RETURN_IF_ERROR(store_.SetCheckpointState(job.id, listed[at_end].attempt, last.steps,
                                                      CheckpointState::kDropped));
    effects_.dropped.push_back(listed[at_end]);
  }
  if (at_end == 0 && last.row_step != last.steps) return false;
  std::optional<Checkpoint> current;
  if (at_end < listed.size()) current = std::move(listed[at_end]);
  COPPICE_ASSIGN_OR_RETURN(const uint32_t last_row, LastRowOf(read(), current));
  COPPICE_RETURN_IF_ERROR(store_.ArchiveMetrics(job.id, last_row).status());
  job.checkpoint_step = current.has_value() ? current->step : 0;
  job.step = job.checkpoint_step;
  return true;
}

absl::Status CommandContext::UpdateResting(const JobRow& before, const JobRow& after) {
  COPPICE_RETURN_IF_ERROR(store_.UpdateJob(before, after));
  if (after.state == JobState::kPending) Reindex(before, after);
  effects_.changed.push_back(after);
  return absl::OkStatus();
}

absl::Status CommandContext::UpdateRunning(const JobRow& before, const JobRow& after) {
  COPPICE_RETURN_IF_ERROR(store_.UpdateJob(before, after));
  AfterCommit(StepStored{{after.id, after.attempt}, after.step});
  effects_.changed.push_back(after);
  return absl::OkStatus();
}

absl::Status CommandContext::LogEvent(const JobRow& job, EventType type,
                                      const std::string& message) {
  return store_.InsertEvent(job.id, {now_ms_, job.attempt, type, message});
}

absl::StatusOr<std::optional<JobRow>> RunningJob(CommandContext& tx, const LeaseRef& lease) {
  absl::StatusOr<JobRow> job = tx.read().GetJob(lease.job_id);
  if (absl::IsNotFound(job.status())) return std::nullopt;
  if (!job.ok()) return job.status();
  if (job->state != JobState::kRunning || job->attempt != lease.attempt) return std::nullopt;
  return *std::move(job);
}

bool MayHaveLost(const CommandContext& tx, const LeaseRef& lease) {
  const auto entry = tx.memory().leases.Find(lease.job_id);
  return !entry.has_value() || entry->ref != lease || entry->recovered;
}

absl::StatusOr<const WorkerEntry*> KnownWorker(const CommandContext& tx,
                                               const std::string& worker_id) {
  const WorkerEntry* worker = tx.memory().workers.FindById(worker_id);
  if (worker == nullptr || worker->row.departed_ms != 0) {
    return absl::NotFoundError(
        absl::StrCat("worker '", worker_id, "' is not registered (any more): register again"));
  }
  return worker;
}

absl::StatusOr<JobRow> CurrentLease(CommandContext& tx, const std::string& worker_id,
                                    const LeaseRef& lease) {
  COPPICE_ASSIGN_OR_RETURN(const WorkerEntry* worker, KnownWorker(tx, worker_id));
  auto job = tx.read().GetJob(lease.job_id);
  if (!job.ok() && !absl::IsNotFound(job.status())) return job.status();
  const bool current = job.ok() && job->state == JobState::kRunning &&
                       job->attempt == lease.attempt && job->worker == worker->row.info.name;
  if (!current) {
    return absl::AbortedError(
        absl::StrCat("the lease of job ", lease.job_id, ", attempt ", lease.attempt, ", is over"));
  }
  return job;
}

absl::StatusOr<std::shared_ptr<const GroupInfo>> GroupOf(const CommandContext& tx,
                                                         const JobRow& job) {
  auto group = tx.memory().catalog.Group(job.group_id);
  if (group != nullptr) return group;
  return absl::InternalError(absl::StrCat("job ", job.id, " is not in the catalog"));
}

bool HasCommonEnd(const GroupSpec& spec, uint32_t steps) {
  const uint32_t every = spec.common_row_every == 0 ? spec.report_every : spec.common_row_every;
  return steps % every == 0;
}

std::string CheckpointDir(const std::string& sweep, const LeaseRef& lease) {
  return absl::StrCat(sweep, "/", lease.job_id, "/attempt-", lease.attempt);
}

absl::StatusOr<uint32_t> LastRowOf(ReadTransaction& read,
                                   const std::optional<Checkpoint>& checkpoint) {
  if (!checkpoint.has_value() || checkpoint->step == 0) return 0;
  COPPICE_ASSIGN_OR_RETURN(const bool due, read.IsRowDue(*checkpoint));
  return due ? checkpoint->step - 1 : checkpoint->step;
}

}  // namespace coppice::core
