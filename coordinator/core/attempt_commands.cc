// Ends attempts as their workers report it.
#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/failure_kind.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/lost_attempts.h"

namespace coppice::core {
namespace {

constexpr size_t kMaxMessage = 4 << 10;

}  // namespace

absl::Duration FailureBackoff(uint32_t failures) {
  // No jitter: jobs that failed in one pack become eligible together and share a pack again.
  constexpr absl::Duration kWaits[] = {absl::Seconds(2), absl::Seconds(2), absl::Seconds(10),
                                       absl::Seconds(60), absl::Minutes(5)};
  return kWaits[std::min<size_t>(failures, std::size(kWaits) - 1)];
}

namespace {

// True if this end of an attempt was already recorded. Its report was sent again because the answer
// was lost.
bool EndedAs(CommandContext& tx, const LeaseRef& lease,
             std::initializer_list<AttemptOutcome> outcomes) {
  const auto attempt = tx.read().GetAttempt(lease.job_id, lease.attempt);
  if (!attempt.ok()) return false;
  for (const AttemptOutcome outcome : outcomes) {
    if (attempt->outcome == outcome) return true;
  }
  return false;
}

// DATA_LOSS if this database lacks records that were acknowledged to the worker. That is no fault
// of the job.
absl::Status CheckComplete(CommandContext& tx, const JobRow& job, const GroupSpec& spec,
                           const AttemptEnd& end) {
  COPPICE_ASSIGN_OR_RETURN(const AttemptRow attempt, tx.read().GetAttempt(job.id, job.attempt));
  const std::string what = absl::StrCat("job ", job.id, " is not complete: ");
  const auto lost = [&](const std::string& lack) -> absl::Status {
    if (!MayHaveLost(tx, end.lease)) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, lack, ", and nothing that was acknowledged is missing"));
    }
    return absl::DataLossError(absl::StrCat(kReportsMissing, ": ", lack));
  };
  if (attempt.last_sequence < end.last_sequence) {
    return lost(
        absl::StrCat("records are there up to ", attempt.last_sequence, " of ", end.last_sequence));
  }
  COPPICE_ASSIGN_OR_RETURN(const auto checkpoints,
                           tx.read().ListCheckpoints(job.id, CheckpointState::kListed));
  if (checkpoints.empty() || checkpoints.front().step != spec.steps) {
    const std::string lack = absl::StrCat("no checkpoint at step ", spec.steps);
    return end.checkpoint_step == spec.steps ? lost(lack)
                                             : absl::FailedPreconditionError(what + lack);
  }
  COPPICE_ASSIGN_OR_RETURN(const uint64_t rows, tx.read().CountMetricSteps(job.id, spec.steps));
  const uint64_t expected = ReportSteps(spec, spec.steps);
  if (rows != expected) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, rows, " of ", expected, " report rows"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CompleteJob(CommandContext& tx, const AttemptEnd& end) {
  auto job = CurrentLease(tx, end.worker_id, end.lease);
  if (absl::IsAborted(job.status()) && EndedAs(tx, end.lease, {AttemptOutcome::kSucceeded}))
    return absl::OkStatus();
  if (!job.ok()) return job.status();
  const auto group = tx.memory().catalog.Group(job->group_id);
  if (group == nullptr)
    return absl::InternalError(absl::StrCat("job ", job->id, " is not in the catalog"));
  COPPICE_RETURN_IF_ERROR(CheckComplete(tx, *job, group->spec, end));
  JobRow after = *job;
  after.step = group->spec.steps;
  after.best_step = group->spec.steps;
  after.failures = 0;  // the job cannot get further than this
  after.reason.clear();
  return tx.EndAttempt(*job, JobTrigger::kComplete, std::move(after),
                       {AttemptOutcome::kSucceeded,
                        absl::StrCat("reached step ", group->spec.steps), group->spec.steps});
}

