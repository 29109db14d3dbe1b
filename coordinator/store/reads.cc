// Reads of sweeps, groups, jobs and workers.
#include "coordinator/store/reads.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "coordinator/store/collect.h"
#include "coordinator/store/point_json.h"

namespace coppice::store {
namespace {

using core::GroupRow;
using core::JobRow;
using core::SweepRow;

#define SWEEP_COLUMNS                                                                            \
  "id, name, priority, max_failures, paused, created_ms, finished_ms, unfinished, steps_total, " \
  "jobs_missing, deleted, note, tags"

SweepRow ReadSweep(const Statement& statement) {
  SweepRow row;
  row.id = statement.As<core::SweepId>(0);
  row.name = statement.Text(1);
  row.priority = statement.As<int32_t>(2);
  row.max_failures = statement.As<uint32_t>(3);
  row.paused = statement.Int(4) != 0;
  row.created_ms = statement.Int(5);
  row.finished_ms = statement.Int(6);
  row.unfinished = statement.As<uint64_t>(7);
  row.steps_total = statement.As<uint64_t>(8);
  row.jobs_missing = statement.As<uint64_t>(9);
  row.deleted = statement.Int(10) != 0;
  row.note = statement.Text(11);
  const std::string tags = statement.Text(12);
  if (!tags.empty()) row.tags = absl::StrSplit(tags, '\n');
  return row;
}

absl::StatusOr<GroupRow> ReadGroup(const Statement& statement) {
  GroupRow row;
  row.id = statement.As<core::GroupId>(0);
  row.sweep_id = statement.As<core::SweepId>(1);
  row.spec.task = statement.Text(2);
  row.spec.depth = statement.As<uint32_t>(3);
  row.spec.run_json = statement.Text(4);
  row.spec.steps = statement.As<uint32_t>(5);
  row.spec.report_every = statement.As<uint32_t>(6);
  row.spec.checkpoint_every = statement.As<uint32_t>(7);
  row.spec.keep = statement.As<uint32_t>(8);
  row.spec.keep_every = statement.As<uint32_t>(9);
  row.spec.work_per_step = statement.Real(10);
  row.first_job = statement.As<core::JobId>(11);
  row.jobs = statement.As<uint64_t>(12);
  row.counts.pending = statement.As<uint64_t>(13);
  row.counts.running = statement.As<uint64_t>(14);
  row.counts.succeeded = statement.As<uint64_t>(15);
  row.counts.failed = statement.As<uint64_t>(16);
  row.counts.cancelled = statement.As<uint64_t>(17);
  row.steps_done = statement.As<uint64_t>(18);
  row.open_steps = statement.As<uint64_t>(19);
  row.seeds_ascend = statement.Int(20) != 0;
  COPPICE_RETURN_IF_ERROR(PointFromJson(statement.Text(21), &row.spec.point));
  row.spec.program_pack = statement.As<uint32_t>(22);
  row.part_of = statement.As<core::GroupId>(23);
  row.spec.common_row_every = statement.As<uint32_t>(24);
  row.continuing = statement.Int(25) != 0;
  return row;
}

#define JOB_COLUMNS                                                                            \
  "id, sweep_id, group_id, seed, state, step, best_step, checkpoint_step, attempt, attempts, " \
  "failures, forgiven_attempt, not_before_ms, worker, reason, started_ms, finished_ms"

JobRow ReadJob(const Statement& statement) {
  JobRow row;
  row.id = statement.As<core::JobId>(0);
  row.sweep_id = statement.As<core::SweepId>(1);
  row.group_id = statement.As<core::GroupId>(2);
  row.seed = statement.As<uint32_t>(3);
  row.state = statement.As<core::JobState>(4);
  row.step = statement.As<uint32_t>(5);
  row.best_step = statement.As<uint32_t>(6);
  row.checkpoint_step = statement.As<uint32_t>(7);
  row.attempt = statement.As<core::AttemptNumber>(8);
  row.attempts = statement.As<uint32_t>(9);
  row.failures = statement.As<uint32_t>(10);
  row.forgiven_attempt = statement.As<core::AttemptNumber>(11);
  row.not_before_ms = statement.Int(12);
  row.worker = statement.Text(13);
  row.reason = statement.Text(14);
  row.started_ms = statement.Int(15);
  row.finished_ms = statement.Int(16);
  return row;
}

#define WORKER_COLUMNS                                                                           \
  "name, id, instance, host, version, slots, pack_width, device, shared_checkpoints, draining, " \
  "preempt, registered_ms, last_seen_ms, ends_ms, incarnation, superseded_host, superseded_ms, " \
  "batch_system, cluster, job_id, raw_job_id, cluster_partition, node, proc_id, restarts, "      \
  "pool_key, gpus, departed_ms, departed_reason, programs"

core::WorkerRow ReadWorker(const Statement& statement) {
  core::WorkerRow row;
  row.info.name = statement.Text(0);
  row.id = statement.Text(1);
  row.info.instance = statement.Text(2);
  row.info.host = statement.Text(3);
  row.info.version = statement.Text(4);
  row.info.slots = statement.As<uint32_t>(5);
  row.info.pack_width = statement.As<uint32_t>(6);
  row.info.device = statement.Text(7);
  row.info.shared_checkpoints = statement.Int(8) != 0;
  row.draining = statement.Int(9) != 0;
  row.preempt = statement.Int(10) != 0;
  row.registered_ms = statement.Int(11);
  row.last_seen_ms = statement.Int(12);
  row.info.ends_ms = statement.Int(13);
  row.info.incarnation = statement.As<uint64_t>(14);
  row.superseded_host = statement.Text(15);
  row.superseded_ms = statement.Int(16);
  core::Allocation& allocation = row.info.allocation;
  allocation.system = statement.Text(17);
  allocation.cluster = statement.Text(18);
  allocation.job_id = statement.Text(19);
  allocation.raw_job_id = statement.Text(20);
  allocation.partition = statement.Text(21);
  allocation.node = statement.Text(22);
  allocation.proc_id = statement.As<uint32_t>(23);
  allocation.restarts = statement.As<uint32_t>(24);
  allocation.pool_key = statement.Text(25);
  const std::string gpus = statement.Text(26);
  if (!gpus.empty()) allocation.gpus = absl::StrSplit(gpus, '\n');
  row.departed_ms = statement.Int(27);
  row.departed_reason = statement.Text(28);
  row.info.programs = statement.Int(29) != 0;
  return row;
}

}  // namespace

absl::StatusOr<std::vector<SweepRow>> SqliteReads::ListSweeps() {
  Statement statement = db_.Prepare("SELECT " SWEEP_COLUMNS
                                    " FROM sweeps WHERE jobs_missing = 0 AND deleted = 0 "
                                    "ORDER BY id");
  return Collect(statement, &ReadSweep);
}

absl::StatusOr<std::vector<SweepRow>> SqliteReads::ListIncompleteSweeps() {
  Statement statement =
      db_.Prepare("SELECT " SWEEP_COLUMNS " FROM sweeps WHERE jobs_missing > 0 ORDER BY id");
  return Collect(statement, &ReadSweep);
}

absl::StatusOr<std::vector<SweepRow>> SqliteReads::ListContinuingSweeps() {
  Statement statement = db_.Prepare(
      "SELECT " SWEEP_COLUMNS
      " FROM sweeps WHERE id IN (SELECT sweep_id FROM groups WHERE continuing = 1) AND deleted = 0 "
      "ORDER BY id");
  return Collect(statement, &ReadSweep);
}

absl::StatusOr<std::vector<SweepRow>> SqliteReads::ListDeletedSweeps() {
  Statement statement =
      db_.Prepare("SELECT " SWEEP_COLUMNS " FROM sweeps WHERE deleted = 1 ORDER BY id");
  return Collect(statement, &ReadSweep);
}

absl::StatusOr<SweepRow> SqliteReads::GetSweep(core::SweepId id) {
  Statement statement = db_.Prepare("SELECT " SWEEP_COLUMNS " FROM sweeps WHERE id = ?");
  COPPICE_ASSIGN_OR_RETURN(const bool found, statement.Bind(id).Step());
  if (!found) return absl::NotFoundError(absl::StrCat("no sweep with id ", id));
  return ReadSweep(statement);
}

absl::StatusOr<std::optional<SweepRow>> SqliteReads::FindSweep(absl::string_view name) {
  Statement statement = db_.Prepare(
      "SELECT " SWEEP_COLUMNS " FROM sweeps WHERE name = ? AND jobs_missing = 0 AND deleted = 0");
  COPPICE_ASSIGN_OR_RETURN(const bool found, statement.Bind(name).Step());
  if (!found) return std::optional<SweepRow>();
  return std::optional<SweepRow>(ReadSweep(statement));
}

absl::StatusOr<std::string> SqliteReads::GetSpecBlob(core::SweepId id) {
  Statement statement = db_.Prepare("SELECT spec FROM sweep_specs WHERE sweep_id = ?");
  COPPICE_ASSIGN_OR_RETURN(const bool found, statement.Bind(id).Step());
  if (!found) return absl::NotFoundError(absl::StrCat("no sweep with id ", id));
  return statement.Bytes(0);
}

absl::StatusOr<std::vector<GroupRow>> SqliteReads::ListGroups(core::SweepId sweep_id) {
  Statement statement = db_.Prepare(R"sql(
      SELECT id, sweep_id, task, depth, run_json, steps, report_every, checkpoint_every, keep,
        keep_every, work_per_step, first_job, jobs, pending, running, succeeded, failed, cancelled,
        steps_done, open_steps, seeds_ascend, point, program_pack, part_of,
        common_row_every, continuing
      FROM groups
      WHERE sweep_id = ?
      ORDER BY id)sql");
  statement.Bind(sweep_id);
  return Collect(statement, &ReadGroup);
}

absl::StatusOr<std::vector<GroupRow>> SqliteReads::ListGroupCounts(core::SweepId sweep_id) {
  Statement statement = db_.Prepare(R"sql(
      SELECT id, sweep_id, task, depth, '', steps, report_every, checkpoint_every, keep,
        keep_every, work_per_step, first_job, jobs, pending, running, succeeded, failed, cancelled,
        steps_done, open_steps, seeds_ascend, '', program_pack, part_of,
        common_row_every, continuing
      FROM groups
      WHERE sweep_id = ?
      ORDER BY id)sql");
  statement.Bind(sweep_id);
  return Collect(statement, &ReadGroup);
}

absl::StatusOr<std::vector<core::Operation>> SqliteReads::ListOperations(core::SweepId sweep_id,
                                                                         uint32_t newest) {
  Statement statement = db_.Prepare(R"sql(
      SELECT time_ms, action, who, detail
      FROM (
        SELECT number, time_ms, action, who, detail
        FROM operations
        WHERE sweep_id = ?
        ORDER BY number DESC LIMIT ?
      )
      ORDER BY number)sql");
  statement.Bind(sweep_id, newest);
  return Collect(
      statement, +[](const Statement& row) {
        return core::Operation{row.Int(0), row.Text(1), row.Text(2), row.Text(3)};
      });
}

absl::StatusOr<JobRow> SqliteReads::GetJob(core::JobId id) {
  Statement statement = db_.Prepare(
      "SELECT " JOB_COLUMNS
      " FROM jobs WHERE id = ? "
      "AND NOT EXISTS (SELECT 1 FROM sweeps WHERE sweeps.id = jobs.sweep_id AND deleted = 1)");
  COPPICE_ASSIGN_OR_RETURN(const bool found, statement.Bind(id).Step());
  if (!found) return absl::NotFoundError(absl::StrCat("no job with id ", id));
  return ReadJob(statement);
}

absl::Status SqliteReads::ScanJobs(core::JobId first, core::JobId last, core::StateSet states,
                                   absl::FunctionRef<bool(const JobRow&)> visit) {
  Statement statement = db_.Prepare(
      "SELECT " JOB_COLUMNS " FROM jobs WHERE id BETWEEN ? AND ? AND (? >> state) & 1 ORDER BY id");
  statement.Bind(first, last, states.mask());
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more || !visit(ReadJob(statement))) return absl::OkStatus();
  }
}

