#include "coordinator/store/schema.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace coppice::store {
namespace {

// One sweep may have millions of jobs. So a job has no secondary index (a group's jobs have
// consecutive ids, which serves every scan), and the job counts of a group by state are stored.
// Metrics are clustered by (job, step), the order in which they are archived and read.
constexpr char kVersion1[] = R"sql(
CREATE TABLE meta (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sweeps (
  id INTEGER NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (length(name) > 0),
  spec BLOB NOT NULL,
  priority INTEGER NOT NULL,
  max_failures INTEGER NOT NULL CHECK (max_failures > 0),
  paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  created_ms INTEGER NOT NULL,
  finished_ms INTEGER NOT NULL DEFAULT 0,
  unfinished INTEGER NOT NULL DEFAULT 0 CHECK (unfinished >= 0),
  steps_total INTEGER NOT NULL CHECK (steps_total >= 0)
) STRICT;

CREATE TABLE groups (
  id INTEGER NOT NULL PRIMARY KEY,
  sweep_id INTEGER NOT NULL REFERENCES sweeps (id),
  task TEXT NOT NULL,
  depth INTEGER NOT NULL,
  run_json TEXT NOT NULL,
  steps INTEGER NOT NULL CHECK (steps > 0),
  report_every INTEGER NOT NULL CHECK (report_every > 0),
  checkpoint_every INTEGER NOT NULL CHECK (checkpoint_every > 0),
  keep INTEGER NOT NULL CHECK (keep > 0),
  keep_every INTEGER NOT NULL CHECK (keep_every >= 0),
  work_per_step REAL NOT NULL CHECK (work_per_step >= 0),
  first_job INTEGER NOT NULL DEFAULT 0,
  jobs INTEGER NOT NULL DEFAULT 0,
  pending INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
  running INTEGER NOT NULL DEFAULT 0 CHECK (running >= 0),
  succeeded INTEGER NOT NULL DEFAULT 0 CHECK (succeeded >= 0),
  failed INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
  cancelled INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
  steps_done INTEGER NOT NULL DEFAULT 0 CHECK (steps_done >= 0),
  open_steps INTEGER NOT NULL DEFAULT 0 CHECK (open_steps >= 0)
) STRICT;
CREATE INDEX groups_by_sweep ON groups (sweep_id, id);

CREATE TABLE jobs (
  id INTEGER NOT NULL PRIMARY KEY,
  sweep_id INTEGER NOT NULL REFERENCES sweeps (id),
  group_id INTEGER NOT NULL REFERENCES groups (id),
  seed INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),
  step INTEGER NOT NULL DEFAULT 0 CHECK (step >= 0),
  best_step INTEGER NOT NULL DEFAULT 0 CHECK (best_step >= 0),
  checkpoint_step INTEGER NOT NULL DEFAULT 0 CHECK (checkpoint_step >= 0),
  epoch INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
  attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  failures INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
  forgiven_epoch INTEGER NOT NULL DEFAULT 0,
  not_before_ms INTEGER NOT NULL DEFAULT 0,
  worker TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  started_ms INTEGER NOT NULL DEFAULT 0,
  finished_ms INTEGER NOT NULL DEFAULT 0,
  CHECK ((state = 2) = (worker <> ''))
) STRICT;

CREATE TABLE attempts (
  job_id INTEGER NOT NULL REFERENCES jobs (id),
  epoch INTEGER NOT NULL CHECK (epoch > 0),
  worker TEXT NOT NULL,
  request_id TEXT NOT NULL,
  granted_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL DEFAULT 0,
  outcome TEXT NOT NULL DEFAULT ''
    CHECK (outcome IN ('', 'succeeded', 'failed', 'preempted', 'released', 'expired', 'cancelled')),
  kind TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '',
  start_step INTEGER NOT NULL,
  end_step INTEGER NOT NULL DEFAULT 0,
  row_step INTEGER NOT NULL,
  last_sequence INTEGER NOT NULL DEFAULT 0,
  log_bytes INTEGER NOT NULL DEFAULT 0,
  provenance TEXT NOT NULL DEFAULT '',
  log_tail TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (job_id, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX open_attempts ON attempts (worker, request_id, job_id) WHERE outcome = '';

CREATE TABLE checkpoints (
  job_id INTEGER NOT NULL REFERENCES jobs (id),
  step INTEGER NOT NULL CHECK (step >= 0),
  epoch INTEGER NOT NULL CHECK (epoch > 0),
  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),
  path TEXT NOT NULL,
  digest TEXT NOT NULL,
  bytes INTEGER NOT NULL CHECK (bytes >= 0),
  committed_ms INTEGER NOT NULL,
  row_due INTEGER NOT NULL CHECK (row_due IN (0, 1)),
  PRIMARY KEY (job_id, step, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX dropped_checkpoints ON checkpoints (job_id) WHERE state = 2;

CREATE TABLE metric_names (
  id INTEGER NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE metrics (
  job_id INTEGER NOT NULL,
  step INTEGER NOT NULL,
  name_id INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY (job_id, step, name_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE metrics_archive (
  job_id INTEGER NOT NULL,
  step INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  name_id INTEGER NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY (job_id, step, epoch, name_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_events (
  job_id INTEGER NOT NULL,
  number INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  type TEXT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_logs (
  job_id INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  at INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (job_id, epoch, at)
) STRICT;

CREATE TABLE workers (
  name TEXT NOT NULL PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  instance TEXT NOT NULL,
  host TEXT NOT NULL,
  version TEXT NOT NULL,
  slots INTEGER NOT NULL,
  pack_width INTEGER NOT NULL,
  device TEXT NOT NULL,
  shared_checkpoints INTEGER NOT NULL CHECK (shared_checkpoints IN (0, 1)),
  draining INTEGER NOT NULL CHECK (draining IN (0, 1)),
  preempt INTEGER NOT NULL CHECK (preempt IN (0, 1)),
  registered_ms INTEGER NOT NULL,
  last_seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

// The end of a worker's walltime.
constexpr char kWorkerEnds[] = R"sql(
ALTER TABLE workers ADD COLUMN ends_ms INTEGER NOT NULL DEFAULT 0;
)sql";

// The spec of a large sweep lists 100,000 seeds. It has its own table, because the sweep's row is
// rewritten whenever a job ends.
constexpr char kSweepSpecs[] = R"sql(
CREATE TABLE sweep_specs (
  sweep_id INTEGER NOT NULL PRIMARY KEY REFERENCES sweeps (id),
  spec BLOB NOT NULL
) STRICT;
INSERT INTO sweep_specs (sweep_id, spec) SELECT id, spec FROM sweeps ORDER BY id;
ALTER TABLE sweeps DROP COLUMN spec;
)sql";

// A submission of millions of jobs is stored in parts, and taken back if it does not complete.
// Deleting a group would search all jobs for one that refers to it, so a job refers to its sweep
// and its group without a foreign key. seeds_ascend says whether a seed can be found by binary
// search.
constexpr char kSubmissionParts[] = R"sql(
ALTER TABLE sweeps ADD COLUMN jobs_missing INTEGER NOT NULL DEFAULT 0 CHECK (jobs_missing >= 0);
ALTER TABLE groups ADD COLUMN seeds_ascend INTEGER NOT NULL DEFAULT 1
  CHECK (seeds_ascend IN (0, 1));
UPDATE groups SET seeds_ascend = NOT EXISTS (
  SELECT 1 FROM jobs a JOIN jobs b ON b.id = a.id + 1
  WHERE a.id BETWEEN groups.first_job AND groups.first_job + groups.jobs - 2 AND b.seed <= a.seed);
CREATE TABLE new_jobs (
  id INTEGER NOT NULL PRIMARY KEY,
  sweep_id INTEGER NOT NULL,
  group_id INTEGER NOT NULL,
  seed INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),
  step INTEGER NOT NULL DEFAULT 0 CHECK (step >= 0),
  best_step INTEGER NOT NULL DEFAULT 0 CHECK (best_step >= 0),
  checkpoint_step INTEGER NOT NULL DEFAULT 0 CHECK (checkpoint_step >= 0),
  epoch INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
  attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  failures INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
  forgiven_epoch INTEGER NOT NULL DEFAULT 0,
  not_before_ms INTEGER NOT NULL DEFAULT 0,
  worker TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  started_ms INTEGER NOT NULL DEFAULT 0,
  finished_ms INTEGER NOT NULL DEFAULT 0,
  CHECK ((state = 2) = (worker <> ''))
) STRICT;
INSERT INTO new_jobs SELECT id, sweep_id, group_id, seed, state, step, best_step, checkpoint_step,
  epoch, attempts, failures, forgiven_epoch, not_before_ms, worker, reason, started_ms, finished_ms
  FROM jobs ORDER BY id;
DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;
)sql";

// The metric names that a sweep's jobs have reported, so that their number can be limited. Older
// names are counted when they are reported again: finding them would read every stored metric.
constexpr char kSweepMetricNames[] = R"sql(
CREATE TABLE sweep_metric_names (
  sweep_id INTEGER NOT NULL,
  name_id INTEGER NOT NULL REFERENCES metric_names (id),
  PRIMARY KEY (sweep_id, name_id)
) STRICT, WITHOUT ROWID;
)sql";

// The requests of clients that changed a sweep, and the clients' names.
constexpr char kOperations[] = R"sql(
CREATE TABLE operations (
  sweep_id INTEGER NOT NULL REFERENCES sweeps (id),
  number INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  action TEXT NOT NULL,
  who TEXT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (sweep_id, number)
) STRICT, WITHOUT ROWID;
)sql";

// The newest process of each name, and the last older one that was refused.
constexpr char kIncarnations[] = R"sql(
ALTER TABLE workers ADD COLUMN incarnation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN superseded_host TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN superseded_ms INTEGER NOT NULL DEFAULT 0;
)sql";

// The number of an attempt, formerly called epoch.
constexpr char kAttemptNumbers[] = R"sql(
ALTER TABLE jobs RENAME COLUMN epoch TO attempt;
ALTER TABLE jobs RENAME COLUMN forgiven_epoch TO forgiven_attempt;
ALTER TABLE attempts RENAME COLUMN epoch TO attempt;
ALTER TABLE checkpoints RENAME COLUMN epoch TO attempt;
ALTER TABLE metrics RENAME COLUMN epoch TO attempt;
ALTER TABLE metrics_archive RENAME COLUMN epoch TO attempt;
ALTER TABLE job_events RENAME COLUMN epoch TO attempt;
ALTER TABLE job_logs RENAME COLUMN epoch TO attempt;
UPDATE meta SET key = 'attempt_floor' WHERE key = 'epoch_floor';
)sql";

// The place of a worker in a batch system, and its goodbye. gpus: one a line.
constexpr char kAllocations[] = R"sql(
ALTER TABLE workers ADD COLUMN batch_system TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN cluster TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN job_id TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN raw_job_id TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN cluster_partition TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN node TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN proc_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN pool_key TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN gpus TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN departed_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN departed_reason TEXT NOT NULL DEFAULT '';
)sql";

// The pools of a batch system and what they submitted. settings and excluded_nodes are JSON: only
// the pools read them, and always whole.
constexpr char kPools[] = R"sql(
CREATE TABLE pools (
  name TEXT NOT NULL PRIMARY KEY CHECK (length(name) > 0),
  settings TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('running', 'paused', 'draining', 'stopped')),
  why TEXT NOT NULL,
  next_sequence INTEGER NOT NULL CHECK (next_sequence > 0),
  changed_ms INTEGER NOT NULL,
  removed INTEGER NOT NULL CHECK (removed IN (0, 1)),
  decision TEXT NOT NULL,
  decided_ms INTEGER NOT NULL,
  failures INTEGER NOT NULL CHECK (failures >= 0),
  backoff_until_ms INTEGER NOT NULL,
  last_error TEXT NOT NULL,
  excluded_nodes TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE allocations (
  key TEXT NOT NULL PRIMARY KEY CHECK (length(key) > 0),
  pool TEXT NOT NULL REFERENCES pools (name),
  sequence INTEGER NOT NULL CHECK (sequence > 0),
  state TEXT NOT NULL CHECK (state IN ('intended', 'queued', 'running', 'ended', 'unknown')),
  job_id TEXT NOT NULL,
  node TEXT NOT NULL,
  batch_state TEXT NOT NULL,
  reason TEXT NOT NULL,
  intended_ms INTEGER NOT NULL,
  submitted_ms INTEGER NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL,
  ends_ms INTEGER NOT NULL,
  estimated_start_ms INTEGER NOT NULL,
  restarts INTEGER NOT NULL,
  walltime_s INTEGER NOT NULL,
  gpus INTEGER NOT NULL,
  gpu_seconds REAL NOT NULL,
  registered INTEGER NOT NULL CHECK (registered IN (0, 1)),
  outcome TEXT NOT NULL,
  error TEXT NOT NULL,
  output_tail TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX allocations_by_end ON allocations (ended_ms);
)sql";

// The place of a group on the axes of its sweep, as JSON [["axis","value"],...]. '': task and depth
// are the axes.
constexpr char kPoints[] = R"sql(
ALTER TABLE groups ADD COLUMN point TEXT NOT NULL DEFAULT '';
)sql";

// Programs of the users' own: the most jobs that one process takes (0: Coppice's trainer), and the
// workers that run them.
constexpr char kPrograms[] = R"sql(
ALTER TABLE groups ADD COLUMN program_pack INTEGER NOT NULL DEFAULT 0 CHECK (program_pack >= 0);
ALTER TABLE workers ADD COLUMN programs INTEGER NOT NULL DEFAULT 0 CHECK (programs IN (0, 1));
)sql";

