#include "coordinator/store/writes.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/store/point_json.h"

namespace coppice::store {
namespace {

using core::JobRow;
using core::JobState;

constexpr size_t kMaxNamesInMemory = 100'000;

// Returns the change of the count of `state`: +1, 0 or -1.
int Delta(const JobRow& before, const JobRow& after, JobState state) {
  return static_cast<int>(after.state == state) - static_cast<int>(before.state == state);
}

int64_t OpenSteps(const JobRow& row) { return core::IsOpen(row.state) ? row.step : 0; }

}  // namespace

absl::Status SqliteWrites::Savepoint(absl::FunctionRef<absl::Status()> body) {
  if (!db_.in_transaction())
    return absl::InternalError("database: the transaction was rolled back");
  COPPICE_RETURN_IF_ERROR(db_.Prepare("SAVEPOINT command").Run());
  absl::Status status = body();
  if (!status.ok() && db_.in_transaction()) {
    ForgetNames();
    const absl::Status undone = db_.Prepare("ROLLBACK TO command").Run();
    if (!undone.ok()) return undone;
  }
  if (!db_.in_transaction()) {
    ForgetNames();
    return status.ok() ? absl::InternalError("database: the transaction was rolled back") : status;
  }
  const absl::Status released = db_.Prepare("RELEASE command").Run();
  return status.ok() ? released : status;
}

absl::Status SqliteWrites::ExactlyOne(Statement& statement, absl::string_view what) {
  COPPICE_RETURN_IF_ERROR(statement.Run());
  if (db_.changes() == 1) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("database: ", what, " changed ", db_.changes(), " rows instead of one"));
}