absl::StatusOr<bool> SqliteReads::AnyBegun(core::JobId first, core::JobId last) {
  Statement statement =
      db_.Prepare("SELECT 1 FROM jobs WHERE id BETWEEN ? AND ? AND attempts > 0 LIMIT 1");
  return statement.Bind(first, last).Step();
}

absl::StatusOr<core::RepeatedSteps> SqliteReads::CountRepeatedSteps(core::JobId first,
                                                                    core::JobId last,
                                                                    uint32_t steps) {
  Statement statement = db_.Prepare(R"sql(
      SELECT COUNT(*), COALESCE(SUM(?3 - COALESCE((
        SELECT MAX(c.step)
        FROM checkpoints c
        WHERE c.job_id = j.id AND c.state = 1 AND c.step < ?3), 0)), 0)
      FROM jobs j
      WHERE j.id BETWEEN ?1 AND ?2 AND j.state = 3)sql");
  COPPICE_RETURN_IF_ERROR(statement.Bind(first, last, steps).Step().status());
  return core::RepeatedSteps{statement.As<uint64_t>(0), statement.As<uint64_t>(1)};
}

absl::StatusOr<std::vector<core::WorkerRow>> SqliteReads::ListWorkers() {
  Statement statement = db_.Prepare("SELECT " WORKER_COLUMNS " FROM workers ORDER BY name");
  return Collect(statement, &ReadWorker);
}

absl::StatusOr<std::optional<core::WorkerRow>> SqliteReads::FindWorker(absl::string_view name) {
  Statement statement = db_.Prepare("SELECT " WORKER_COLUMNS " FROM workers WHERE name = ?");
  statement.Bind(name);
  COPPICE_ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return std::optional<core::WorkerRow>();
  return std::optional<core::WorkerRow>(ReadWorker(statement));
}

absl::StatusOr<uint64_t> SqliteReads::GetIncarnations() {
  Statement statement =
      db_.Prepare("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'incarnations'");
  COPPICE_ASSIGN_OR_RETURN(const bool found, statement.Step());
  return found ? statement.As<uint64_t>(0) : 0;
}

absl::StatusOr<core::AttemptNumber> SqliteReads::GetAttemptFloor() {
  Statement statement =
      db_.Prepare("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'attempt_floor'");
  COPPICE_ASSIGN_OR_RETURN(const bool found, statement.Step());
  return found ? statement.As<core::AttemptNumber>(0) : 0;
}

}  // namespace coppice::store
