#include "coordinator/core/queries.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "coordinator/core/job_filter.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/views.h"

namespace coppice::core {
namespace {

constexpr uint32_t kMaxEvents = 1000;
constexpr uint32_t kMaxOperations = 100;
// A page of jobs ends early at this size, if its jobs have thousands of metrics.
constexpr size_t kMaxLatestBytes = 8 << 20;
constexpr uint64_t kLogPageBytes = 256 << 10;
// The share that one slice reads before the next caller's turn.
constexpr uint64_t kJobsASlice = 50'000;
constexpr size_t kLatestASlice = 200;
constexpr uint64_t kReportsAPage = 20'000;
// A page of metrics ends after this many values: a row may have a thousand.
constexpr size_t kMaxValuesPerMetricsPage = 50'000;

uint32_t Limit(uint32_t limit, uint32_t otherwise) {
  return limit == 0 ? otherwise : std::min(limit, kMaxPageSize);
}

}  // namespace

absl::StatusOr<SweepDetails> QuerySweep(ReadTransaction& read, const Memory& memory,
                                        const std::string& name) {
  COPPICE_ASSIGN_OR_RETURN(const auto sweep, read.FindSweep(name));
  if (!sweep.has_value()) return absl::NotFoundError(absl::StrCat("no sweep named '", name, "'"));
  COPPICE_ASSIGN_OR_RETURN(auto groups, read.ListGroupCounts(sweep->id));
  // The catalog learns of a sweep a moment after its commit.
  if (memory.catalog.GroupsOf(sweep->id).size() < groups.size()) {
    COPPICE_ASSIGN_OR_RETURN(groups, read.ListGroups(sweep->id));
  }
  SweepDetails details;
  details.summary = MakeSummary(*sweep, groups, memory.leases);
  details.groups = MakeGroups(groups, memory.catalog, memory.leases);
  COPPICE_ASSIGN_OR_RETURN(details.operations, read.ListOperations(sweep->id, kMaxOperations));
  COPPICE_ASSIGN_OR_RETURN(details.spec_blob, read.GetSpecBlob(sweep->id));
  return details;
}

absl::StatusOr<DeletedSweep> QueryDeletion(ReadTransaction& read, const Memory& memory,
                                           const Deletion& deletion) {
  COPPICE_ASSIGN_OR_RETURN(const auto sweep, read.FindSweep(deletion.name));
  if (!sweep.has_value())
    return absl::NotFoundError(absl::StrCat("no sweep named '", deletion.name, "'"));
  COPPICE_ASSIGN_OR_RETURN(const auto groups, read.ListGroupCounts(sweep->id));
  COPPICE_RETURN_IF_ERROR(CheckDeletable(*sweep, groups, deletion));
  DeletedSweep deleted{MakeSummary(*sweep, groups, memory.leases)};
  for (const GroupRow& group : groups) {
    if (group.jobs == 0) continue;
    COPPICE_ASSIGN_OR_RETURN(
        const CheckpointSum sum,
        read.SumCheckpoints(group.first_job, group.first_job + group.jobs - 1));
    deleted.checkpoints += sum.count;
    deleted.checkpoint_bytes += sum.bytes;
  }
  return deleted;
}

absl::StatusOr<std::vector<SweepSummary>> QuerySweeps(ReadTransaction& read, const Memory& memory) {
  COPPICE_ASSIGN_OR_RETURN(const auto sweeps, read.ListSweeps());
  std::vector<SweepSummary> summaries;
  for (const SweepRow& sweep : sweeps) {
    COPPICE_ASSIGN_OR_RETURN(const auto groups, read.ListGroupCounts(sweep.id));
    summaries.push_back(MakeSummary(sweep, groups, memory.leases));
  }
  return summaries;
}

JobLister::JobLister(JobFilter filter, JobId after, uint32_t limit, bool with_latest)
    : filter_(std::move(filter)),
      limit_(Limit(limit, 1000)),
      with_latest_(with_latest),
      after_(after) {}

absl::StatusOr<bool> JobLister::Next(ReadTransaction& read, const Memory& memory, JobPage& page) {
  if (!listed_) {
    COPPICE_ASSIGN_OR_RETURN(
        after_, WalkJobs(read, memory.catalog, filter_, StateSet::All(), after_, kJobsASlice,
                         [&](const JobRow& row, const GroupInfo&) {
                           if (page.jobs.size() == limit_) {
                             page.next_after = page.jobs.back().id;
                             return false;
                           }
                           page.jobs.push_back(MakeJob(row, memory.catalog, memory.leases));
                           return true;
                         }));
    listed_ = after_ == 0;
    return listed_ && (!with_latest_ || page.jobs.empty());
  }
  for (size_t i = 0; i < kLatestASlice && completed_ < page.jobs.size(); ++i, ++completed_) {
    Job& job = page.jobs[completed_];
    COPPICE_ASSIGN_OR_RETURN(job.latest, read.LatestMetrics(job.id));
    for (const MetricValue& value : job.latest) latest_bytes_ += value.name.size() + 16;
    if (latest_bytes_ < kMaxLatestBytes || completed_ + 1 == page.jobs.size()) continue;
    page.next_after = job.id;
    page.jobs.resize(completed_ + 1);
  }
  return completed_ == page.jobs.size();
}

absl::StatusOr<JobDetails> QueryJob(ReadTransaction& read, const Memory& memory, JobId id) {
  COPPICE_ASSIGN_OR_RETURN(const JobRow row, read.GetJob(id));
  JobDetails details;
  details.job = MakeJob(row, memory.catalog, memory.leases);
  COPPICE_ASSIGN_OR_RETURN(details.job.latest, read.LatestMetrics(id));
  if (const auto group = memory.catalog.Group(row.group_id); group != nullptr)
    details.run_json = group->spec.run_json;
  COPPICE_ASSIGN_OR_RETURN(auto attempts, read.ListAttempts(id));
  attempts.erase(std::remove_if(attempts.begin(), attempts.end(), &IsUntrained), attempts.end());
  for (const AttemptRow& attempt : attempts) details.attempts.push_back(MakeAttempt(attempt));
  COPPICE_ASSIGN_OR_RETURN(details.events, read.ListEvents(id, kMaxEvents));
  // The event is not stored: it would double the writes of a submission of a million jobs.
  details.events.insert(details.events.begin(),
                        {details.job.created_ms, 0, EventType::kSubmitted, ""});
  COPPICE_ASSIGN_OR_RETURN(details.checkpoints, read.ListCheckpoints(id, CheckpointState::kListed));
  return details;
}

namespace {

// Collects the rows of one job after another until the page is full.
class MetricsPager {
 public:
  MetricsPager(ReadTransaction& read, const MetricsQuery& query, const MetricsCursor& after,
               uint32_t limit)
      : read_(read), query_(query), after_(after), limit_(limit) {}