absl::StatusOr<core::SweepId> SqliteWrites::InsertSweep(const core::SweepRow& sweep,
                                                        absl::string_view spec_blob) {
  COPPICE_ASSIGN_OR_RETURN(const core::SweepId id, NextSweepId());
  Statement statement = db_.Prepare(R"sql(
      INSERT INTO sweeps (id, name, priority, max_failures, paused, created_ms, finished_ms,
        steps_total, note, tags)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql");
  const std::string tags = absl::StrJoin(sweep.tags, "\n");
  statement.Bind(id, sweep.name, sweep.priority, sweep.max_failures, sweep.paused, sweep.created_ms,
                 sweep.finished_ms, sweep.steps_total, sweep.note, tags);
  COPPICE_RETURN_IF_ERROR(statement.Run());
  Statement spec = db_.Prepare("INSERT INTO sweep_specs (sweep_id, spec) VALUES (?, ?)");
  COPPICE_RETURN_IF_ERROR(spec.Bind(id, Blob{spec_blob}).Run());
  return id;
}

absl::StatusOr<core::GroupId> SqliteWrites::InsertGroup(const core::GroupRow& group) {
  COPPICE_ASSIGN_OR_RETURN(const core::GroupId id, NextGroupId());
  Statement statement = db_.Prepare(R"sql(
      INSERT INTO groups (id, sweep_id, task, depth, run_json, steps, report_every, checkpoint_every,
        keep, keep_every, work_per_step, seeds_ascend, point, program_pack, part_of,
        common_row_every)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql");
  const std::string point = PointToJson(group.spec.point);
  statement.Bind(id, group.sweep_id, group.spec.task, group.spec.depth, group.spec.run_json,
                 group.spec.steps, group.spec.report_every, group.spec.checkpoint_every,
                 group.spec.keep, group.spec.keep_every, group.spec.work_per_step,
                 group.seeds_ascend, point, group.spec.program_pack, group.part_of,
                 group.spec.common_row_every);
  COPPICE_RETURN_IF_ERROR(statement.Run());
  return id;
}

absl::StatusOr<core::JobId> SqliteWrites::ReserveJobs(core::SweepId sweep_id,
                                                      core::GroupId group_id, uint64_t count) {
  COPPICE_ASSIGN_OR_RETURN(const core::JobId first, NextJobId());
  Statement group = db_.Prepare(
      "UPDATE groups SET first_job = ?, jobs = ?, pending = ? WHERE id = ? AND jobs = 0");
  COPPICE_RETURN_IF_ERROR(
      ExactlyOne(group.Bind(first, count, count, group_id), "reserving jobs for a group"));
  Statement sweep = db_.Prepare(R"sql(
      UPDATE sweeps
      SET unfinished = unfinished + ?1, jobs_missing = jobs_missing + ?1
      WHERE id = ?2)sql");
  COPPICE_RETURN_IF_ERROR(ExactlyOne(sweep.Bind(count, sweep_id), "counting jobs"));
  return first;
}

absl::Status SqliteWrites::InsertJobs(core::SweepId sweep_id, core::GroupId group_id,
                                      core::JobId first, absl::Span<const uint32_t> seeds) {
  Statement insert =
      db_.Prepare("INSERT INTO jobs (id, sweep_id, group_id, seed) VALUES (?, ?, ?, ?)");
  core::JobId id = first;
  for (const uint32_t seed : seeds) {
    COPPICE_RETURN_IF_ERROR(insert.Bind(id++, sweep_id, group_id, seed).Run());
    insert.Reset();
  }
  Statement sweep = db_.Prepare("UPDATE sweeps SET jobs_missing = jobs_missing - ? WHERE id = ?");
  return ExactlyOne(sweep.Bind(seeds.size(), sweep_id), "counting jobs");
}

absl::Status SqliteWrites::UpdateGroup(const core::GroupRow& group) {
  Statement statement = db_.Prepare(R"sql(
      UPDATE groups
      SET run_json = ?, steps = ?, report_every = ?, checkpoint_every = ?, keep = ?,
        keep_every = ?, work_per_step = ?, program_pack = ?, common_row_every = ?
      WHERE id = ?)sql");
  const core::GroupSpec& spec = group.spec;
  statement.Bind(spec.run_json, spec.steps, spec.report_every, spec.checkpoint_every, spec.keep,
                 spec.keep_every, spec.work_per_step, spec.program_pack, spec.common_row_every,
                 group.id);
  return ExactlyOne(statement, "updating a group");
}

absl::Status SqliteWrites::SetGroupContinuing(core::GroupId id, bool continuing) {
  Statement statement = db_.Prepare("UPDATE groups SET continuing = ? WHERE id = ?");
  return ExactlyOne(statement.Bind(continuing, id), "continuing a group");
}

absl::Status SqliteWrites::UpdateSweep(const core::SweepRow& sweep, absl::string_view spec_blob) {
  Statement row =
      db_.Prepare("UPDATE sweeps SET priority = ?, max_failures = ?, steps_total = ? WHERE id = ?");
  row.Bind(sweep.priority, sweep.max_failures, sweep.steps_total, sweep.id);
  COPPICE_RETURN_IF_ERROR(ExactlyOne(row, "updating a sweep"));
  Statement spec = db_.Prepare("UPDATE sweep_specs SET spec = ? WHERE sweep_id = ?");
  return ExactlyOne(spec.Bind(Blob{spec_blob}, sweep.id), "updating the spec of a sweep");
}

absl::Status SqliteWrites::InsertOperation(core::SweepId sweep_id, const core::Operation& operation,
                                           uint32_t keep) {
  Statement insert = db_.Prepare(R"sql(
      INSERT INTO operations (sweep_id, number, time_ms, action, who, detail)
      VALUES (?1, (SELECT COALESCE(MAX(number), 0) + 1 FROM operations WHERE sweep_id = ?1),
        ?2, ?3, ?4, ?5))sql");
  insert.Bind(sweep_id, operation.time_ms, operation.action, operation.who, operation.detail);
  COPPICE_RETURN_IF_ERROR(insert.Run());
  Statement trim = db_.Prepare(R"sql(
      DELETE FROM operations
      WHERE sweep_id = ?1
        AND number <= (SELECT MAX(number) FROM operations WHERE sweep_id = ?1) - ?2)sql");
  return trim.Bind(sweep_id, keep).Run();
}

absl::Status SqliteWrites::SetSweepPaused(core::SweepId id, bool paused) {
  Statement statement = db_.Prepare("UPDATE sweeps SET paused = ? WHERE id = ?");
  return ExactlyOne(statement.Bind(paused, id), "pausing a sweep");
}

absl::Status SqliteWrites::SetSweepFinished(core::SweepId id, int64_t finished_ms) {
  Statement statement = db_.Prepare("UPDATE sweeps SET finished_ms = ? WHERE id = ?");
  return ExactlyOne(statement.Bind(finished_ms, id), "finishing a sweep");
}

absl::Status SqliteWrites::SetSweepNote(core::SweepId id, absl::string_view note) {
  Statement statement = db_.Prepare("UPDATE sweeps SET note = ? WHERE id = ?");
  return ExactlyOne(statement.Bind(note, id), "noting a sweep");
}

absl::Status SqliteWrites::SetSweepTags(core::SweepId id, const std::vector<std::string>& tags) {
  Statement statement = db_.Prepare("UPDATE sweeps SET tags = ? WHERE id = ?");
  const std::string lines = absl::StrJoin(tags, "\n");
  return ExactlyOne(statement.Bind(lines, id), "tagging a sweep");
}

absl::Status SqliteWrites::UpdateJob(const JobRow& before, const JobRow& after) {
  Statement statement = db_.Prepare(R"sql(
      UPDATE jobs
      SET state = ?, step = ?, best_step = ?, checkpoint_step = ?, attempt = ?, attempts = ?,
        failures = ?, forgiven_attempt = ?, not_before_ms = ?, worker = ?, reason = ?,
        started_ms = ?, finished_ms = ?
      WHERE id = ? AND state = ? AND attempt = ?)sql");
  statement.Bind(after.state, after.step, after.best_step, after.checkpoint_step, after.attempt,
                 after.attempts, after.failures, after.forgiven_attempt, after.not_before_ms,
                 after.worker, after.reason, after.started_ms, after.finished_ms, after.id,
                 before.state, before.attempt);
  COPPICE_RETURN_IF_ERROR(ExactlyOne(statement, "updating a job"));
  return CountChange(before, after);
}

absl::Status SqliteWrites::CountChange(const JobRow& before, const JobRow& after) {
  if (before.state == after.state && before.step == after.step) return absl::OkStatus();
  Statement group = db_.Prepare(R"sql(
      UPDATE groups
      SET pending = pending + ?, running = running + ?, succeeded = succeeded + ?,
        failed = failed + ?, cancelled = cancelled + ?, steps_done = steps_done + ?,
        open_steps = open_steps + ?
      WHERE id = ?)sql");
  group.Bind(Delta(before, after, JobState::kPending), Delta(before, after, JobState::kRunning),
             Delta(before, after, JobState::kSucceeded), Delta(before, after, JobState::kFailed),
             Delta(before, after, JobState::kCancelled), int64_t{after.step} - int64_t{before.step},
             OpenSteps(after) - OpenSteps(before), after.group_id);
  COPPICE_RETURN_IF_ERROR(ExactlyOne(group, "counting a group"));
  const int opened =
      static_cast<int>(core::IsOpen(after.state)) - static_cast<int>(core::IsOpen(before.state));
  if (opened == 0) return absl::OkStatus();
  Statement sweep = db_.Prepare("UPDATE sweeps SET unfinished = unfinished + ? WHERE id = ?");
  return ExactlyOne(sweep.Bind(opened, after.sweep_id), "counting a sweep");
}

absl::Status SqliteWrites::InsertAttempt(const core::AttemptRow& attempt) {
  Statement statement = db_.Prepare(R"sql(
      INSERT INTO attempts (job_id, attempt, worker, request_id, granted_ms, steps, start_step,
        row_step)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?))sql");
  return statement
      .Bind(attempt.job_id, attempt.number, attempt.worker, attempt.request_id, attempt.granted_ms,
            attempt.steps, attempt.start_step, attempt.row_step)
      .Run();
}

absl::Status SqliteWrites::UpdateAttempt(const core::AttemptRow& attempt) {
  Statement statement = db_.Prepare(R"sql(
      UPDATE attempts
      SET ended_ms = ?, outcome = ?, kind = ?, message = ?, start_step = ?, end_step = ?,
        row_step = ?, last_sequence = ?, log_bytes = ?, provenance = ?, log_tail = ?
      WHERE job_id = ? AND attempt = ?)sql");
  const absl::string_view kind = attempt.failure.has_value() ? FailureKindText(*attempt.failure)
                                                             : core::MarkText(attempt.mark);
  statement.Bind(attempt.ended_ms, core::OutcomeText(attempt.outcome), kind, attempt.message,
                 attempt.start_step, attempt.end_step, attempt.row_step, attempt.last_sequence,
                 attempt.log_bytes, attempt.provenance, attempt.log_tail, attempt.job_id,
                 attempt.number);
  return ExactlyOne(statement, "updating an attempt");
}

absl::Status SqliteWrites::InsertEvent(core::JobId job_id, const core::JobEvent& event) {
  Statement statement = db_.Prepare(R"sql(
      INSERT INTO job_events (job_id, number, time_ms, attempt, type, message)
      VALUES (?1, (SELECT COALESCE(MAX(number), 0) + 1 FROM job_events WHERE job_id = ?1),
        ?2, ?3, ?4, ?5))sql");
  return statement
      .Bind(job_id, event.time_ms, event.attempt, core::EventTypeText(event.type), event.message)
      .Run();
}

absl::StatusOr<int64_t> SqliteWrites::NameId(const std::string& name) {
  if (const auto it = name_ids_.find(name); it != name_ids_.end()) return it->second;
  if (name_ids_.size() >= kMaxNamesInMemory) name_ids_.clear();
  Statement find = db_.Prepare("SELECT id FROM metric_names WHERE name = ?");
  COPPICE_ASSIGN_OR_RETURN(const bool found, find.Bind(name).Step());
  if (found) return name_ids_[name] = find.Int(0);
  COPPICE_RETURN_IF_ERROR(
      db_.Prepare("INSERT INTO metric_names (name) VALUES (?)").Bind(name).Run());
  return name_ids_[name] = db_.last_insert_rowid();
}

absl::Status SqliteWrites::InsertMetricRow(core::JobId job_id, core::AttemptNumber attempt,
                                           const core::MetricRow& row) {
  Statement statement = db_.Prepare(
      "INSERT INTO metrics (job_id, step, name_id, attempt, value) VALUES (?, ?, ?, ?, ?)");
  for (const core::MetricValue& value : row.values) {
    COPPICE_ASSIGN_OR_RETURN(const int64_t name_id, NameId(value.name));
    COPPICE_RETURN_IF_ERROR(statement.Bind(job_id, row.step, name_id, attempt, value.value).Run());
    statement.Reset();
  }
  return absl::OkStatus();
}

absl::Status SqliteWrites::AddMetricName(core::SweepId sweep_id, const std::string& name) {
  COPPICE_ASSIGN_OR_RETURN(const int64_t name_id, NameId(name));
  return db_.Prepare("INSERT OR IGNORE INTO sweep_metric_names (sweep_id, name_id) VALUES (?, ?)")
      .Bind(sweep_id, name_id)
      .Run();
}

absl::StatusOr<uint64_t> SqliteWrites::ArchiveMetrics(core::JobId job_id, uint32_t step) {
  // An attempt that fell back to an earlier checkpoint reports some steps twice. The later report
  // wins.
  Statement copy = db_.Prepare(R"sql(
      INSERT OR REPLACE INTO metrics_archive (job_id, step, attempt, name_id, value)
      SELECT job_id, step, attempt, name_id, value
      FROM metrics
      WHERE job_id = ? AND step > ?)sql");
  COPPICE_RETURN_IF_ERROR(copy.Bind(job_id, step).Run());
  COPPICE_RETURN_IF_ERROR(
      db_.Prepare("DELETE FROM metrics WHERE job_id = ? AND step > ?").Bind(job_id, step).Run());
  return static_cast<uint64_t>(db_.changes());
}

absl::Status SqliteWrites::InsertCheckpoint(const core::Checkpoint& checkpoint, bool row_due) {
  Statement statement = db_.Prepare(R"sql(
      INSERT INTO checkpoints (job_id, step, attempt, state, path, digest, bytes, committed_ms,
        row_due)
      VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?))sql");
  return statement
      .Bind(checkpoint.job_id, checkpoint.step, checkpoint.attempt, checkpoint.path,
            checkpoint.digest, checkpoint.bytes, checkpoint.committed_ms, row_due)
      .Run();
}

