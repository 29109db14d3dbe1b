// Deletion of sweeps, part by part, and the ids that it does not free.
#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/store/collect.h"
#include "coordinator/store/writes.h"

namespace coppice::store {
namespace {

// Jobs with consecutive ids.
struct JobRange {
  core::JobId first = 0;
  core::JobId last = 0;
};

// A table whose rows belong to jobs, in order of the job and of another column. A row with long
// texts counts `weight` times.
struct JobTable {
  const char* nth;    // the nth row of a range
  const char* whole;  // deletes a range
  const char* begin;  // deletes the rows of a job up to a place
  uint64_t weight;
};

#define JOB_TABLE(table, column, weight)                                          \
  {                                                                               \
    "SELECT job_id, " column " FROM " table                                       \
    " WHERE job_id BETWEEN ? AND ? ORDER BY job_id, " column " LIMIT 1 OFFSET ?", \
        "DELETE FROM " table " WHERE job_id BETWEEN ? AND ?",                     \
        "DELETE FROM " table " WHERE job_id = ? AND " column " <= ?", weight      \
  }

constexpr JobTable kJobTables[] = {
    JOB_TABLE("metrics", "step", 1),      JOB_TABLE("metrics_archive", "step", 1),
    JOB_TABLE("job_events", "number", 1), JOB_TABLE("job_logs", "attempt", 16),
    JOB_TABLE("attempts", "attempt", 16),
};

constexpr char kNextSweep[] = R"sql(
    SELECT MAX(COALESCE((SELECT MAX(id) FROM sweeps), 0),
      COALESCE((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'sweep_id_floor'), 0)) + 1)sql";
constexpr char kNextGroup[] = R"sql(
    SELECT MAX(COALESCE((SELECT MAX(id) FROM groups), 0),
      COALESCE((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'group_id_floor'), 0)) + 1)sql";
// Job ids grow with the groups, and a group may have reserved ids without jobs yet.
constexpr char kNextJob[] = R"sql(
    SELECT MAX(COALESCE((SELECT MAX(id) FROM jobs), 0),
      COALESCE(
        (SELECT first_job + jobs - 1 FROM groups WHERE jobs > 0 ORDER BY id DESC LIMIT 1), 0),
      COALESCE((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'job_id_floor'), 0)) + 1)sql";

absl::StatusOr<uint64_t> NextOf(Connection& db, const char* sql) {
  Statement statement = db.Prepare(sql);
  COPPICE_RETURN_IF_ERROR(statement.Step().status());
  return statement.As<uint64_t>(0);
}

absl::StatusOr<std::vector<JobRange>> RangesOf(Connection& db, core::SweepId id) {
  Statement statement = db.Prepare(
      "SELECT first_job, jobs FROM groups WHERE sweep_id = ? AND jobs > 0 ORDER BY first_job");
  statement.Bind(id);
  std::vector<JobRange> ranges;
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return ranges;
    const auto first = statement.As<core::JobId>(0);
    const core::JobId last = first + statement.As<uint64_t>(1) - 1;
    if (!ranges.empty() && ranges.back().last + 1 == first) {
      ranges.back().last = last;
    } else {
      ranges.push_back({first, last});
    }
  }
}

// Deletes the first `most` rows of the range, and those at the same place as the last of them.
absl::StatusOr<uint64_t> DeleteFirst(Connection& db, const JobTable& table, const JobRange& range,
                                     uint64_t most) {
  Statement nth = db.Prepare(table.nth);
  nth.Bind(range.first, range.last, most - 1);
  COPPICE_ASSIGN_OR_RETURN(const bool more, nth.Step());
  const core::JobId job = more ? nth.As<core::JobId>(0) : 0;
  const int64_t place = more ? nth.Int(1) : 0;
  nth.Reset();
  Statement whole = db.Prepare(table.whole);
  whole.Bind(range.first, more ? job - 1 : range.last);
  COPPICE_RETURN_IF_ERROR(whole.Run());
  auto deleted = static_cast<uint64_t>(db.changes());
  if (!more) return deleted;
  Statement begin = db.Prepare(table.begin);
  COPPICE_RETURN_IF_ERROR(begin.Bind(job, place).Run());
  return deleted + static_cast<uint64_t>(db.changes());
}

core::Checkpoint ReadRemoved(const Statement& row) {
  core::Checkpoint checkpoint;
  checkpoint.job_id = row.As<core::JobId>(0);
  checkpoint.step = row.As<uint32_t>(1);
  checkpoint.attempt = row.As<core::AttemptNumber>(2);
  checkpoint.path = row.Text(3);
  checkpoint.bytes = row.As<uint64_t>(4);
  return checkpoint;
}

absl::StatusOr<std::vector<core::Checkpoint>> DeleteFirstCheckpoints(Connection& db,
                                                                     const JobRange& range,
                                                                     uint64_t most) {
  Statement list = db.Prepare(R"sql(
      SELECT job_id, step, attempt, path, bytes
      FROM checkpoints
      WHERE job_id BETWEEN ? AND ?
      ORDER BY job_id, step, attempt LIMIT ?)sql");
  list.Bind(range.first, range.last, most);
  COPPICE_ASSIGN_OR_RETURN(std::vector<core::Checkpoint> first, Collect(list, &ReadRemoved));
  if (first.empty()) return first;
  const core::Checkpoint& last = first.back();
  Statement whole = db.Prepare("DELETE FROM checkpoints WHERE job_id BETWEEN ? AND ?");
  COPPICE_RETURN_IF_ERROR(whole.Bind(range.first, last.job_id - 1).Run());
  Statement begin =
      db.Prepare("DELETE FROM checkpoints WHERE job_id = ? AND (step, attempt) <= (?, ?)");
  COPPICE_RETURN_IF_ERROR(begin.Bind(last.job_id, last.step, last.attempt).Run());
  return first;
}