namespace {

// Returns the fault if the run itself cannot be trained on any worker. A run is a function of its
// spec and seed: one that diverged would diverge again, data that cannot be generated cannot be
// generated elsewhere, and a trainer that refuses the settings refuses them everywhere. Empty: the
// attempt failed otherwise.
absl::string_view FaultOfTheRun(FailureKind kind) {
  switch (kind) {
    case FailureKind::kNan:
      return "its loss is not finite, and would be again";
    case FailureKind::kData:
      return "its data cannot be had";
    case FailureKind::kRefused:
      return "its trainer refuses the run, and would again";
    default:
      return "";
  }
}

// Returns the reason to give the job up; empty if another attempt may do better. A fault of the run
// is final. A job that dies at one step on two workers is itself to blame. A full disk is the
// worker's fault. So may be a death before the first step, on a worker where no job has made
// progress yet.
absl::StatusOr<std::string> WhyGiveUp(CommandContext& tx, const JobRow& job, const AttemptEnd& end,
                                      FailureKind kind, uint32_t max_failures) {
  if (const auto fault = FaultOfTheRun(kind); !fault.empty()) return std::string(fault);
  if (job.failures + 1 >= max_failures) {
    return absl::StrCat("it failed ", job.failures + 1, " times without progress");
  }
  if (kind == FailureKind::kDisk) return std::string();
  const auto speaks_against_job = [&](const std::string& worker, uint32_t start, uint32_t step) {
    return step > start || tx.memory().dispatcher.health.progressed_ms(worker) > 0;
  };
  COPPICE_ASSIGN_OR_RETURN(const std::vector<AttemptRow> attempts, tx.read().ListAttempts(job.id));
  const bool here =
      !attempts.empty() && speaks_against_job(job.worker, attempts.back().start_step, end.step);
  for (const AttemptRow& earlier : attempts) {
    const bool counts = earlier.number > job.forgiven_attempt &&
                        earlier.outcome == AttemptOutcome::kFailed &&
                        earlier.failure != FailureKind::kDisk;
    if (!counts || earlier.end_step != end.step || earlier.worker == job.worker) continue;
    if (!here && !speaks_against_job(earlier.worker, earlier.start_step, earlier.end_step))
      continue;
    return absl::StrCat("quarantined: it failed at step ", end.step, " on ", earlier.worker,
                        " and on ", job.worker);
  }
  return std::string();
}

// Counts a failure against its worker, unless the attempt made progress there or the fault is the
// run's own.
absl::Status BlameWorker(CommandContext& tx, const JobRow& job, FailureKind kind,
                         const std::string& what) {
  if (!FaultOfTheRun(kind).empty()) return absl::OkStatus();
  COPPICE_ASSIGN_OR_RETURN(const AttemptRow attempt, tx.read().GetAttempt(job.id, job.attempt));
  if (std::max(attempt.row_step, job.checkpoint_step) > attempt.start_step) return absl::OkStatus();
  tx.AfterCommit(WorkerFailed{
      job.worker, {attempt.request_id, job.id, Head(what, 200)}, tx.now(), tx.now_ms()});
  return absl::OkStatus();
}

absl::Status CheckEnd(const AttemptEnd& end, const GroupSpec& spec) {
  if (end.step <= spec.steps) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("step ", end.step, " is past the last step ", spec.steps));
}

}  // namespace

absl::Status FailJob(CommandContext& tx, const AttemptEnd& end) {
  const std::optional<FailureKind> kind = FailureKindFromText(end.kind);
  if (!kind.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", Head(end.kind, 64), "' is no kind of failure"));
  }
  auto job = CurrentLease(tx, end.worker_id, end.lease);
  if (absl::IsAborted(job.status()) && EndedAs(tx, end.lease, {AttemptOutcome::kFailed}))
    return absl::OkStatus();
  if (!job.ok()) return job.status();
  const auto group = tx.memory().catalog.Group(job->group_id);
  if (group == nullptr)
    return absl::InternalError(absl::StrCat("job ", job->id, " is not in the catalog"));
  COPPICE_RETURN_IF_ERROR(CheckEnd(end, group->spec));
  COPPICE_ASSIGN_OR_RETURN(const std::string give_up,
                           WhyGiveUp(tx, *job, end, *kind, group->sweep->max_failures));

  const std::string what = absl::StrCat(end.kind, ": ", Head(end.message, kMaxMessage));
  COPPICE_RETURN_IF_ERROR(BlameWorker(tx, *job, *kind, what));
  JobRow after = *job;
  after.failures = job->failures + 1;
  after.reason = give_up.empty() ? what : absl::StrCat(give_up, "; ", what);
  if (give_up.empty()) {
    after.not_before_ms = tx.now_ms() + absl::ToInt64Milliseconds(FailureBackoff(after.failures));
  }
  Ending ending{AttemptOutcome::kFailed, after.reason, end.step,
                AttemptMark::kNone,      kind,         Tail(end.log_tail, kMaxLogTail)};
  return tx.EndAttempt(*job, give_up.empty() ? JobTrigger::kFail : JobTrigger::kGiveUp,
                       std::move(after), ending);
}