absl::Status SqliteWrites::SetCheckpointState(core::JobId job_id, core::AttemptNumber attempt,
                                              uint32_t step, core::CheckpointState state) {
  Statement statement =
      db_.Prepare("UPDATE checkpoints SET state = ? WHERE job_id = ? AND step = ? AND attempt = ?");
  return ExactlyOne(statement.Bind(state, job_id, step, attempt), "updating a checkpoint");
}

absl::Status SqliteWrites::DeleteDroppedCheckpoints(core::JobId job_id) {
  return db_.Prepare("DELETE FROM checkpoints WHERE job_id = ? AND state = 2").Bind(job_id).Run();
}

absl::Status SqliteWrites::AppendLog(core::JobId job_id, core::AttemptNumber attempt,
                                     uint64_t offset, absl::string_view text) {
  return db_.Prepare("INSERT INTO job_logs (job_id, attempt, at, text) VALUES (?, ?, ?, ?)")
      .Bind(job_id, attempt, offset, text)
      .Run();
}

absl::Status SqliteWrites::TrimLog(core::JobId job_id, core::AttemptNumber attempt,
                                   uint64_t offset) {
  return db_.Prepare("DELETE FROM job_logs WHERE job_id = ? AND attempt = ? AND at < ?")
      .Bind(job_id, attempt, offset)
      .Run();
}