// Deletes rows that belong to the jobs, then the jobs, until `limit` is reached. True: none is
// left. Checkpoints and attempts refer to their jobs, so they go first.
absl::StatusOr<bool> DeleteOfJobs(Connection& db, const std::vector<JobRange>& ranges,
                                  uint64_t limit, core::DeletedPart* part) {
  uint64_t left = limit;
  for (const JobRange& range : ranges) {
    COPPICE_ASSIGN_OR_RETURN(auto files, DeleteFirstCheckpoints(db, range, left));
    part->rows += files.size();
    left -= files.size();
    std::move(files.begin(), files.end(), std::back_inserter(part->checkpoints));
    if (left == 0) return false;
  }
  for (const JobTable& table : kJobTables) {
    for (const JobRange& range : ranges) {
      const uint64_t most = std::max<uint64_t>(1, left / table.weight);
      COPPICE_ASSIGN_OR_RETURN(const uint64_t rows, DeleteFirst(db, table, range, most));
      part->rows += rows;
      if (rows >= most) return false;
      left -= rows * table.weight;
    }
  }
  for (const JobRange& range : ranges) {
    Statement jobs = db.Prepare(
        "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE id BETWEEN ? AND ? LIMIT ?)");
    COPPICE_RETURN_IF_ERROR(jobs.Bind(range.first, range.last, left).Run());
    const auto rows = static_cast<uint64_t>(db.changes());
    part->rows += rows;
    left -= rows;
    if (left == 0) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<core::SweepId> SqliteWrites::NextSweepId() { return NextOf(db_, kNextSweep); }

absl::StatusOr<core::GroupId> SqliteWrites::NextGroupId() { return NextOf(db_, kNextGroup); }

absl::StatusOr<core::JobId> SqliteWrites::NextJobId() { return NextOf(db_, kNextJob); }

// Without AUTOINCREMENT, SQLite gives the id of a deleted last row again. The workers of old
// attempts and the folders of old checkpoints know such ids.
absl::Status SqliteWrites::RaiseIdFloors() {
  COPPICE_ASSIGN_OR_RETURN(const core::SweepId sweep, NextSweepId());
  COPPICE_ASSIGN_OR_RETURN(const core::GroupId group, NextGroupId());
  COPPICE_ASSIGN_OR_RETURN(const core::JobId job, NextJobId());
  Statement put = db_.Prepare(R"sql(
      INSERT OR REPLACE INTO meta (key, value)
      VALUES ('sweep_id_floor', ?), ('group_id_floor', ?), ('job_id_floor', ?))sql");
  return put.Bind(absl::StrCat(sweep - 1), absl::StrCat(group - 1), absl::StrCat(job - 1)).Run();
}

absl::Status SqliteWrites::MarkSweepDeleted(core::SweepId id) {
  // A user's name has neither parentheses nor spaces.
  Statement statement = db_.Prepare(R"sql(
      UPDATE sweeps
      SET deleted = 1, name = '(deleted ' || id || ') ' || name
      WHERE id = ? AND deleted = 0 AND jobs_missing = 0 AND unfinished = 0)sql");
  return ExactlyOne(statement.Bind(id), "marking a sweep as deleted");
}

absl::StatusOr<core::DeletedPart> SqliteWrites::DeletePartOfSweep(core::SweepId id,
                                                                  uint64_t limit) {
  COPPICE_ASSIGN_OR_RETURN(const core::SweepRow sweep, reads_.GetSweep(id));
  if (!sweep.deleted && sweep.jobs_missing == 0)
    return absl::FailedPreconditionError(absl::StrCat("sweep ", id, " is complete"));
  core::DeletedPart part;
  COPPICE_ASSIGN_OR_RETURN(const std::vector<JobRange> ranges, RangesOf(db_, id));
  COPPICE_ASSIGN_OR_RETURN(const bool done,
                           DeleteOfJobs(db_, ranges, std::max<uint64_t>(1, limit), &part));
  if (!done) return part;
  COPPICE_RETURN_IF_ERROR(RaiseIdFloors());
  // The names in metric_names stay: other sweeps use them too, and to find out would read every
  // stored metric.
  COPPICE_RETURN_IF_ERROR(
      db_.Prepare("DELETE FROM sweep_metric_names WHERE sweep_id = ?").Bind(id).Run());
  COPPICE_RETURN_IF_ERROR(db_.Prepare("DELETE FROM operations WHERE sweep_id = ?").Bind(id).Run());
  COPPICE_RETURN_IF_ERROR(db_.Prepare("DELETE FROM groups WHERE sweep_id = ?").Bind(id).Run());
  COPPICE_RETURN_IF_ERROR(db_.Prepare("DELETE FROM sweep_specs WHERE sweep_id = ?").Bind(id).Run());
  Statement row = db_.Prepare("DELETE FROM sweeps WHERE id = ?");
  COPPICE_RETURN_IF_ERROR(ExactlyOne(row.Bind(id), "deleting a sweep"));
  part.gone = true;
  return part;
}

}  // namespace coppice::store