absl::Status LoseAttempt(CommandContext& tx, const JobRow& job, const std::string& message) {
  COPPICE_ASSIGN_OR_RETURN(const LostInARow lost, CountLostInARow(tx.read(), job));
  JobRow after = job;
  after.reason = message;
  Ending ending{AttemptOutcome::kExpired, message, job.step};
  const auto got_further = [&](const std::string& worker) {
    return tx.memory().dispatcher.health.progressed_ms(worker) >= lost.since_ms;
  };
  if (lost.attempts >= kGiveUpAttempts && lost.workers.size() >= kGiveUpWorkers &&
      std::any_of(lost.workers.begin(), lost.workers.end(), got_further)) {
    after.reason = absl::StrCat("set aside: ", DescribeLost(lost, job.best_step),
                                ", while other jobs got further there; the last: ", message);
    ending.message = after.reason;
    return tx.EndAttempt(job, JobTrigger::kGiveUp, std::move(after), ending);
  }
  const absl::Duration wait = LostBackoff(lost.attempts);
  if (wait > absl::ZeroDuration()) {
    after.not_before_ms = tx.now_ms() + absl::ToInt64Milliseconds(wait);
  }
  return tx.EndAttempt(job, JobTrigger::kExpire, std::move(after), ending);
}

namespace {

// Nothing was trained under the lease, so people see no attempt.
JobRow WithoutThisAttempt(const JobRow& job) {
  JobRow after = job;
  if (after.attempts > 0) --after.attempts;
  if (after.attempts == 0) after.started_ms = 0;
  return after;
}

// Releases a job whose pack has another width than its worker should have. Nobody failed, and the
// worker gets packs of the new width from now on.
absl::Status ReleaseForWidth(CommandContext& tx, const JobRow& job, const AttemptEnd& end,
                             absl::string_view now_gets) {
  const bool untrained = end.best_width > 0;  // it was measured
  JobRow after = untrained ? WithoutThisAttempt(job) : job;
  after.reason = absl::StrCat(Head(end.message, kMaxMessage), "; ", job.worker, " gets packs of ",
                              now_gets, " of its kind from now on");
  Ending ending{AttemptOutcome::kReleased, after.reason, end.step,
                untrained ? AttemptMark::kUntrained : AttemptMark::kNone};
  return tx.EndAttempt(job, JobTrigger::kRelease, std::move(after), ending);
}

absl::Status ReleaseTooWide(CommandContext& tx, const JobRow& job, const AttemptEnd& end) {
  tx.AfterCommit(PackTooWide{job.worker, job.group_id, end.out_of_memory_width});
  return ReleaseForWidth(tx, job, end,
                         absl::StrCat("at most ", std::max(end.out_of_memory_width / 2, 1u)));
}

absl::Status ReleaseMeasured(CommandContext& tx, const JobRow& job, const AttemptEnd& end) {
  tx.AfterCommit(PackMeasured{job.worker, job.group_id, end.best_width});
  return ReleaseForWidth(tx, job, end, absl::StrCat(end.best_width));
}

}  // namespace

absl::Status ReleaseLease(CommandContext& tx, const AttemptEnd& end) {
  auto job = CurrentLease(tx, end.worker_id, end.lease);
  const bool told =
      EndedAs(tx, end.lease, {AttemptOutcome::kPreempted, AttemptOutcome::kReleased}) ||
      (end.lost && EndedAs(tx, end.lease, {AttemptOutcome::kExpired}));
  if (absl::IsAborted(job.status()) && told) return absl::OkStatus();
  if (!job.ok()) return job.status();
  if (end.lost) return LoseAttempt(tx, *job, Head(end.message, kMaxMessage));
  if (end.out_of_memory_width > 0) return ReleaseTooWide(tx, *job, end);
  if (end.best_width > 0) return ReleaseMeasured(tx, *job, end);
  JobRow after = end.untrained ? WithoutThisAttempt(*job) : *job;
  after.reason = absl::StrCat("preempted: ", Head(end.message, kMaxMessage));
  return tx.EndAttempt(*job, JobTrigger::kRelease, std::move(after),
                       {AttemptOutcome::kPreempted, Head(end.message, kMaxMessage), end.step,
                        end.untrained ? AttemptMark::kUntrained : AttemptMark::kNone});
}

}  // namespace coppice::core
