// Reads the records of jobs: attempts, events, checkpoints, metrics, logs.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/store/collect.h"
#include "coordinator/store/reads.h"

namespace coppice::store {
namespace {

using core::AttemptRow;
using core::Checkpoint;

#define ATTEMPT_COLUMNS                                                                 \
  "job_id, attempt, worker, request_id, granted_ms, ended_ms, outcome, kind, message, " \
  "start_step, end_step, row_step, last_sequence, log_bytes, provenance, log_tail, steps"

absl::Status Unknown(const std::string& row, absl::string_view column, absl::string_view value) {
  return absl::InternalError(absl::StrCat("the database has ", row, " with the ", column, " '",
                                          value, "', which this version does not know"));
}

// The column `kind` is a failure's kind, or the mark of an attempt that did not fail.
absl::Status ReadOutcome(const Statement& statement, AttemptRow& row) {
  const std::string outcome = statement.Text(6);
  const std::string kind = statement.Text(7);
  const std::string name = absl::StrCat("attempt ", row.number, " of job ", row.job_id);
  const auto known = core::OutcomeFromText(outcome);
  if (!known.has_value()) return Unknown(name, "outcome", outcome);
  row.outcome = *known;
  if (row.outcome == core::AttemptOutcome::kFailed) {
    row.failure = FailureKindFromText(kind);
    return row.failure.has_value() ? absl::OkStatus() : Unknown(name, "kind", kind);
  }
  const auto mark = core::MarkFromText(kind);
  if (!mark.has_value()) return Unknown(name, "kind", kind);
  row.mark = *mark;
  return absl::OkStatus();
}

absl::StatusOr<AttemptRow> ReadAttempt(const Statement& statement) {
  AttemptRow row;
  row.job_id = statement.As<core::JobId>(0);
  row.number = statement.As<core::AttemptNumber>(1);
  row.worker = statement.Text(2);
  row.request_id = statement.Text(3);
  row.granted_ms = statement.Int(4);
  row.ended_ms = statement.Int(5);
  COPPICE_RETURN_IF_ERROR(ReadOutcome(statement, row));
  row.message = statement.Text(8);
  row.start_step = statement.As<uint32_t>(9);
  row.end_step = statement.As<uint32_t>(10);
  row.row_step = statement.As<uint32_t>(11);
  row.last_sequence = statement.As<uint64_t>(12);
  row.log_bytes = statement.As<uint64_t>(13);
  row.provenance = statement.Text(14);
  row.log_tail = statement.Text(15);
  row.steps = statement.As<uint32_t>(16);
  return row;
}

absl::StatusOr<core::JobEvent> ReadEvent(const Statement& statement) {
  core::JobEvent event;
  event.time_ms = statement.Int(0);
  event.attempt = statement.As<core::AttemptNumber>(1);
  event.message = statement.Text(3);
  const std::string type = statement.Text(2);
  const auto known = core::EventTypeFromText(type);
  if (!known.has_value()) {
    return Unknown(absl::StrCat("an event of job ", statement.As<core::JobId>(4)), "type", type);
  }
  event.type = *known;
  return event;
}

#define CHECKPOINT_COLUMNS "job_id, attempt, step, path, digest, bytes, committed_ms"

Checkpoint ReadCheckpoint(const Statement& statement) {
  Checkpoint row;
  row.job_id = statement.As<core::JobId>(0);
  row.attempt = statement.As<core::AttemptNumber>(1);
  row.step = statement.As<uint32_t>(2);
  row.path = statement.Text(3);
  row.digest = statement.Text(4);
  row.bytes = statement.As<uint64_t>(5);
  row.committed_ms = statement.Int(6);
  return row;
}

}  // namespace

absl::StatusOr<AttemptRow> SqliteReads::GetAttempt(core::JobId job_id,
                                                   core::AttemptNumber attempt) {
  Statement statement =
      db_.Prepare("SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE job_id = ? AND attempt = ?");
  COPPICE_ASSIGN_OR_RETURN(const bool found, statement.Bind(job_id, attempt).Step());
  if (!found) return absl::NotFoundError(absl::StrCat("job ", job_id, " had no attempt ", attempt));
  return ReadAttempt(statement);
}

absl::StatusOr<std::vector<AttemptRow>> SqliteReads::ListAttempts(core::JobId job_id) {
  Statement statement = db_.Prepare(
      "SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE job_id = ? ORDER BY attempt DESC LIMIT ?");
  statement.Bind(job_id, core::kMaxAttemptsListed);
  COPPICE_ASSIGN_OR_RETURN(std::vector<AttemptRow> newest, Collect(statement, &ReadAttempt));
  std::reverse(newest.begin(), newest.end());
  return newest;
}

absl::StatusOr<std::vector<AttemptRow>> SqliteReads::FindOpenAttempts(
    absl::string_view worker, absl::string_view request_id) {
  Statement statement = db_.Prepare(
      "SELECT " ATTEMPT_COLUMNS
      " FROM attempts WHERE worker = ? AND request_id = ? AND outcome = '' ORDER BY job_id");
  statement.Bind(worker, request_id);
  return Collect(statement, &ReadAttempt);
}

absl::StatusOr<std::vector<core::JobEvent>> SqliteReads::ListEvents(core::JobId job_id,
                                                                    uint32_t newest) {
  Statement statement = db_.Prepare(R"sql(
      SELECT time_ms, attempt, type, message, job_id
      FROM (
        SELECT number, time_ms, attempt, type, message, job_id
        FROM job_events
        WHERE job_id = ?
        ORDER BY number DESC LIMIT ?
      )
      ORDER BY number)sql");
  statement.Bind(job_id, newest);
  return Collect(statement, &ReadEvent);
}

absl::StatusOr<std::vector<Checkpoint>> SqliteReads::ListCheckpoints(core::JobId job_id,
                                                                     core::CheckpointState state) {
  Statement statement = db_.Prepare(
      "SELECT " CHECKPOINT_COLUMNS
      " FROM checkpoints WHERE job_id = ? AND state = ? ORDER BY step DESC, attempt DESC");
  statement.Bind(job_id, state);
  return Collect(statement, &ReadCheckpoint);
}

absl::StatusOr<std::vector<Checkpoint>> SqliteReads::ListDroppedCheckpoints(uint32_t limit) {
  Statement statement =
      db_.Prepare("SELECT " CHECKPOINT_COLUMNS
                  " FROM checkpoints WHERE state = 2 ORDER BY job_id, step, attempt LIMIT ?");
  statement.Bind(limit);
  return Collect(statement, &ReadCheckpoint);
}

absl::StatusOr<core::CheckpointSum> SqliteReads::SumCheckpoints(core::JobId first,
                                                                core::JobId last) {
  Statement statement = db_.Prepare(R"sql(
      SELECT COUNT(*), COALESCE(SUM(bytes), 0)
      FROM checkpoints
      WHERE job_id BETWEEN ? AND ? AND state <> 2)sql");
  statement.Bind(first, last);
  COPPICE_RETURN_IF_ERROR(statement.Step().status());
  return core::CheckpointSum{statement.As<uint64_t>(0), statement.As<uint64_t>(1)};
}

absl::StatusOr<bool> SqliteReads::IsRowDue(const Checkpoint& checkpoint) {
  Statement statement =
      db_.Prepare("SELECT row_due FROM checkpoints WHERE job_id = ? AND step = ? AND attempt = ?");
  statement.Bind(checkpoint.job_id, checkpoint.step, checkpoint.attempt);
  COPPICE_ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) {
    return absl::NotFoundError(
        absl::StrCat("job ", checkpoint.job_id, " has no checkpoint at step ", checkpoint.step));
  }
  return statement.Int(0) != 0;
}