// Sweeps that grow and go. An attempt has the number of steps with which it was granted, because an
// extension may raise its group's. part_of: the first group of the same point; 0: this one. A sweep
// that is being deleted has `deleted` 1 until nothing of it is left. tags: one a line, sorted.
constexpr char kSweepChanges[] = R"sql(
ALTER TABLE attempts ADD COLUMN steps INTEGER NOT NULL DEFAULT 0 CHECK (steps >= 0);
UPDATE attempts SET steps = COALESCE((
  SELECT g.steps FROM jobs j JOIN groups g ON g.id = j.group_id WHERE j.id = attempts.job_id), 0);
ALTER TABLE groups ADD COLUMN part_of INTEGER NOT NULL DEFAULT 0;
ALTER TABLE groups ADD COLUMN common_row_every INTEGER NOT NULL DEFAULT 0
  CHECK (common_row_every >= 0);
ALTER TABLE groups ADD COLUMN continuing INTEGER NOT NULL DEFAULT 0 CHECK (continuing IN (0, 1));
CREATE INDEX continuing_groups ON groups (sweep_id) WHERE continuing = 1;
ALTER TABLE sweeps ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1));
ALTER TABLE sweeps ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE sweeps ADD COLUMN tags TEXT NOT NULL DEFAULT '';
)sql";

