// Reads and writes the rows of pools and of their allocations.
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/store/collect.h"
#include "coordinator/store/pool_json.h"
#include "coordinator/store/reads.h"
#include "coordinator/store/writes.h"

namespace coppice::store {
namespace {

using pools::AllocationRow;
using pools::PoolRow;

absl::StatusOr<PoolRow> ReadPool(const Statement& statement) {
  PoolRow row;
  row.spec.name = statement.Text(0);
  COPPICE_RETURN_IF_ERROR(SettingsFromJson(statement.Text(1), &row.spec));
  if (const std::string mode = statement.Text(2); !pools::ParsePoolMode(mode, &row.mode)) {
    return absl::InternalError(absl::StrCat("the database has the pool '", row.spec.name,
                                            "' with the mode '", mode,
                                            "', which this version does not know"));
  }
  row.why = statement.Text(3);
  row.next_sequence = statement.As<uint64_t>(4);
  row.changed_ms = statement.Int(5);
  row.removed = statement.Int(6) != 0;
  row.decision = statement.Text(7);
  row.decided_ms = statement.Int(8);
  row.failures = statement.As<uint32_t>(9);
  row.backoff_until_ms = statement.Int(10);
  row.last_error = statement.Text(11);
  COPPICE_RETURN_IF_ERROR(ExcludedFromJson(statement.Text(12), &row.excluded));
  COPPICE_RETURN_IF_ERROR(SweepUseFromJson(statement.Text(13), &row.sweep_use));
  row.use_counted_ms = statement.Int(14);
  return row;
}

absl::StatusOr<AllocationRow> ReadAllocationRow(const Statement& statement) {
  AllocationRow row;
  row.key = statement.Text(0);
  row.pool = statement.Text(1);
  row.sequence = statement.As<uint64_t>(2);
  if (const std::string state = statement.Text(3);
      !pools::ParseAllocationState(state, &row.state)) {
    return absl::InternalError(absl::StrCat("the database has the allocation '", row.key,
                                            "' with the state '", state,
                                            "', which this version does not know"));
  }
  row.job_id = statement.Text(4);
  row.node = statement.Text(5);
  row.slurm_state = statement.Text(6);
  row.reason = statement.Text(7);
  row.intended_ms = statement.Int(8);
  row.submitted_ms = statement.Int(9);
  row.started_ms = statement.Int(10);
  row.ended_ms = statement.Int(11);
  row.ends_ms = statement.Int(12);
  row.estimated_start_ms = statement.Int(13);
  row.restarts = statement.As<uint32_t>(14);
  row.walltime_s = statement.Int(15);
  row.gpus = statement.As<uint32_t>(16);
  row.gpu_seconds = statement.Real(17);
  row.registered = statement.Int(18) != 0;
  row.outcome = statement.Text(19);
  row.error = statement.Text(20);
  row.output_tail = statement.Text(21);
  return row;
}

}  // namespace

absl::StatusOr<std::vector<PoolRow>> SqliteReads::ListPools() {
  Statement statement = db_.Prepare(R"sql(
      SELECT name, settings, mode, why, next_sequence, changed_ms, removed, decision, decided_ms,
        failures, backoff_until_ms, last_error, excluded_nodes, sweep_use, use_counted_ms
      FROM pools ORDER BY name)sql");
  return Collect(statement, &ReadPool);
}

absl::StatusOr<std::vector<AllocationRow>> SqliteReads::ListAllocations(int64_t ended_since_ms) {
  Statement statement = db_.Prepare(R"sql(
      SELECT key, pool, sequence, state, job_id, node, batch_state, reason, intended_ms,
        submitted_ms, started_ms, ended_ms, ends_ms, estimated_start_ms, restarts, walltime_s,
        gpus, gpu_seconds, registered, outcome, error, output_tail
      FROM allocations WHERE state <> 'ended' OR ended_ms >= ? ORDER BY pool, sequence)sql");
  statement.Bind(ended_since_ms);
  return Collect(statement, &ReadAllocationRow);
}

// The row of a pool is updated in place: allocations refer to it.
absl::Status SqliteWrites::PutPool(const PoolRow& pool) {
  Statement statement = db_.Prepare(R"sql(
      INSERT INTO pools (name, settings, mode, why, next_sequence, changed_ms, removed, decision,
        decided_ms, failures, backoff_until_ms, last_error, excluded_nodes, sweep_use,
        use_counted_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, mode = excluded.mode,
        why = excluded.why, next_sequence = excluded.next_sequence,
        changed_ms = excluded.changed_ms, removed = excluded.removed,
        decision = excluded.decision, decided_ms = excluded.decided_ms,
        failures = excluded.failures, backoff_until_ms = excluded.backoff_until_ms,
        last_error = excluded.last_error, excluded_nodes = excluded.excluded_nodes,
        sweep_use = excluded.sweep_use, use_counted_ms = excluded.use_counted_ms)sql");
  return statement
      .Bind(pool.spec.name, SettingsToJson(pool.spec), pools::PoolModeName(pool.mode), pool.why,
            pool.next_sequence, pool.changed_ms, pool.removed, pool.decision, pool.decided_ms,
            pool.failures, pool.backoff_until_ms, pool.last_error, ExcludedToJson(pool.excluded),
            SweepUseToJson(pool.sweep_use), pool.use_counted_ms)
      .Run();
}

absl::Status SqliteWrites::PutAllocation(const AllocationRow& row) {
  Statement statement = db_.Prepare(R"sql(
      INSERT OR REPLACE INTO allocations (key, pool, sequence, state, job_id, node, batch_state,
        reason, intended_ms, submitted_ms, started_ms, ended_ms, ends_ms, estimated_start_ms,
        restarts, walltime_s, gpus, gpu_seconds, registered, outcome, error, output_tail)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql");
  return statement
      .Bind(row.key, row.pool, row.sequence, pools::AllocationStateName(row.state), row.job_id,
            row.node, row.slurm_state, row.reason, row.intended_ms, row.submitted_ms,
            row.started_ms, row.ended_ms, row.ends_ms, row.estimated_start_ms, row.restarts,
            row.walltime_s, row.gpus, row.gpu_seconds, row.registered, row.outcome, row.error,
            row.output_tail)
      .Run();
}

absl::Status SqliteWrites::DeleteAllocations(int64_t ended_before_ms) {
  return db_.Prepare("DELETE FROM allocations WHERE state = 'ended' AND ended_ms < ?")
      .Bind(ended_before_ms)
      .Run();
}

}  // namespace coppice::store
