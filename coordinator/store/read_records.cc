// Reads of what jobs left behind: attempts, events, checkpoints, metrics, logs.
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

#define ATTEMPT_COLUMNS                                                                           \
  "job_id, epoch, worker, request_id, granted_ms, ended_ms, outcome, kind, message, start_step, " \
  "end_step, row_step, last_sequence, log_bytes, provenance, log_tail"

AttemptRow ReadAttempt(const Query& query) {
  AttemptRow row;
  row.job_id = query.As<core::JobId>(0);
  row.epoch = query.As<core::Epoch>(1);
  row.worker = query.Text(2);
  row.request_id = query.Text(3);
  row.granted_ms = query.Int(4);
  row.ended_ms = query.Int(5);
  row.outcome = query.Text(6);
  row.kind = query.Text(7);
  row.message = query.Text(8);
  row.start_step = query.As<uint32_t>(9);
  row.end_step = query.As<uint32_t>(10);
  row.row_step = query.As<uint32_t>(11);
  row.last_sequence = query.As<uint64_t>(12);
  row.log_bytes = query.As<uint64_t>(13);
  row.provenance = query.Text(14);
  row.log_tail = query.Text(15);
  return row;
}

core::JobEvent ReadEvent(const Query& query) {
  core::JobEvent event;
  event.time_ms = query.Int(0);
  event.epoch = query.As<core::Epoch>(1);
  event.type = query.Text(2);
  event.message = query.Text(3);
  return event;
}

#define CHECKPOINT_COLUMNS "job_id, epoch, step, path, digest, bytes, committed_ms"

Checkpoint ReadCheckpoint(const Query& query) {
  Checkpoint row;
  row.job_id = query.As<core::JobId>(0);
  row.epoch = query.As<core::Epoch>(1);
  row.step = query.As<uint32_t>(2);
  row.path = query.Text(3);
  row.digest = query.Text(4);
  row.bytes = query.As<uint64_t>(5);
  row.committed_ms = query.Int(6);
  return row;
}

}  // namespace

absl::StatusOr<AttemptRow> SqliteReads::GetAttempt(core::JobId job_id, core::Epoch epoch) {
  Query query =
      db_.Prepare("SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE job_id = ? AND epoch = ?");
  COPPICE_ASSIGN_OR_RETURN(const bool found, query.Bind(job_id, epoch).Step());
  if (!found)
    return absl::NotFoundError(absl::StrCat("job ", job_id, " had no attempt with epoch ", epoch));
  return ReadAttempt(query);
}

absl::StatusOr<std::vector<AttemptRow>> SqliteReads::ListAttempts(core::JobId job_id) {
  Query query = db_.Prepare("SELECT " ATTEMPT_COLUMNS
                            " FROM attempts WHERE job_id = ? ORDER BY epoch DESC LIMIT ?");
  query.Bind(job_id, core::kMaxAttemptsListed);
  COPPICE_ASSIGN_OR_RETURN(std::vector<AttemptRow> newest, Collect(query, &ReadAttempt));
  std::reverse(newest.begin(), newest.end());
  return newest;
}

absl::StatusOr<std::vector<AttemptRow>> SqliteReads::FindOpenAttempts(
    absl::string_view worker, absl::string_view request_id) {
  Query query = db_.Prepare(
      "SELECT " ATTEMPT_COLUMNS
      " FROM attempts WHERE worker = ? AND request_id = ? AND outcome = '' ORDER BY job_id");
  query.Bind(worker, request_id);
  return Collect(query, &ReadAttempt);
}

absl::StatusOr<std::vector<core::JobEvent>> SqliteReads::ListEvents(core::JobId job_id,
                                                                    uint32_t newest) {
  Query query = db_.Prepare(
      "SELECT time_ms, epoch, type, message FROM (SELECT number, time_ms, epoch, type, message "
      "FROM job_events "
      "WHERE job_id = ? ORDER BY number DESC LIMIT ?) ORDER BY number");
  query.Bind(job_id, newest);
  return Collect(query, &ReadEvent);
}

absl::StatusOr<std::vector<Checkpoint>> SqliteReads::ListCheckpoints(core::JobId job_id,
                                                                     core::CheckpointState state) {
  Query query = db_.Prepare(
      "SELECT " CHECKPOINT_COLUMNS
      " FROM checkpoints WHERE job_id = ? AND state = ? ORDER BY step DESC, epoch DESC");
  query.Bind(job_id, state);
  return Collect(query, &ReadCheckpoint);
}

absl::StatusOr<std::vector<Checkpoint>> SqliteReads::ListDroppedCheckpoints(uint32_t limit) {
  Query query =
      db_.Prepare("SELECT " CHECKPOINT_COLUMNS
                  " FROM checkpoints WHERE state = 2 ORDER BY job_id, step, epoch LIMIT ?");
  query.Bind(limit);
  return Collect(query, &ReadCheckpoint);
}

absl::StatusOr<bool> SqliteReads::IsRowDue(const Checkpoint& checkpoint) {
  Query query =
      db_.Prepare("SELECT row_due FROM checkpoints WHERE job_id = ? AND step = ? AND epoch = ?");
  query.Bind(checkpoint.job_id, checkpoint.step, checkpoint.epoch);
  COPPICE_ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) {
    return absl::NotFoundError(
        absl::StrCat("job ", checkpoint.job_id, " has no checkpoint at step ", checkpoint.step));
  }
  return query.Int(0) != 0;
}