  // False: the page is full, or something failed.
  bool Visit(const JobRow& job, const GroupInfo& group) {
    if (job.best_step == 0) return true;  // it never reported a row
    if (reports_ >= kReportsAPage) return Stop(Before(job.id));
    reports_ += 1 + job.best_step / std::max(1u, group.spec.report_every);
    MetricsScan scan;
    scan.job_id = job.id;
    scan.from_step = query_.from_step;
    scan.names = query_.names;
    scan.include_archived = query_.include_archived;
    if (after_.begun && after_.job_id == job.id) {
      scan.after = true;
      scan.after_step = after_.step;
      scan.after_attempt = after_.attempt;
    }
    status_ = read_.ScanMetrics(scan, [&](const StoredRow& row) { return Add(job, group, row); });
    return status_.ok() && !stopped_;
  }

  // `next_after`: the walk has read its share of jobs; 0: it has reached its end.
  absl::StatusOr<MetricsPage> Finish(JobId next_after) {
    if (!status_.ok()) return status_;
    if (next_after != 0) Stop(Before(next_after + 1));
    page_.end = !stopped_;
    return std::move(page_);
  }

 private:
  static MetricsCursor Before(JobId id) {
    return {id - 1, std::numeric_limits<uint32_t>::max(), std::numeric_limits<AttemptNumber>::max(),
            true};
  }

  bool Add(const JobRow& job, const GroupInfo& group, const StoredRow& row) {
    if (page_.rows.size() >= limit_ || values_ >= kMaxValuesPerMetricsPage) {
      const JobMetrics& last = page_.rows.back();
      // The cursor cannot distinguish a row from its archived twin of the same attempt.
      const bool twin =
          last.job_id == job.id && last.row.step == row.row.step && last.attempt == row.attempt;
      if (!twin) return Stop({last.job_id, last.row.step, last.attempt, true});
    }
    values_ += row.row.values.size();
    page_.rows.push_back({job.id, group.spec.task, group.spec.depth, job.seed, row.attempt,
                          row.archived, row.row, group.spec.point});
    return true;
  }

  bool Stop(MetricsCursor next) {
    page_.next = next;
    stopped_ = true;
    return false;
  }

  ReadTransaction& read_;
  const MetricsQuery& query_;
  const MetricsCursor& after_;
  const size_t limit_;
  uint64_t reports_ = 0;  // of the visited jobs, approximately
  size_t values_ = 0;
  bool stopped_ = false;
  absl::Status status_;
  MetricsPage page_;
};

}  // namespace

absl::StatusOr<MetricsPage> QueryMetrics(ReadTransaction& read, const Memory& memory,
                                         const MetricsQuery& query, const MetricsCursor& after,
                                         uint32_t limit) {
  MetricsPager pager(read, query, after, Limit(limit, 1000));
  const JobId behind = after.begun && after.job_id > 0 ? after.job_id - 1 : 0;
  COPPICE_ASSIGN_OR_RETURN(
      const JobId next_after,
      WalkJobs(read, memory.catalog, query.filter, StateSet::All(), behind, kJobsASlice,
               [&](const JobRow& job, const GroupInfo& group) { return pager.Visit(job, group); }));
  return pager.Finish(next_after);
}

absl::StatusOr<LogPage> QueryLog(ReadTransaction& read, JobId id, AttemptNumber attempt,
                                 uint64_t after) {
  COPPICE_ASSIGN_OR_RETURN(const JobRow job, read.GetJob(id));
  LogPage page;
  page.attempt = attempt;
  page.next = after;
  page.job_ended = !IsOpen(job.state);
  if (page.attempt == 0) {
    COPPICE_ASSIGN_OR_RETURN(page.attempt, read.NewestLogAttempt(id));
    if (page.attempt == 0) return page;  // nothing was logged yet
  }
  COPPICE_ASSIGN_OR_RETURN(const AttemptRow row, read.GetAttempt(id, page.attempt));
  COPPICE_ASSIGN_OR_RETURN(const auto chunks, read.ReadLog(id, page.attempt, after, kLogPageBytes));
  for (const LogChunk& chunk : chunks) {
    page.text += chunk.text;
    page.next = chunk.offset + chunk.text.size();
  }
  // The end is known only with the last page.
  if (page.next < row.log_bytes) page.job_ended = false;
  return page;
}

}  // namespace coppice::core
