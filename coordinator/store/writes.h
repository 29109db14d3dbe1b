#ifndef COPPICE_COORDINATOR_STORE_WRITES_H_
#define COPPICE_COORDINATOR_STORE_WRITES_H_

#include "absl/container/flat_hash_map.h"
#include "coordinator/core/store.h"
#include "coordinator/store/connection.h"
#include "coordinator/store/reads.h"

namespace coppice::store {

// core::WriteTransaction over the writer connection. It lives as long as the connection. Its cache
// of metric names survives from one transaction to the next.
class SqliteWrites : public core::WriteTransaction {
 public:
  explicit SqliteWrites(Connection* db) : db_(*db), reads_(db) {}

  // Empties the cache of metric names. Names interned in a lost or undone transaction are not in
  // the file.
  void ForgetNames() { name_ids_.clear(); }

  core::ReadTransaction& read() override { return reads_; }
  absl::Status Savepoint(absl::FunctionRef<absl::Status()> body) override;

  absl::StatusOr<core::SweepId> InsertSweep(const core::SweepRow& sweep,
                                            absl::string_view spec_blob) override;
  absl::StatusOr<core::GroupId> InsertGroup(const core::GroupRow& group) override;
  absl::StatusOr<core::JobId> ReserveJobs(core::SweepId sweep_id, core::GroupId group_id,
                                          uint64_t count) override;
  absl::Status InsertJobs(core::SweepId sweep_id, core::GroupId group_id, core::JobId first,
                          absl::Span<const uint32_t> seeds) override;
  absl::Status MarkSweepDeleted(core::SweepId id) override;
  absl::StatusOr<core::DeletedPart> DeletePartOfSweep(core::SweepId id, uint64_t limit) override;
  absl::Status UpdateGroup(const core::GroupRow& group) override;
  absl::Status SetGroupContinuing(core::GroupId id, bool continuing) override;
  absl::Status UpdateSweep(const core::SweepRow& sweep, absl::string_view spec_blob) override;
  absl::Status InsertOperation(core::SweepId sweep_id, const core::Operation& operation,
                               uint32_t keep) override;
  absl::Status SetSweepPaused(core::SweepId id, bool paused) override;
  absl::Status SetSweepFinished(core::SweepId id, int64_t finished_ms) override;
  absl::Status SetSweepNote(core::SweepId id, absl::string_view note) override;
  absl::Status SetSweepTags(core::SweepId id, const std::vector<std::string>& tags) override;
  absl::Status UpdateJob(const core::JobRow& before, const core::JobRow& after) override;

  absl::Status InsertAttempt(const core::AttemptRow& attempt) override;
  absl::Status UpdateAttempt(const core::AttemptRow& attempt) override;
  absl::Status InsertEvent(core::JobId job_id, const core::JobEvent& event) override;

  absl::Status InsertMetricRow(core::JobId job_id, core::AttemptNumber attempt,
                               const core::MetricRow& row) override;
  absl::Status AddMetricName(core::SweepId sweep_id, const std::string& name) override;
  absl::StatusOr<uint64_t> ArchiveMetrics(core::JobId job_id, uint32_t step) override;

  absl::Status InsertCheckpoint(const core::Checkpoint& checkpoint, bool row_due) override;
  absl::Status SetCheckpointState(core::JobId job_id, core::AttemptNumber attempt, uint32_t step,
                                  core::CheckpointState state) override;
  absl::Status DeleteDroppedCheckpoints(core::JobId job_id) override;

  absl::Status AppendLog(core::JobId job_id, core::AttemptNumber attempt, uint64_t offset,
                         absl::string_view text) override;
  absl::Status TrimLog(core::JobId job_id, core::AttemptNumber attempt, uint64_t offset) override;

  absl::Status PutWorker(const core::WorkerRow& worker) override;
  absl::Status SetIncarnations(uint64_t greatest) override;
  absl::Status SetAttemptFloor(core::AttemptNumber floor) override;
  absl::Status DeleteWorker(const std::string& name) override;

  absl::Status PutPool(const pools::PoolRow& pool) override;
  absl::Status PutAllocation(const pools::AllocationRow& allocation) override;
  absl::Status DeleteAllocations(int64_t ended_before_ms) override;

 private:
  absl::Status CountChange(const core::JobRow& before, const core::JobRow& after);
  absl::StatusOr<int64_t> NameId(const std::string& name);
  absl::Status ExactlyOne(Statement& statement, absl::string_view what);
  // deletes.cc
  absl::StatusOr<core::SweepId> NextSweepId();
  absl::StatusOr<core::GroupId> NextGroupId();
  absl::StatusOr<core::JobId> NextJobId();
  absl::Status RaiseIdFloors();

  Connection& db_;
  SqliteReads reads_;
  absl::flat_hash_map<std::string, int64_t> name_ids_;
};

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_WRITES_H_
