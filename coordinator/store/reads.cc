// Reads of what is planned: sweeps, groups, jobs, workers.
#include "coordinator/store/reads.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/store/collect.h"

namespace coppice::store {
namespace {

using core::GroupRow;
using core::JobRow;
using core::SweepRow;

#define SWEEP_COLUMNS \
  "id, name, priority, max_failures, paused, created_ms, finished_ms, unfinished, steps_total, " \
  "jobs_missing"

SweepRow ReadSweep(const Query& query) {
  SweepRow row;
  row.id = query.As<core::SweepId>(0);
  row.name = query.Text(1);
  row.priority = query.As<int32_t>(2);
  row.max_failures = query.As<uint32_t>(3);
  row.paused = query.Int(4) != 0;
  row.created_ms = query.Int(5);
  row.finished_ms = query.Int(6);
  row.unfinished = query.As<uint64_t>(7);
  row.steps_total = query.As<uint64_t>(8);
  row.jobs_missing = query.As<uint64_t>(9);
  return row;
}

GroupRow ReadGroup(const Query& query) {
  GroupRow row;
  row.id = query.As<core::GroupId>(0);
  row.sweep_id = query.As<core::SweepId>(1);
  row.spec.task = query.Text(2);
  row.spec.depth = query.As<uint32_t>(3);
  row.spec.run_json = query.Text(4);
  row.spec.steps = query.As<uint32_t>(5);
  row.spec.report_every = query.As<uint32_t>(6);
  row.spec.checkpoint_every = query.As<uint32_t>(7);
  row.spec.keep = query.As<uint32_t>(8);
  row.spec.keep_every = query.As<uint32_t>(9);
  row.spec.work_per_step = query.Real(10);
  row.first_job = query.As<core::JobId>(11);
  row.jobs = query.As<uint64_t>(12);
  row.counts.pending = query.As<uint64_t>(13);
  row.counts.running = query.As<uint64_t>(14);
  row.counts.succeeded = query.As<uint64_t>(15);
  row.counts.failed = query.As<uint64_t>(16);
  row.counts.cancelled = query.As<uint64_t>(17);
  row.steps_done = query.As<uint64_t>(18);
  row.open_steps = query.As<uint64_t>(19);
  row.seeds_ascend = query.Int(20) != 0;
  return row;
}

#define JOB_COLUMNS                                                                          \
  "id, sweep_id, group_id, seed, state, step, best_step, checkpoint_step, epoch, attempts, " \
  "failures, forgiven_epoch, not_before_ms, worker, reason, started_ms, finished_ms"

JobRow ReadJob(const Query& query) {
  JobRow row;
  row.id = query.As<core::JobId>(0);
  row.sweep_id = query.As<core::SweepId>(1);
  row.group_id = query.As<core::GroupId>(2);
  row.seed = query.As<uint32_t>(3);
  row.state = query.As<core::JobState>(4);
  row.step = query.As<uint32_t>(5);
  row.best_step = query.As<uint32_t>(6);
  row.checkpoint_step = query.As<uint32_t>(7);
  row.epoch = query.As<core::Epoch>(8);
  row.attempts = query.As<uint32_t>(9);
  row.failures = query.As<uint32_t>(10);
  row.forgiven_epoch = query.As<core::Epoch>(11);
  row.not_before_ms = query.Int(12);
  row.worker = query.Text(13);
  row.reason = query.Text(14);
  row.started_ms = query.Int(15);
  row.finished_ms = query.Int(16);
  return row;
}

#define WORKER_COLUMNS                                                                        \
  "name, id, instance, host, version, slots, pack_width, device, shared_checkpoints, draining, " \
  "preempt, registered_ms, last_seen_ms, ends_ms, incarnation, superseded_host, superseded_ms"

core::WorkerRow ReadWorker(const Query& query) {
  core::WorkerRow row;
  row.info.name = query.Text(0);
  row.id = query.Text(1);
  row.info.instance = query.Text(2);
  row.info.host = query.Text(3);
  row.info.version = query.Text(4);
  row.info.slots = query.As<uint32_t>(5);
  row.info.pack_width = query.As<uint32_t>(6);
  row.info.device = query.Text(7);
  row.info.shared_checkpoints = query.Int(8) != 0;
  row.draining = query.Int(9) != 0;
  row.preempt = query.Int(10) != 0;
  row.registered_ms = query.Int(11);
  row.last_seen_ms = query.Int(12);
  row.info.ends_ms = query.Int(13);
  row.info.incarnation = query.As<uint64_t>(14);
  row.superseded_host = query.Text(15);
  row.superseded_ms = query.Int(16);
  return row;
}

}  // namespace

absl::StatusOr<std::vector<SweepRow>> SqliteReads::ListSweeps() {
  Query query =
      db_.Prepare("SELECT " SWEEP_COLUMNS " FROM sweeps WHERE jobs_missing = 0 ORDER BY id");
  return Collect(query, &ReadSweep);
}

absl::StatusOr<std::vector<SweepRow>> SqliteReads::ListIncompleteSweeps() {
  Query query =
      db_.Prepare("SELECT " SWEEP_COLUMNS " FROM sweeps WHERE jobs_missing > 0 ORDER BY id");
  return Collect(query, &ReadSweep);
}

absl::StatusOr<SweepRow> SqliteReads::GetSweep(core::SweepId id) {
  Query query = db_.Prepare("SELECT " SWEEP_COLUMNS " FROM sweeps WHERE id = ?");
  COPPICE_ASSIGN_OR_RETURN(const bool found, query.Bind(id).Step());
  if (!found) return absl::NotFoundError(absl::StrCat("no sweep with id ", id));
  return ReadSweep(query);
}

absl::StatusOr<std::optional<SweepRow>> SqliteReads::FindSweep(absl::string_view name) {
  Query query = db_.Prepare("SELECT " SWEEP_COLUMNS
                            " FROM sweeps WHERE name = ? AND jobs_missing = 0");
  COPPICE_ASSIGN_OR_RETURN(const bool found, query.Bind(name).Step());
  if (!found) return std::optional<SweepRow>();
  return std::optional<SweepRow>(ReadSweep(query));
}

absl::StatusOr<std::string> SqliteReads::GetSpecBlob(core::SweepId id) {
  Query query = db_.Prepare("SELECT spec FROM sweep_specs WHERE sweep_id = ?");
  COPPICE_ASSIGN_OR_RETURN(const bool found, query.Bind(id).Step());
  if (!found) return absl::NotFoundError(absl::StrCat("no sweep with id ", id));
  return query.Bytes(0);
}

absl::StatusOr<std::vector<GroupRow>> SqliteReads::ListGroups(core::SweepId sweep_id) {
  Query query = db_.Prepare(
      "SELECT id, sweep_id, task, depth, run_json, steps, report_every, checkpoint_every, keep, "
      "keep_every, work_per_step, first_job, jobs, pending, running, succeeded, failed, cancelled, "
      "steps_done, open_steps, seeds_ascend FROM groups WHERE sweep_id = ? ORDER BY id");
  query.Bind(sweep_id);
  return Collect(query, &ReadGroup);
}

absl::StatusOr<std::vector<core::Operation>> SqliteReads::ListOperations(core::SweepId sweep_id,
                                                                         uint32_t newest) {
  Query query = db_.Prepare(
      "SELECT time_ms, action, who, detail FROM (SELECT number, time_ms, action, who, detail FROM "
      "operations WHERE sweep_id = ? ORDER BY number DESC LIMIT ?) ORDER BY number");
  query.Bind(sweep_id, newest);
  return Collect(query, +[](const Query& row) {
    return core::Operation{row.Int(0), row.Text(1), row.Text(2), row.Text(3)};
  });
}

absl::StatusOr<JobRow> SqliteReads::GetJob(core::JobId id) {
  Query query = db_.Prepare("SELECT " JOB_COLUMNS " FROM jobs WHERE id = ?");
  COPPICE_ASSIGN_OR_RETURN(const bool found, query.Bind(id).Step());
  if (!found) return absl::NotFoundError(absl::StrCat("no job with id ", id));
  return ReadJob(query);
}

absl::Status SqliteReads::ScanJobs(core::JobId first, core::JobId last, core::StateSet states,
                                   absl::FunctionRef<bool(const JobRow&)> visit) {
  Query query = db_.Prepare("SELECT " JOB_COLUMNS
                            " FROM jobs WHERE id BETWEEN ? AND ? AND (? >> state) & 1 ORDER BY id");
  query.Bind(first, last, states.mask());
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more || !visit(ReadJob(query))) return absl::OkStatus();
  }
}

absl::StatusOr<std::vector<core::WorkerRow>> SqliteReads::ListWorkers() {
  Query query = db_.Prepare("SELECT " WORKER_COLUMNS " FROM workers ORDER BY name");
  return Collect(query, &ReadWorker);
}

absl::StatusOr<std::optional<core::WorkerRow>> SqliteReads::FindWorker(absl::string_view name) {
  Query query = db_.Prepare("SELECT " WORKER_COLUMNS " FROM workers WHERE name = ?");
  query.Bind(name);
  COPPICE_ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) return std::optional<core::WorkerRow>();
  return std::optional<core::WorkerRow>(ReadWorker(query));
}

absl::StatusOr<uint64_t> SqliteReads::GetIncarnations() {
  Query query = db_.Prepare("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'incarnations'");
  COPPICE_ASSIGN_OR_RETURN(const bool found, query.Step());
  return found ? query.As<uint64_t>(0) : 0;
}

absl::StatusOr<core::Epoch> SqliteReads::GetEpochFloor() {
  Query query = db_.Prepare("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'epoch_floor'");
  COPPICE_ASSIGN_OR_RETURN(const bool found, query.Step());
  return found ? query.As<core::Epoch>(0) : 0;
}

}  // namespace coppice::store
