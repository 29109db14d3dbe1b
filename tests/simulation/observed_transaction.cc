#include "tests/simulation/observed_transaction.h"

#include "common/base/status_macros.h"

namespace coppice::simulation {

absl::StatusOr<uint64_t> ObservedReads::CountMetricSteps(core::JobId job, uint32_t step) {
  if (bug_ != PlantedBug::kCheckpointWithoutRows) return inner_.CountMetricSteps(job, step);
  const uint32_t every = schedule_.spec.report().every();
  const uint32_t steps = schedule_.spec.train().steps();
  return step / every + (step == steps && step % every != 0 ? 1 : 0);
}

absl::Status ObservedTransaction::Savepoint(absl::FunctionRef<absl::Status()> body) {
  const Changes before = changes_;
  const absl::Status status = inner_.Savepoint(body);
  if (!status.ok()) changes_ = before;
  return status;
}

absl::Status ObservedTransaction::UpdateJob(const core::JobRow& before, const core::JobRow& after) {
  core::JobRow written = after;
  if (bug_ == PlantedBug::kPreemptionCharged && before.state == core::JobState::kRunning &&
      after.state == core::JobState::kPending && !changes_.attempts.empty() &&
      changes_.attempts.back().outcome == core::AttemptOutcome::kPreempted) {
    ++written.failures;
  }
  COPPICE_RETURN_IF_ERROR(inner_.UpdateJob(before, written));
  changes_.jobs.emplace_back(before, written);
  return absl::OkStatus();
}

absl::Status ObservedTransaction::InsertAttempt(const core::AttemptRow& attempt) {
  COPPICE_RETURN_IF_ERROR(inner_.InsertAttempt(attempt));
  changes_.attempts.push_back(attempt);
  return absl::OkStatus();
}

absl::Status ObservedTransaction::UpdateAttempt(const core::AttemptRow& attempt) {
  COPPICE_RETURN_IF_ERROR(inner_.UpdateAttempt(attempt));
  changes_.attempts.push_back(attempt);
  return absl::OkStatus();
}

absl::Status ObservedTransaction::PutWorker(const core::WorkerRow& worker) {
  COPPICE_RETURN_IF_ERROR(inner_.PutWorker(worker));
  changes_.workers.push_back(worker);
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> ObservedTransaction::ArchiveMetrics(core::JobId job, uint32_t step) {
  if (bug_ == PlantedBug::kArchiveForgotten) return 0;
  return inner_.ArchiveMetrics(job, step);
}

absl::Status ObservedTransaction::InsertCheckpoint(const core::Checkpoint& checkpoint,
                                                   bool row_due) {
  COPPICE_RETURN_IF_ERROR(inner_.InsertCheckpoint(checkpoint, row_due));
  changes_.committed.push_back(checkpoint);
  changes_.checkpoints.insert(checkpoint.job_id);
  return absl::OkStatus();
}

absl::Status ObservedTransaction::SetCheckpointState(core::JobId job, core::AttemptNumber attempt,
                                                     uint32_t step, core::CheckpointState state) {
  COPPICE_RETURN_IF_ERROR(inner_.SetCheckpointState(job, attempt, step, state));
  changes_.checkpoints.insert(job);
  if (state == core::CheckpointState::kDropped) changes_.dropped.insert(job);
  return absl::OkStatus();
}

}  // namespace coppice::simulation