namespace {

// A visible step has one epoch: the key's own order will do, and a scan can stop early.
constexpr char kVisible[] =
    "SELECT m.step, m.epoch, 0, n.name, m.value FROM metrics m JOIN metric_names n ON n.id = "
    "m.name_id "
    "WHERE m.job_id = ?1 AND m.step >= ?2 ORDER BY m.step, m.name_id";
// Sorted in memory; few ask for it, and a job's rows are few.
constexpr char kWithArchived[] =
    "SELECT a.step, a.epoch, a.archived, n.name, a.value FROM ("
    "SELECT step, epoch, 0 AS archived, name_id, value FROM metrics WHERE job_id = ?1 AND step >= "
    "?2 UNION ALL "
    "SELECT step, epoch, 1, name_id, value FROM metrics_archive WHERE job_id = ?1 AND step >= ?2) "
    "a "
    "JOIN metric_names n ON n.id = a.name_id ORDER BY a.step, a.epoch, a.archived, a.name_id";

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
  Query query = db_.Prepare(scan.include_archived ? kWithArchived : kVisible);
  query.Bind(scan.job_id, scan.after ? std::max(scan.from_step, scan.after_step) : scan.from_step);
  core::StoredRow row;
  const auto flush = [&]() { return row.row.values.empty() || visit(row); };
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) break;
    const auto step = query.As<uint32_t>(0);
    const auto epoch = query.As<core::Epoch>(1);
    const bool archived = query.Int(2) != 0;
    if (scan.after &&
        std::make_pair(step, epoch) <= std::make_pair(scan.after_step, scan.after_epoch))
      continue;
    if (step != row.row.step || epoch != row.epoch || archived != row.archived) {
      if (!flush()) return absl::OkStatus();
      row = {epoch, archived, {step, {}}};
    }
    std::string name = query.Text(3);
    if (Wanted(scan, name)) row.row.values.push_back({std::move(name), query.Real(4)});
  }
  flush();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<core::MetricValue>> SqliteReads::LatestMetrics(core::JobId job_id) {
  // With one MAX() SQLite takes the other columns of a group from the row that holds the maximum.
  Query query = db_.Prepare(
      "SELECT n.name, m.value, MAX(m.step) FROM metrics m JOIN metric_names n ON n.id = m.name_id "
      "WHERE m.job_id = ? GROUP BY m.name_id ORDER BY n.name LIMIT ?");
  query.Bind(job_id, core::kMaxMetricNamesPerJob);
  std::vector<core::MetricValue> values;
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) return values;
    values.push_back({query.Text(0), query.Real(1)});
  }
}

absl::StatusOr<std::vector<std::string>> SqliteReads::ListMetricNames(core::JobId job_id,
                                                                      size_t most) {
  Query query = db_.Prepare(
      "SELECT name FROM metric_names WHERE id IN (SELECT name_id FROM metrics WHERE job_id = ?1 "
      "UNION SELECT name_id FROM metrics_archive WHERE job_id = ?1 LIMIT ?2) ORDER BY id");
  query.Bind(job_id, most);
  std::vector<std::string> names;
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) return names;
    names.push_back(query.Text(0));
  }
}

absl::StatusOr<uint64_t> SqliteReads::CountMetricNames(core::SweepId sweep_id) {
  Query query = db_.Prepare("SELECT COUNT(*) FROM sweep_metric_names WHERE sweep_id = ?");
  COPPICE_RETURN_IF_ERROR(query.Bind(sweep_id).Step().status());
  return query.As<uint64_t>(0);
}

absl::StatusOr<bool> SqliteReads::HasMetricName(core::SweepId sweep_id, absl::string_view name) {
  Query query = db_.Prepare(
      "SELECT 1 FROM sweep_metric_names s JOIN metric_names n ON n.id = s.name_id "
      "WHERE n.name = ? AND s.sweep_id = ?");
  return query.Bind(name, sweep_id).Step();
}

absl::StatusOr<uint64_t> SqliteReads::CountMetricSteps(core::JobId job_id, uint32_t step) {
  Query query =
      db_.Prepare("SELECT COUNT(DISTINCT step) FROM metrics WHERE job_id = ? AND step <= ?");
  COPPICE_RETURN_IF_ERROR(query.Bind(job_id, step).Step().status());
  return query.As<uint64_t>(0);
}

absl::StatusOr<std::vector<core::LogChunk>> SqliteReads::ReadLog(core::JobId job_id,
                                                                 core::Epoch epoch, uint64_t offset,
                                                                 uint64_t max_bytes) {
  Query query = db_.Prepare(
      "SELECT at, text FROM job_logs WHERE job_id = ? AND epoch = ? AND at >= ? ORDER BY at");
  query.Bind(job_id, epoch, offset);
  std::vector<core::LogChunk> chunks;
  uint64_t bytes = 0;
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) return chunks;
    core::LogChunk chunk{query.As<uint64_t>(0), query.Text(1)};
    bytes += chunk.text.size();
    if (!chunks.empty() && bytes > max_bytes) return chunks;
    chunks.push_back(std::move(chunk));
  }
}

absl::StatusOr<core::Epoch> SqliteReads::NewestLogEpoch(core::JobId job_id) {
  Query query =
      db_.Prepare("SELECT epoch FROM job_logs WHERE job_id = ? ORDER BY epoch DESC LIMIT 1");
  COPPICE_ASSIGN_OR_RETURN(const bool found, query.Bind(job_id).Step());
  return found ? query.As<core::Epoch>(0) : 0;
}

}  // namespace coppice::store
