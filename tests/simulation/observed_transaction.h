#ifndef COPPICE_TESTS_SIMULATION_OBSERVED_TRANSACTION_H_
#define COPPICE_TESTS_SIMULATION_OBSERVED_TRANSACTION_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/sim_store.h"

namespace coppice::simulation {

// Purpose: forwards reads. Two planted bugs live here: missing rows are counted, and the number of
// a worker's process is forgotten. Owner: an ObservedTransaction.
class ObservedReads : public core::ReadTransaction {
 public:
  ObservedReads(core::ReadTransaction* inner, const Schedule* schedule, PlantedBug bug)
      : inner_(*inner), schedule_(*schedule), bug_(bug) {}

  void StopWhen(std::function<bool()> stop) override { inner_.StopWhen(std::move(stop)); }
  absl::StatusOr<std::vector<core::SweepRow>> ListSweeps() override { return inner_.ListSweeps(); }
  absl::StatusOr<std::vector<core::SweepRow>> ListIncompleteSweeps() override {
    return inner_.ListIncompleteSweeps();
  }
  absl::StatusOr<std::vector<core::SweepRow>> ListContinuingSweeps() override {
    return inner_.ListContinuingSweeps();
  }
  absl::StatusOr<std::vector<core::SweepRow>> ListDeletedSweeps() override {
    return inner_.ListDeletedSweeps();
  }
  absl::StatusOr<core::SweepRow> GetSweep(core::SweepId id) override { return inner_.GetSweep(id); }
  absl::StatusOr<std::optional<core::SweepRow>> FindSweep(absl::string_view name) override {
    return inner_.FindSweep(name);
  }
  absl::StatusOr<std::string> GetSpecBlob(core::SweepId id) override {
    return inner_.GetSpecBlob(id);
  }
  absl::StatusOr<std::vector<core::GroupRow>> ListGroups(core::SweepId id) override {
    return inner_.ListGroups(id);
  }
  absl::StatusOr<std::vector<core::GroupRow>> ListGroupCounts(core::SweepId id) override {
    return inner_.ListGroupCounts(id);
  }
  absl::StatusOr<std::vector<core::Operation>> ListOperations(core::SweepId id,
                                                              uint32_t newest) override {
    return inner_.ListOperations(id, newest);
  }
  absl::StatusOr<core::JobRow> GetJob(core::JobId id) override { return inner_.GetJob(id); }
  absl::Status ScanJobs(core::JobId first, core::JobId last, core::StateSet states,
                        absl::FunctionRef<bool(const core::JobRow&)> visit) override {
    return inner_.ScanJobs(first, last, states, visit);
  }
  absl::StatusOr<bool> AnyBegun(core::JobId first, core::JobId last) override {
    return inner_.AnyBegun(first, last);
  }
  absl::StatusOr<core::RepeatedSteps> CountRepeatedSteps(core::JobId first, core::JobId last,
                                                         uint32_t steps) override {
    return inner_.CountRepeatedSteps(first, last, steps);
  }
  absl::StatusOr<core::AttemptRow> GetAttempt(core::JobId job,
                                              core::AttemptNumber attempt) override {
    return inner_.GetAttempt(job, attempt);
  }
  absl::StatusOr<std::vector<core::AttemptRow>> ListAttempts(core::JobId job) override {
    return inner_.ListAttempts(job);
  }
  absl::StatusOr<std::vector<core::AttemptRow>> FindOpenAttempts(
      absl::string_view worker, absl::string_view request) override {
    return inner_.FindOpenAttempts(worker, request);
  }
  absl::StatusOr<std::vector<core::JobEvent>> ListEvents(core::JobId job,
                                                         uint32_t newest) override {
    return inner_.ListEvents(job, newest);
  }
  absl::StatusOr<std::vector<core::Checkpoint>> ListCheckpoints(
      core::JobId job, core::CheckpointState state) override {
    return inner_.ListCheckpoints(job, state);
  }
  absl::StatusOr<std::vector<core::Checkpoint>> ListDroppedCheckpoints(uint32_t limit) override {
    return inner_.ListDroppedCheckpoints(limit);
  }
  absl::StatusOr<core::CheckpointSum> SumCheckpoints(core::JobId first, core::JobId last) override {
    return inner_.SumCheckpoints(first, last);
  }
  absl::StatusOr<bool> IsRowDue(const core::Checkpoint& checkpoint) override {
    return inner_.IsRowDue(checkpoint);
  }
  absl::Status ScanMetrics(const core::MetricsScan& scan,
                           absl::FunctionRef<bool(const core::StoredRow&)> visit) override {
    return inner_.ScanMetrics(scan, visit);
  }
  absl::StatusOr<std::vector<core::MetricValue>> LatestMetrics(core::JobId job) override {
    return inner_.LatestMetrics(job);
  }
  absl::StatusOr<std::vector<std::string>> ListMetricNames(core::JobId job, size_t most) override {
    return inner_.ListMetricNames(job, most);
  }
  absl::StatusOr<uint64_t> CountMetricNames(core::SweepId sweep) override {
    return inner_.CountMetricNames(sweep);
  }
  absl::StatusOr<bool> HasMetricName(core::SweepId sweep, absl::string_view name) override {
    return inner_.HasMetricName(sweep, name);
  }
  absl::StatusOr<uint64_t> CountMetricSteps(core::JobId job, uint32_t step) override;
  absl::StatusOr<std::vector<core::LogChunk>> ReadLog(core::JobId job, core::AttemptNumber attempt,
                                                      uint64_t offset,
                                                      uint64_t max_bytes) override {
    return inner_.ReadLog(job, attempt, offset, max_bytes);
  }
  absl::StatusOr<core::AttemptNumber> NewestLogAttempt(core::JobId job) override {
    return inner_.NewestLogAttempt(job);
  }
  absl::StatusOr<std::vector<core::WorkerRow>> ListWorkers() override {
    return inner_.ListWorkers();
  }
  absl::StatusOr<std::optional<core::WorkerRow>> FindWorker(absl::string_view name) override {
    auto worker = inner_.FindWorker(name);
    const bool forget = bug_ == PlantedBug::kAnyRegistrationTakesTheName;
    if (forget && worker.ok() && worker->has_value()) (*worker)->info.incarnation = 0;
    return worker;
  }
  absl::StatusOr<uint64_t> GetIncarnations() override { return inner_.GetIncarnations(); }
  absl::StatusOr<std::vector<pools::PoolRow>> ListPools() override { return inner_.ListPools(); }
  absl::StatusOr<std::vector<pools::AllocationRow>> ListAllocations(
      int64_t ended_since_ms) override {
    return inner_.ListAllocations(ended_since_ms);
  }
  absl::StatusOr<core::AttemptNumber> GetAttemptFloor() override {
    return inner_.GetAttemptFloor();
  }