absl::Status SqliteWrites::PutWorker(const core::WorkerRow& worker) {
  Statement statement = db_.Prepare(R"sql(
      INSERT OR REPLACE INTO workers (name, id, instance, host, version, slots, pack_width, device,
        shared_checkpoints, draining, preempt, registered_ms, last_seen_ms, ends_ms, incarnation,
        superseded_host, superseded_ms, batch_system, cluster, job_id, raw_job_id,
        cluster_partition, node, proc_id, restarts, pool_key, gpus, departed_ms, departed_reason,
        programs)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
        ?, ?))sql");
  const core::WorkerInfo& info = worker.info;
  const core::Allocation& allocation = info.allocation;
  return statement
      .Bind(info.name, worker.id, info.instance, info.host, info.version, info.slots,
            info.pack_width, info.device, info.shared_checkpoints, worker.draining, worker.preempt,
            worker.registered_ms, worker.last_seen_ms, info.ends_ms, info.incarnation,
            worker.superseded_host, worker.superseded_ms, allocation.system, allocation.cluster,
            allocation.job_id, allocation.raw_job_id, allocation.partition, allocation.node,
            allocation.proc_id, allocation.restarts, allocation.pool_key,
            absl::StrJoin(allocation.gpus, "\n"), worker.departed_ms, worker.departed_reason,
            info.programs)
      .Run();
}

absl::Status SqliteWrites::SetIncarnations(uint64_t greatest) {
  return db_.Prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('incarnations', ?)")
      .Bind(absl::StrCat(greatest))
      .Run();
}

absl::Status SqliteWrites::SetAttemptFloor(core::AttemptNumber floor) {
  return db_.Prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('attempt_floor', ?)")
      .Bind(absl::StrCat(floor))
      .Run();
}

absl::Status SqliteWrites::DeleteWorker(const std::string& name) {
  return db_.Prepare("DELETE FROM workers WHERE name = ?").Bind(name).Run();
}

}  // namespace coppice::store