// The GPU time that a pool has given to each sweep.
constexpr char kPoolSweeps[] = R"sql(
ALTER TABLE pools ADD COLUMN sweep_use TEXT NOT NULL DEFAULT '[]';
ALTER TABLE pools ADD COLUMN use_counted_ms INTEGER NOT NULL DEFAULT 0;
)sql";

absl::Status ApplyMigration(Connection& db, size_t version, const char* sql) {
  COPPICE_RETURN_IF_ERROR(db.Execute("BEGIN IMMEDIATE"));
  absl::Status status = db.Execute(sql);
  if (status.ok()) {
    status = db.Execute(absl::StrCat("PRAGMA application_id = ", kApplicationId,
                                     "; PRAGMA user_version = ", version, "; COMMIT"));
  }
  if (!status.ok() && db.in_transaction()) db.Execute("ROLLBACK").IgnoreError();
  return status;
}

}  // namespace

const std::vector<const char*>& Migrations() {
  static const std::vector<const char*>* const migrations = new std::vector<const char*>{
      kVersion1,   kWorkerEnds,   kSweepSpecs,     kSubmissionParts, kSweepMetricNames,
      kOperations, kIncarnations, kAttemptNumbers, kAllocations,     kPools,
      kPoints,     kPrograms,     kSweepChanges,   kPoolSweeps};
  return *migrations;
}