namespace {

// A visible step has one attempt, so the key's own order is enough, and a scan can stop early.
constexpr char kVisible[] = R"sql(
    SELECT m.step, m.attempt, 0, n.name, m.value
    FROM metrics m
    JOIN metric_names n ON n.id = m.name_id
    WHERE m.job_id = ?1 AND m.step >= ?2
    ORDER BY m.step, m.name_id)sql";
// Sorted in memory, because it is rarely used and a job has few rows.
constexpr char kWithArchived[] = R"sql(
    SELECT a.step, a.attempt, a.archived, n.name, a.value
    FROM (
      SELECT step, attempt, 0 AS archived, name_id, value
      FROM metrics
      WHERE job_id = ?1 AND step >= ?2
      UNION ALL
      SELECT step, attempt, 1, name_id, value
      FROM metrics_archive
      WHERE job_id = ?1 AND step >= ?2
    ) a
    JOIN metric_names n ON n.id = a.name_id
    ORDER BY a.step, a.attempt, a.archived, a.name_id)sql";

bool Wanted(const core::MetricsScan& scan, const std::string& name) {
  if (scan.names.empty()) return true;
  for (const std::string& wanted : scan.names) {
    if (wanted == name) return true;
  }
  return false;
}

}  // namespace

absl::Status SqliteReads::ScanMetrics(const core::MetricsScan& scan,
                                      absl::FunctionRef<bool(const core::StoredRow&)> visit) {
  Statement statement = db_.Prepare(scan.include_archived ? kWithArchived : kVisible);
  statement.Bind(scan.job_id,
                 scan.after ? std::max(scan.from_step, scan.after_step) : scan.from_step);
  core::StoredRow row;
  const auto flush = [&]() { return row.row.values.empty() || visit(row); };
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) break;
    const auto step = statement.As<uint32_t>(0);
    const auto attempt = statement.As<core::AttemptNumber>(1);
    const bool archived = statement.Int(2) != 0;
    if (scan.after &&
        std::make_pair(step, attempt) <= std::make_pair(scan.after_step, scan.after_attempt))
      continue;
    if (step != row.row.step || attempt != row.attempt || archived != row.archived) {
      if (!flush()) return absl::OkStatus();
      row = {attempt, archived, {step, {}}};
    }
    std::string name = statement.Text(3);
    if (Wanted(scan, name)) row.row.values.push_back({std::move(name), statement.Real(4)});
  }
  flush();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<core::MetricValue>> SqliteReads::LatestMetrics(core::JobId job_id) {
  // With a single MAX(), SQLite takes a group's other columns from the row that holds the maximum.
  Statement statement = db_.Prepare(R"sql(
      SELECT n.name, m.value, MAX(m.step)
      FROM metrics m
      JOIN metric_names n ON n.id = m.name_id
      WHERE m.job_id = ?
      GROUP BY m.name_id
      ORDER BY n.name LIMIT ?)sql");
  statement.Bind(job_id, core::kMaxMetricNamesPerJob);
  std::vector<core::MetricValue> values;
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return values;
    values.push_back({statement.Text(0), statement.Real(1)});
  }
}

