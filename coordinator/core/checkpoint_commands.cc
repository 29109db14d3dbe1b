#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/file_names.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"

namespace coppice::core {
namespace {

bool IsDigest(const std::string& digest) {
  return digest.size() == 32 && std::all_of(digest.begin(), digest.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

absl::Status CheckCommit(const CheckpointCommit& commit, const AttemptRow& attempt,
                         const GroupInfo& group) {
  const std::string dir = CheckpointDir(group.sweep->name, commit.lease);
  if (!IsSafeRelativePath(commit.path) || !absl::StartsWith(commit.path, dir + "/")) {
    return absl::InvalidArgumentError(absl::StrCat("the checkpoint's path must be inside ", dir));
  }
  // Retention deletes this path later, so it must be a name that only checkpoints have.
  if (!IsCheckpointFileName(absl::string_view(commit.path).substr(dir.size() + 1))) {
    return absl::InvalidArgumentError(
        absl::StrCat("the checkpoint's path must be ", dir, "/step-N.safetensors"));
  }
  if (!IsDigest(commit.digest))
    return absl::InvalidArgumentError("the digest must be 32 lower-case hex digits");
  if (commit.step < attempt.start_step || commit.step > group.spec.steps) {
    return absl::InvalidArgumentError(absl::StrCat(
        "step ", commit.step, " is outside [", attempt.start_step, ", ", group.spec.steps, "]"));
  }
  return absl::OkStatus();
}

// Checks that a job that falls back to this checkpoint would find every row up to it. Returns true
// if only the row of the checkpoint's own step is due: an evaluation that a preemption interrupted
// is repeated after the resume.
absl::StatusOr<bool> CheckRows(CommandContext& tx, const CheckpointCommit& commit,
                               const GroupSpec& spec) {
  const JobId job = commit.lease.job_id;
  COPPICE_ASSIGN_OR_RETURN(const uint64_t rows, tx.read().CountMetricSteps(job, commit.step));
  const uint64_t expected = ReportSteps(spec, commit.step);
  if (rows == expected) return false;
  if (commit.step > 0) {
    COPPICE_ASSIGN_OR_RETURN(const uint64_t before,
                             tx.read().CountMetricSteps(job, commit.step - 1));
    if (before == rows && before == ReportSteps(spec, commit.step - 1)) return true;
  }
  return absl::FailedPreconditionError(absl::StrCat("checkpoint of job ", job, " at step ",
                                                    commit.step, ": ", rows, " of ", expected,
                                                    " report rows up to it are durable"));
}

absl::Status DropOld(CommandContext& tx, JobId job_id, const GroupSpec& spec) {
  // Files that the last commit dropped are gone by now, or will be after the next start.
  COPPICE_RETURN_IF_ERROR(tx.write().DeleteDroppedCheckpoints(job_id));
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

absl::Status CheckUpload(CommandContext& tx, const CheckpointCommit& announced) {
  COPPICE_ASSIGN_OR_RETURN(const JobRow job,
                           CurrentLease(tx, announced.worker_id, announced.lease));
  const auto group = tx.memory().catalog.Group(job.group_id);
  if (group == nullptr)
    return absl::InternalError(absl::StrCat("job ", job.id, " is not in the catalog"));
  COPPICE_ASSIGN_OR_RETURN(const AttemptRow attempt, tx.read().GetAttempt(job.id, job.attempt));
  return CheckCommit(announced, attempt, *group);
}

absl::Status CommitCheckpoint(CommandContext& tx, const CheckpointCommit& commit) {
  COPPICE_ASSIGN_OR_RETURN(const JobRow job, CurrentLease(tx, commit.worker_id, commit.lease));
  const auto group = tx.memory().catalog.Group(job.group_id);
  if (group == nullptr)
    return absl::InternalError(absl::StrCat("job ", job.id, " is not in the catalog"));
  COPPICE_ASSIGN_OR_RETURN(const AttemptRow attempt, tx.read().GetAttempt(job.id, job.attempt));
  COPPICE_RETURN_IF_ERROR(CheckCommit(commit, attempt, *group));
  COPPICE_ASSIGN_OR_RETURN(const auto listed,
                           tx.read().ListCheckpoints(job.id, CheckpointState::kListed));
  for (const Checkpoint& present : listed) {
    const bool same = present.attempt == commit.lease.attempt && present.step == commit.step;
    if (same && present.digest == commit.digest && present.path == commit.path)
      return absl::OkStatus();
    if (same || present.path == commit.path) {
      return absl::FailedPreconditionError(absl::StrCat(
          "job ", job.id, " has another checkpoint at step ", present.step, " in ", present.path));
    }
  }
  // The request was repeated after later checkpoints were committed, so it is obsolete.
  if (!listed.empty() && listed.front().attempt == commit.lease.attempt &&
      commit.step < listed.front().step) {
    return absl::OkStatus();
  }
  // A lost row that was acknowledged would look like one that is due. But the trainer has already
  // reported it, and an attempt that resumes from here would not report it again.
  if (attempt.last_sequence < commit.last_sequence) {
    if (!MayHaveLost(tx, commit.lease)) {
      return absl::InvalidArgumentError(absl::StrCat("last_sequence is ", commit.last_sequence,
                                                     "; acknowledged were ", attempt.last_sequence,
                                                     " records of this attempt"));
    }
    return absl::DataLossError(absl::StrCat(kReportsMissing, ": records are there up to ",
                                            attempt.last_sequence, " of ", commit.last_sequence));
  }
  COPPICE_ASSIGN_OR_RETURN(const bool row_due, CheckRows(tx, commit, group->spec));

  COPPICE_RETURN_IF_ERROR(tx.write().InsertCheckpoint(
      {job.id, job.attempt, commit.step, commit.path, commit.digest, commit.bytes, tx.now_ms()},
      row_due));
  COPPICE_RETURN_IF_ERROR(DropOld(tx, job.id, group->spec));
  JobRow after = job;
  after.checkpoint_step = commit.step;
  after.step = std::max(job.step, commit.step);
  if (commit.step > job.best_step) {
    after.best_step = commit.step;
    after.failures = 0;
    tx.AfterCommit(WorkerProgressed{job.worker, tx.now_ms()});
  }
  COPPICE_RETURN_IF_ERROR(
      tx.LogEvent(job, EventType::kCheckpoint, absl::StrCat("step ", commit.step)));
  return tx.UpdateRunning(job, after);
}

absl::StatusOr<std::optional<Checkpoint>> RejectCheckpoint(CommandContext& tx,
                                                           const CheckpointCommit& checkpoint,
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
  COPPICE_RETURN_IF_ERROR(tx.LogEvent(
      job, EventType::kCheckpointRejected,
      absl::StrCat("step ", checkpoint.step, ": ", Head(reason, 1000), "; back to step ", step)));
  COPPICE_RETURN_IF_ERROR(tx.UpdateRunning(job, after));
  return current;
}

}  // namespace coppice::core
