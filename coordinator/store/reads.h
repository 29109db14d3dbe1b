#ifndef COPPICE_COORDINATOR_STORE_READS_H_
#define COPPICE_COORDINATOR_STORE_READS_H_

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/store.h"
#include "coordinator/store/connection.h"

namespace coppice::store {

// core::ReadTransaction over one connection, on which the owner has begun a transaction.
class SqliteReads : public core::ReadTransaction {
 public:
  explicit SqliteReads(Connection* db) : db_(*db) {}

  void StopWhen(std::function<bool()> stop) override { db_.StopWhen(std::move(stop)); }

  absl::StatusOr<std::vector<core::SweepRow>> ListSweeps() override;
  absl::StatusOr<std::vector<core::SweepRow>> ListIncompleteSweeps() override;
  absl::StatusOr<std::vector<core::SweepRow>> ListContinuingSweeps() override;
  absl::StatusOr<std::vector<core::SweepRow>> ListDeletedSweeps() override;
  absl::StatusOr<core::SweepRow> GetSweep(core::SweepId id) override;
  absl::StatusOr<std::optional<core::SweepRow>> FindSweep(absl::string_view name) override;
  absl::StatusOr<std::string> GetSpecBlob(core::SweepId id) override;
  absl::StatusOr<std::vector<core::GroupRow>> ListGroups(core::SweepId sweep_id) override;
  absl::StatusOr<std::vector<core::GroupRow>> ListGroupCounts(core::SweepId sweep_id) override;

  absl::StatusOr<std::vector<core::Operation>> ListOperations(core::SweepId sweep_id,
                                                              uint32_t newest) override;

  absl::StatusOr<core::JobRow> GetJob(core::JobId id) override;
  absl::Status ScanJobs(core::JobId first, core::JobId last, core::StateSet states,
                        absl::FunctionRef<bool(const core::JobRow&)> visit) override;
  absl::StatusOr<bool> AnyBegun(core::JobId first, core::JobId last) override;
  absl::StatusOr<core::RepeatedSteps> CountRepeatedSteps(core::JobId first, core::JobId last,
                                                         uint32_t steps) override;

  absl::StatusOr<core::AttemptRow> GetAttempt(core::JobId job_id,
                                              core::AttemptNumber attempt) override;
  absl::StatusOr<std::vector<core::AttemptRow>> ListAttempts(core::JobId job_id) override;
  absl::StatusOr<std::vector<core::AttemptRow>> FindOpenAttempts(
      absl::string_view worker, absl::string_view request_id) override;
  absl::StatusOr<std::vector<core::JobEvent>> ListEvents(core::JobId job_id,
                                                         uint32_t newest) override;

  absl::StatusOr<std::vector<core::Checkpoint>> ListCheckpoints(
      core::JobId job_id, core::CheckpointState state) override;
  absl::StatusOr<std::vector<core::Checkpoint>> ListDroppedCheckpoints(uint32_t limit) override;
  absl::StatusOr<core::CheckpointSum> SumCheckpoints(core::JobId first, core::JobId last) override;

  absl::StatusOr<bool> IsRowDue(const core::Checkpoint& checkpoint) override;

  absl::Status ScanMetrics(const core::MetricsScan& scan,
                           absl::FunctionRef<bool(const core::StoredRow&)> visit) override;
  absl::StatusOr<std::vector<core::MetricValue>> LatestMetrics(core::JobId job_id) override;
  absl::StatusOr<std::vector<std::string>> ListMetricNames(core::JobId job_id,
                                                           size_t most) override;
  absl::StatusOr<uint64_t> CountMetricNames(core::SweepId sweep_id) override;
  absl::StatusOr<bool> HasMetricName(core::SweepId sweep_id, absl::string_view name) override;
  absl::StatusOr<uint64_t> CountMetricSteps(core::JobId job_id, uint32_t step) override;

  absl::StatusOr<std::vector<core::LogChunk>> ReadLog(core::JobId job_id,
                                                      core::AttemptNumber attempt, uint64_t offset,
                                                      uint64_t max_bytes) override;
  absl::StatusOr<core::AttemptNumber> NewestLogAttempt(core::JobId job_id) override;

  absl::StatusOr<std::vector<core::WorkerRow>> ListWorkers() override;
  absl::StatusOr<std::optional<core::WorkerRow>> FindWorker(absl::string_view name) override;
  absl::StatusOr<uint64_t> GetIncarnations() override;
  absl::StatusOr<std::vector<pools::PoolRow>> ListPools() override;
  absl::StatusOr<std::vector<pools::AllocationRow>> ListAllocations(
      int64_t ended_since_ms) override;
  absl::StatusOr<core::AttemptNumber> GetAttemptFloor() override;

 private:
  Connection& db_;
};

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_READS_H_