absl::Status Migrate(Connection& db, const std::vector<const char*>& migrations) {
  COPPICE_ASSIGN_OR_RETURN(const int64_t version, db.PragmaInt("user_version"));
  COPPICE_ASSIGN_OR_RETURN(const int64_t application, db.PragmaInt("application_id"));
  COPPICE_ASSIGN_OR_RETURN(const int64_t schema, db.PragmaInt("schema_version"));
  const auto known = static_cast<int64_t>(migrations.size());
  // A file without tables is new. Any other must be marked as Coppice's.
  if (application != kApplicationId && (application != 0 || version != 0 || schema != 0)) {
    return absl::FailedPreconditionError(
        "the file is the SQLite database of another program, not Coppice's");
  }
  if (version > known) {
    return absl::FailedPreconditionError(absl::StrCat("the database has version ", version,
                                                      ", this program knows versions up to ", known,
                                                      ": run the newer Coppice that wrote it"));
  }
  if (version < 0)
    return absl::FailedPreconditionError(absl::StrCat("the database claims version ", version));
  for (int64_t next = version + 1; next <= known; ++next) {
    COPPICE_RETURN_IF_ERROR(
        ApplyMigration(db, static_cast<size_t>(next), migrations[static_cast<size_t>(next - 1)]));
  }
  return absl::OkStatus();
}

}  // namespace coppice::store