absl::StatusOr<std::vector<std::string>> SqliteReads::ListMetricNames(core::JobId job_id,
                                                                      size_t most) {
  Statement statement = db_.Prepare(R"sql(
      SELECT name
      FROM metric_names
      WHERE id IN (
        SELECT name_id FROM metrics WHERE job_id = ?1
        UNION
        SELECT name_id FROM metrics_archive WHERE job_id = ?1
        LIMIT ?2
      )
      ORDER BY id)sql");
  statement.Bind(job_id, most);
  std::vector<std::string> names;
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return names;
    names.push_back(statement.Text(0));
  }
}

absl::StatusOr<uint64_t> SqliteReads::CountMetricNames(core::SweepId sweep_id) {
  Statement statement = db_.Prepare("SELECT COUNT(*) FROM sweep_metric_names WHERE sweep_id = ?");
  COPPICE_RETURN_IF_ERROR(statement.Bind(sweep_id).Step().status());
  return statement.As<uint64_t>(0);
}

absl::StatusOr<bool> SqliteReads::HasMetricName(core::SweepId sweep_id, absl::string_view name) {
  Statement statement = db_.Prepare(R"sql(
      SELECT 1
      FROM sweep_metric_names s
      JOIN metric_names n ON n.id = s.name_id
      WHERE n.name = ? AND s.sweep_id = ?)sql");
  return statement.Bind(name, sweep_id).Step();
}

absl::StatusOr<uint64_t> SqliteReads::CountMetricSteps(core::JobId job_id, uint32_t step) {
  Statement statement =
      db_.Prepare("SELECT COUNT(DISTINCT step) FROM metrics WHERE job_id = ? AND step <= ?");
  COPPICE_RETURN_IF_ERROR(statement.Bind(job_id, step).Step().status());
  return statement.As<uint64_t>(0);
}

absl::StatusOr<std::vector<core::LogChunk>> SqliteReads::ReadLog(core::JobId job_id,
                                                                 core::AttemptNumber attempt,
                                                                 uint64_t offset,
                                                                 uint64_t max_bytes) {
  Statement statement = db_.Prepare(
      "SELECT at, text FROM job_logs WHERE job_id = ? AND attempt = ? AND at >= ? ORDER BY at");
  statement.Bind(job_id, attempt, offset);
  std::vector<core::LogChunk> chunks;
  uint64_t bytes = 0;
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return chunks;
    core::LogChunk chunk{statement.As<uint64_t>(0), statement.Text(1)};
    bytes += chunk.text.size();
    if (!chunks.empty() && bytes > max_bytes) return chunks;
    chunks.push_back(std::move(chunk));
  }
}

absl::StatusOr<core::AttemptNumber> SqliteReads::NewestLogAttempt(core::JobId job_id) {
  Statement statement =
      db_.Prepare("SELECT attempt FROM job_logs WHERE job_id = ? ORDER BY attempt DESC LIMIT 1");
  COPPICE_ASSIGN_OR_RETURN(const bool found, statement.Bind(job_id).Step());
  return found ? statement.As<core::AttemptNumber>(0) : 0;
}

}  // namespace coppice::store
