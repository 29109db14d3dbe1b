// Ends attempts by the last records of their workers.
#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/failure_kind.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/utf8.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/lost_attempts.h"

namespace coppice::core {
absl::Duration FailureBackoff(uint32_t failures) {
  // No jitter: jobs that failed in one pack become eligible together and share a pack again.
  constexpr absl::Duration kWaits[] = {absl::Seconds(2), absl::Seconds(2), absl::Seconds(10),
                                       absl::Seconds(60), absl::Minutes(5)};
  return kWaits[std::min<size_t>(failures, std::size(kWaits) - 1)];
}

namespace {

// Sets `lack` to what the job lacks to be complete; empty: nothing.
absl::Status FindLack(CommandContext& tx, const AttemptState& state, const Completion& end,
                      std::string& lack) {
  const uint32_t steps = state.steps();
  if (end.step != steps) {
    lack = absl::StrCat("it ended at step ", end.step, " of ", steps);
    return absl::OkStatus();
  }
  COPPICE_ASSIGN_OR_RETURN(const auto checkpoints,
                           tx.read().ListCheckpoints(state.job.id, CheckpointState::kListed));
  if (checkpoints.empty() || checkpoints.front().step != steps) {
    lack = absl::StrCat("no checkpoint at step ", steps);
    return absl::OkStatus();
  }
  COPPICE_ASSIGN_OR_RETURN(const uint64_t rows, tx.read().CountMetricSteps(state.job.id, steps));
  const uint64_t expected = ReportSteps(state.spec().report_every, steps, steps);
  if (rows != expected) lack = absl::StrCat(rows, " of ", expected, " report rows");
  return absl::OkStatus();
}

}  // namespace

absl::Status TakeEnd(CommandContext& tx, AttemptState& state, const Completion& end,
                     absl::Status& refusal) {
  std::string lack;
  COPPICE_RETURN_IF_ERROR(FindLack(tx, state, end, lack));
  if (!lack.empty()) {
    refusal = absl::FailedPreconditionError(
        absl::StrCat("job ", state.job.id, " is not complete: ", lack));
    return absl::OkStatus();
  }
  JobRow after = state.job;
  after.step = end.step;
  after.best_step = end.step;
  after.failures = 0;  // the job cannot get further than this
  after.reason.clear();
  // The sweep got more steps while the attempt ran. It has done its part.
  const bool goes_on = state.steps() < state.spec().steps;
  const std::string message =
      goes_on ? absl::StrCat("reached step ", end.step, " of now ", state.spec().steps)
              : absl::StrCat("reached step ", end.step);
  return tx.EndAttempt(state.stored, goes_on ? JobTrigger::kExtend : JobTrigger::kComplete,
                       std::move(after), state.attempt,
                       {AttemptOutcome::kSucceeded, message, end.step});
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
absl::StatusOr<std::string> WhyGiveUp(CommandContext& tx, const AttemptState& state,
                                      const Failure& end) {
  const JobRow& job = state.job;
  if (const auto fault = FaultOfTheRun(end.kind); !fault.empty()) return std::string(fault);
  if (job.failures + 1 >= state.group->sweep->max_failures) {
    return absl::StrCat("it failed ", job.failures + 1, " times without progress");
  }
  if (end.kind == FailureKind::kDisk) return std::string();
  const auto speaks_against_job = [&](const std::string& worker, uint32_t start, uint32_t step) {
    return step > start || tx.memory().dispatcher.health.progressed_ms(worker) > 0;
  };
  COPPICE_ASSIGN_OR_RETURN(const std::vector<AttemptRow> attempts, tx.read().ListAttempts(job.id));
  const bool here = speaks_against_job(job.worker, state.attempt.start_step, end.step);
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
void BlameWorker(CommandContext& tx, const AttemptState& state, const Failure& end,
                 const std::string& what) {
  if (!FaultOfTheRun(end.kind).empty()) return;
  const AttemptRow& attempt = state.attempt;
  if (std::max(attempt.row_step, state.job.checkpoint_step) > attempt.start_step) return;
  tx.AfterCommit(WorkerFailed{state.job.worker,
                              {attempt.request_id, state.job.id, Utf8Prefix(what, 200)},
                              tx.now(),
                              tx.now_ms()});
}

}  // namespace

absl::Status TakeEnd(CommandContext& tx, AttemptState& state, const Failure& end,
                     absl::Status& refusal) {
  if (end.step > state.steps()) {
    refusal = absl::InvalidArgumentError(
        absl::StrCat("step ", end.step, " is past the last step ", state.steps()));
    return absl::OkStatus();
  }
  COPPICE_ASSIGN_OR_RETURN(const std::string give_up, WhyGiveUp(tx, state, end));
  const std::string what =
      absl::StrCat(FailureKindText(end.kind), ": ", Utf8Prefix(end.message, kMaxMessageTextBytes));
  BlameWorker(tx, state, end, what);
  JobRow after = state.job;
  ++after.failures;
  after.reason = give_up.empty() ? what : absl::StrCat(give_up, "; ", what);
  if (give_up.empty()) {
    after.not_before_ms = tx.now_ms() + absl::ToInt64Milliseconds(FailureBackoff(after.failures));
  }
  Ending ending{AttemptOutcome::kFailed, after.reason, end.step,
                AttemptMark::kNone,      end.kind,     Utf8Suffix(end.log_tail, kMaxLogTailBytes)};
  return tx.EndAttempt(state.stored, give_up.empty() ? JobTrigger::kFail : JobTrigger::kGiveUp,
                       std::move(after), state.attempt, ending);
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

// Purpose: ends an attempt that did not fail, by the cause of its release.
struct Releaser {
  CommandContext& tx;
  AttemptState& state;
  const Release& end;

  absl::Status operator()(const Release::Preempted&) {
    return Preempt(state.job, AttemptMark::kNone);
  }
  absl::Status operator()(const Release::Untrained&) {
    return Preempt(WithoutThisAttempt(state.job), AttemptMark::kUntrained);
  }
  absl::Status operator()(const Release::Lost&) {
    COPPICE_RETURN_IF_ERROR(StoreRunning(tx, state));  // LoseAttempt reads it
    return LoseAttempt(tx, state.job, Utf8Prefix(end.reason, kMaxMessageTextBytes));
  }
  absl::Status operator()(const Release::TooWide& wide) {
    tx.AfterCommit(PackTooWide{state.job.worker, state.job.group_id, wide.width});
    return ForWidth(state.job, absl::StrCat("at most ", std::max(wide.width / 2, 1u)),
                    AttemptMark::kNone);
  }
  absl::Status operator()(const Release::Measured& measured) {
    tx.AfterCommit(PackMeasured{state.job.worker, state.job.group_id, measured.width});
    return ForWidth(WithoutThisAttempt(state.job), absl::StrCat(measured.width),
                    AttemptMark::kUntrained);
  }

 private:
  // A worker has no weaker end than a release, so a step past the end is no reason to refuse it.
  uint32_t Step() const { return std::min(end.step, state.steps()); }
  absl::Status Preempt(JobRow after, AttemptMark mark) {
    const std::string reason = Utf8Prefix(end.reason, kMaxMessageTextBytes);
    after.reason = absl::StrCat("preempted: ", reason);
    return tx.EndAttempt(state.stored, JobTrigger::kRelease, std::move(after), state.attempt,
                         {AttemptOutcome::kPreempted, reason, Step(), mark});
  }
  // The pack has another width than the worker should have. Nobody failed, and the worker gets
  // packs of the new width from now on.
  absl::Status ForWidth(JobRow after, absl::string_view now_gets, AttemptMark mark) {
    after.reason =
        absl::StrCat(Utf8Prefix(end.reason, kMaxMessageTextBytes), "; ", state.job.worker,
                     " gets packs of ", now_gets, " of its kind from now on");
    Ending ending{AttemptOutcome::kReleased, after.reason, Step(), mark};
    return tx.EndAttempt(state.stored, JobTrigger::kRelease, std::move(after), state.attempt,
                         ending);
  }
};

}  // namespace

absl::Status TakeEnd(CommandContext& tx, AttemptState& state, const Release& end, absl::Status&) {
  return std::visit(Releaser{tx, state, end}, end.cause);
}

}  // namespace coppice::core