 private:
  core::ReadTransaction& inner_;
  const Schedule& schedule_;
  const PlantedBug bug_;
};

// Purpose: forwards writes and records those that the invariants check. It discards the records of
// an undone savepoint. Planted bugs that change a write live here. Owner: SimStore, for one
// transaction.
class ObservedTransaction : public core::WriteTransaction {
 public:
  ObservedTransaction(core::WriteTransaction* inner, const Schedule* schedule, PlantedBug bug)
      : inner_(*inner), reads_(&inner->read(), schedule, bug), bug_(bug) {}
  const Changes& changes() const { return changes_; }

  core::ReadTransaction& read() override { return reads_; }
  absl::Status Savepoint(absl::FunctionRef<absl::Status()> body) override;
  absl::StatusOr<core::SweepId> InsertSweep(const core::SweepRow& sweep,
                                            absl::string_view spec_blob) override {
    return inner_.InsertSweep(sweep, spec_blob);
  }
  absl::StatusOr<core::GroupId> InsertGroup(const core::GroupRow& group) override {
    return inner_.InsertGroup(group);
  }
  absl::StatusOr<core::JobId> ReserveJobs(core::SweepId sweep, core::GroupId group,
                                          uint64_t count) override {
    return inner_.ReserveJobs(sweep, group, count);
  }
  absl::Status InsertJobs(core::SweepId sweep, core::GroupId group, core::JobId first,
                          absl::Span<const uint32_t> seeds) override {
    return inner_.InsertJobs(sweep, group, first, seeds);
  }
  absl::Status MarkSweepDeleted(core::SweepId id) override { return inner_.MarkSweepDeleted(id); }
  absl::StatusOr<core::DeletedPart> DeletePartOfSweep(core::SweepId id, uint64_t limit) override {
    return inner_.DeletePartOfSweep(id, limit);
  }
  absl::Status UpdateGroup(const core::GroupRow& group) override {
    return inner_.UpdateGroup(group);
  }
  absl::Status SetGroupContinuing(core::GroupId id, bool continuing) override {
    return inner_.SetGroupContinuing(id, continuing);
  }
  absl::Status UpdateSweep(const core::SweepRow& sweep, absl::string_view spec_blob) override {
    return inner_.UpdateSweep(sweep, spec_blob);
  }
  absl::Status InsertOperation(core::SweepId sweep, const core::Operation& operation,
                               uint32_t keep) override {
    return inner_.InsertOperation(sweep, operation, keep);
  }
  absl::Status SetSweepPaused(core::SweepId id, bool paused) override {
    return inner_.SetSweepPaused(id, paused);
  }
  absl::Status SetSweepFinished(core::SweepId id, int64_t finished_ms) override {
    return inner_.SetSweepFinished(id, finished_ms);
  }
  absl::Status SetSweepNote(core::SweepId id, absl::string_view note) override {
    return inner_.SetSweepNote(id, note);
  }
  absl::Status SetSweepTags(core::SweepId id, const std::vector<std::string>& tags) override {
    return inner_.SetSweepTags(id, tags);
  }
  absl::Status UpdateJob(const core::JobRow& before, const core::JobRow& after) override;
  absl::Status InsertAttempt(const core::AttemptRow& attempt) override;
  absl::Status UpdateAttempt(const core::AttemptRow& attempt) override;
  absl::Status InsertEvent(core::JobId job, const core::JobEvent& event) override {
    return inner_.InsertEvent(job, event);
  }
  absl::Status InsertMetricRow(core::JobId job, core::AttemptNumber attempt,
                               const core::MetricRow& row) override {
    return inner_.InsertMetricRow(job, attempt, row);
  }
  absl::Status AddMetricName(core::SweepId sweep, const std::string& name) override {
    return inner_.AddMetricName(sweep, name);
  }
  absl::StatusOr<uint64_t> ArchiveMetrics(core::JobId job, uint32_t step) override;
  absl::Status InsertCheckpoint(const core::Checkpoint& checkpoint, bool row_due) override;
  absl::Status SetCheckpointState(core::JobId job, core::AttemptNumber attempt, uint32_t step,
                                  core::CheckpointState state) override;
  absl::Status DeleteDroppedCheckpoints(core::JobId job) override {
    return inner_.DeleteDroppedCheckpoints(job);
  }
  absl::Status AppendLog(core::JobId job, core::AttemptNumber attempt, uint64_t offset,
                         absl::string_view text) override {
    return inner_.AppendLog(job, attempt, offset, text);
  }
  absl::Status TrimLog(core::JobId job, core::AttemptNumber attempt, uint64_t offset) override {
    return inner_.TrimLog(job, attempt, offset);
  }
  absl::Status PutWorker(const core::WorkerRow& worker) override;
  absl::Status SetIncarnations(uint64_t greatest) override {
    return inner_.SetIncarnations(greatest);
  }
  absl::Status SetAttemptFloor(core::AttemptNumber floor) override {
    return inner_.SetAttemptFloor(floor);
  }
  absl::Status DeleteWorker(const std::string& name) override { return inner_.DeleteWorker(name); }
  absl::Status PutPool(const pools::PoolRow& pool) override { return inner_.PutPool(pool); }
  absl::Status PutAllocation(const pools::AllocationRow& allocation) override {
    return inner_.PutAllocation(allocation);
  }
  absl::Status DeleteAllocations(int64_t ended_before_ms) override {
    return inner_.DeleteAllocations(ended_before_ms);
  }

 private:
  core::WriteTransaction& inner_;
  ObservedReads reads_;
  const PlantedBug bug_;
  Changes changes_;
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_OBSERVED_TRANSACTION_H_
