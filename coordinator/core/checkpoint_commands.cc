#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/file_names.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/base/utf8.h"
#include "coordinator/core/commands.h"

namespace coppice::core {
namespace {

// `Named` is a CheckpointRecord or a NamedCheckpoint.
template <typename Named>
absl::Status CheckFields(const AttemptState& state, const Named& checkpoint) {
  const std::string dir = CheckpointDir(state.group->sweep->name, state.lease());
  if (!IsSafeRelativePath(checkpoint.path) || !absl::StartsWith(checkpoint.path, dir + "/")) {
    return absl::InvalidArgumentError(absl::StrCat("the checkpoint's path must be inside ", dir));
  }
  // Retention deletes this path later, so it must be a name that only checkpoints have.
  if (!IsCheckpointFileName(absl::string_view(checkpoint.path).substr(dir.size() + 1))) {
    return absl::InvalidArgumentError(absl::StrCat("the checkpoint's path must be ", dir,
                                                   "/step-N with a suffix of a checkpoint"));
  }
  if (!IsDigest(checkpoint.digest))
    return absl::InvalidArgumentError("the digest must be 32 lower-case hex digits");
  if (checkpoint.step < state.attempt.start_step || checkpoint.step > state.steps()) {
    return absl::InvalidArgumentError(absl::StrCat("step ", checkpoint.step, " is outside [",
                                                   state.attempt.start_step, ", ", state.steps(),
                                                   "]"));
  }
  return absl::OkStatus();
}

// The rows that a job would find if it fell back to a checkpoint. `due`: only the row of the
// checkpoint's own step is missing. An evaluation that a preemption interrupted is repeated after
// the resume.
struct RowsUpTo {
  bool due = false;
  std::string fault;  // more is missing
};
absl::StatusOr<RowsUpTo> CheckRows(CommandContext& tx, const AttemptState& state, uint32_t step) {
  const JobId job = state.job.id;
  const uint32_t every = state.spec().report_every;
  COPPICE_ASSIGN_OR_RETURN(const uint64_t rows, tx.read().CountMetricSteps(job, step));
  const uint64_t expected = ReportSteps(every, state.steps(), step);
  if (rows == expected) return RowsUpTo();
  if (step > 0) {
    COPPICE_ASSIGN_OR_RETURN(const uint64_t before, tx.read().CountMetricSteps(job, step - 1));
    if (before == rows && before == ReportSteps(every, state.steps(), step - 1))
      return RowsUpTo{true, ""};
  }
  return RowsUpTo{false, absl::StrCat("checkpoint of job ", job, " at step ", step, ": ", rows,
                                      " of ", expected, " report rows up to it are durable")};
}

absl::Status DropOld(CommandContext& tx, JobId job_id, const GroupSpec& spec) {
  COPPICE_ASSIGN_OR_RETURN(const auto listed,
                           tx.read().ListCheckpoints(job_id, CheckpointState::kListed));
  for (Checkpoint& old : BeyondRetention(listed, spec)) {
    COPPICE_RETURN_IF_ERROR(
        tx.write().SetCheckpointState(job_id, old.attempt, old.step, CheckpointState::kDropped));
    tx.effects().dropped.push_back(std::move(old));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<Checkpoint> BeyondRetention(const std::vector<Checkpoint>& listed,
                                        const GroupSpec& spec) {
  std::vector<Checkpoint> beyond;
  // The first one is current, and kept whatever the settings say.
  for (size_t i = std::max<size_t>(1, spec.keep); i < listed.size(); ++i) {
    if (spec.keep_every == 0 || listed[i].step % spec.keep_every != 0) beyond.push_back(listed[i]);
  }
  return beyond;
}

absl::Status CheckUpload(CommandContext& tx, const NamedCheckpoint& announced) {
  COPPICE_ASSIGN_OR_RETURN(const AttemptState state,
                           LoadAttempt(tx, announced.worker_id, announced.lease));
  return CheckFields(state, announced);
}

namespace {

// True if the checkpoint cannot become the current one: it is so already (sent again under another
// number), has been overtaken, or another one has its place (`left_out`).
bool HasNoPlace(const AttemptState& state, const CheckpointRecord& checkpoint,
                const std::vector<Checkpoint>& listed, std::string& left_out) {
  for (const Checkpoint& present : listed) {
    const bool same = present.attempt == state.attempt.number && present.step == checkpoint.step;
    if (same && present.digest == checkpoint.digest && present.path == checkpoint.path) return true;
    if (same || present.path == checkpoint.path) {
      left_out = absl::StrCat("job ", state.job.id, " has another checkpoint at step ",
                              present.step, " in ", present.path);
      return true;
    }
  }
  return !listed.empty() && listed.front().attempt == state.attempt.number &&
         checkpoint.step < listed.front().step;
}

}  // namespace

absl::Status TakeCheckpoint(CommandContext& tx, AttemptState& state,
                            const CheckpointRecord& checkpoint, RecordOutcome& outcome) {
  outcome.refusal = CheckFields(state, checkpoint);
  if (!outcome.refusal.ok()) return absl::OkStatus();
  outcome.left_out = checkpoint.left_out;
  if (!outcome.left_out.empty()) return absl::OkStatus();
  JobRow& job = state.job;
  COPPICE_ASSIGN_OR_RETURN(const auto listed,
                           tx.read().ListCheckpoints(job.id, CheckpointState::kListed));
  if (HasNoPlace(state, checkpoint, listed, outcome.left_out)) return absl::OkStatus();
  COPPICE_ASSIGN_OR_RETURN(RowsUpTo rows, CheckRows(tx, state, checkpoint.step));
  outcome.left_out = std::move(rows.fault);
  if (!outcome.left_out.empty()) return absl::OkStatus();

  COPPICE_RETURN_IF_ERROR(
      tx.write().InsertCheckpoint({job.id, job.attempt, checkpoint.step, checkpoint.path,
                                   checkpoint.digest, checkpoint.bytes, tx.now_ms()},
                                  rows.due));
  COPPICE_RETURN_IF_ERROR(DropOld(tx, job.id, state.spec()));
  job.checkpoint_step = checkpoint.step;
  job.step = std::max(job.step, checkpoint.step);
  if (checkpoint.step > job.best_step) {
    job.best_step = checkpoint.step;
    job.failures = 0;
  }
  return tx.LogEvent(job, EventType::kCheckpoint, absl::StrCat("step ", checkpoint.step));
}

absl::StatusOr<std::optional<Checkpoint>> RejectCheckpoint(CommandContext& tx,
                                                           const NamedCheckpoint& checkpoint,
                                                           const std::string& reason) {
  COPPICE_ASSIGN_OR_RETURN(const JobRow job,
                           CurrentLease(tx, checkpoint.worker_id, checkpoint.lease));
  const auto matches = [&](const Checkpoint& c) {
    return c.step == checkpoint.step && c.path == checkpoint.path;
  };
  COPPICE_ASSIGN_OR_RETURN(auto listed,
                           tx.read().ListCheckpoints(job.id, CheckpointState::kListed));
  const auto it = std::find_if(listed.begin(), listed.end(), matches);
  if (it == listed.end()) {
    COPPICE_ASSIGN_OR_RETURN(const auto bad,
                             tx.read().ListCheckpoints(job.id, CheckpointState::kBad));
    if (std::none_of(bad.begin(), bad.end(), matches)) {
      return absl::NotFoundError(absl::StrCat("job ", job.id, " has no checkpoint at step ",
                                              checkpoint.step, " in ", checkpoint.path));
    }
    return listed.empty() ? std::nullopt : std::optional<Checkpoint>(listed.front());  // sent again
  }
  COPPICE_RETURN_IF_ERROR(
      tx.write().SetCheckpointState(job.id, it->attempt, it->step, CheckpointState::kBad));
  const bool was_current = it == listed.begin();
  listed.erase(it);
  const std::optional<Checkpoint> current =
      listed.empty() ? std::nullopt : std::optional<Checkpoint>(listed.front());
  if (!was_current) return current;
  const uint32_t step = current.has_value() ? current->step : 0;

  COPPICE_ASSIGN_OR_RETURN(const uint32_t last_row, LastRowOf(tx.read(), current));
  COPPICE_RETURN_IF_ERROR(tx.write().ArchiveMetrics(job.id, last_row).status());
  COPPICE_ASSIGN_OR_RETURN(AttemptRow attempt, tx.read().GetAttempt(job.id, job.attempt));
  attempt.start_step = step;
  attempt.row_step = last_row;
  COPPICE_RETURN_IF_ERROR(tx.write().UpdateAttempt(attempt));
  JobRow after = job;
  after.checkpoint_step = step;
  after.step = step;
  COPPICE_RETURN_IF_ERROR(
      tx.LogEvent(job, EventType::kCheckpointRejected,
                  absl::StrCat("step ", checkpoint.step, ": ", Utf8Prefix(reason, 1000),
                               "; back to step ", step)));
  COPPICE_RETURN_IF_ERROR(tx.UpdateRunning(job, after));
  return current;
}

}  // namespace coppice::core
