#include <cmath>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/name_check.h"

namespace coppice::core {
namespace {

bool IsMetricName(const std::string& name) {
  if (name.empty() || name.size() > kMaxMetricName) return false;
  for (const char c : name) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

// Returns the fault of a row; empty: valid. Steps must grow within an attempt, so that each step
// has one row.
std::string WhatIsWrong(const MetricRow& row, const AttemptRow& attempt, const GroupSpec& spec) {
  if (row.step <= attempt.row_step || row.step > spec.steps) {
    return absl::StrCat("step ", row.step, " is outside (", attempt.row_step, ", ", spec.steps,
                        "]");
  }
  if (row.step % spec.report_every != 0 && row.step != spec.steps) {
    return absl::StrCat("step ", row.step, " is not a report step (every ", spec.report_every, ")");
  }
  if (row.values.empty()) return "the row has no values";
  if (row.values.size() > kMaxValuesPerRow)
    return absl::StrCat("more than ", kMaxValuesPerRow, " values");
  std::set<std::string> names;
  for (const MetricValue& value : row.values) {
    if (!IsMetricName(value.name))
      return "a metric's name must be 1 to 128 printable characters without spaces";
    if (!names.insert(value.name).second)
      return absl::StrCat("metric ", value.name, " comes twice");
    if (!std::isfinite(value.value)) return absl::StrCat("metric ", value.name, " is not finite");
  }
  return "";
}

// The records of one lease within an Append call.
class Appender {
 public:
  Appender(CommandContext& tx, JobRow job, AttemptRow attempt, const GroupSpec& spec)
      : tx_(tx),
        names_(&tx),
        before_(job),
        job_(std::move(job)),
        attempt_(std::move(attempt)),
        spec_(spec) {}

  uint64_t sequence() const { return attempt_.last_sequence; }
  const JobRow& job() const { return job_; }
  // Set if records acknowledged before this one are missing.
  const std::string& gap() const { return gap_; }

  // Stores the record, sets `error` to the reason why not, or finds a gap (then no later record may
  // be stored).
  absl::Status Add(const Record& record, std::string& error) {
    if (record.sequence <= attempt_.last_sequence) return absl::OkStatus();  // sent again
    if (record.sequence != attempt_.last_sequence + 1) {
      if (!MayHaveLost(tx_, record.lease)) {
        error = absl::StrCat("record ", record.sequence, " came where ", attempt_.last_sequence + 1,
                             " was due; a worker numbers its records from 1, without gaps");
        return absl::OkStatus();
      }
      gap_ = absl::StrCat(kReportsMissing, ": record ", record.sequence, " came before ",
                          attempt_.last_sequence + 1);
      return absl::OkStatus();
    }
    if (record.start_step.has_value() && *record.start_step != attempt_.start_step) {
      // The coordinator gave this start step when the worker rejected a checkpoint, and has lost
      // that since. Otherwise this would be another attempt.
      gap_ = absl::StrCat(kReportsMissing, ": the trainer started at step ", *record.start_step,
                          ", the attempt at step ", attempt_.start_step);
      return absl::OkStatus();
    }
    if (int{record.row.has_value()} + int{record.log.has_value()} +
            int{record.provenance.has_value()} !=
        1) {
      error = "a record holds exactly one of row, log, provenance";
      return absl::OkStatus();
    }
    if (record.row.has_value()) {
      error = WhatIsWrong(*record.row, attempt_, spec_);
      if (error.empty()) COPPICE_RETURN_IF_ERROR(names_.Take(job_, *record.row, error));
    }
    if (record.log.has_value() && record.log->size() > kMaxRecordText)
      error = "the log text is too long";
    if (record.provenance.has_value() && record.provenance->size() > kMaxRecordText)
      error = "the provenance is too long";
    if (!error.empty()) return absl::OkStatus();
    if (record.row.has_value()) COPPICE_RETURN_IF_ERROR(AddRow(*record.row));
    if (record.log.has_value()) COPPICE_RETURN_IF_ERROR(AddLog(*record.log));
    if (record.provenance.has_value()) attempt_.provenance = *record.provenance;
    attempt_.last_sequence = record.sequence;
    changed_ = true;
    return absl::OkStatus();
  }

  absl::Status Finish() {
    if (!changed_) return absl::OkStatus();
    if (logged_) {
      if (attempt_.log_bytes > kMaxLogBytes) {
        COPPICE_RETURN_IF_ERROR(
            tx_.write().TrimLog(job_.id, attempt_.number, attempt_.log_bytes - kMaxLogBytes));
      }
      tx_.effects().logged.push_back(job_.id);
    }
    COPPICE_RETURN_IF_ERROR(tx_.write().UpdateAttempt(attempt_));
    if (job_.best_step > before_.best_step) {
      tx_.AfterCommit(WorkerProgressed{job_.worker, tx_.now_ms()});
    }
    return job_.step == before_.step ? absl::OkStatus() : tx_.UpdateRunning(before_, job_);
  }

 private:
  absl::Status AddRow(const MetricRow& row) {
    COPPICE_RETURN_IF_ERROR(tx_.write().InsertMetricRow(job_.id, attempt_.number, row));
    attempt_.row_step = row.step;
    job_.step = row.step;
    if (row.step > job_.best_step) {
      // The job made progress, so earlier failures no longer count. A row reported again after a
      // resume is no progress.
      job_.best_step = row.step;
      job_.failures = 0;
    }
    return absl::OkStatus();
  }

  absl::Status AddLog(const std::string& text) {
    if (text.empty()) return absl::OkStatus();
    COPPICE_RETURN_IF_ERROR(
        tx_.write().AppendLog(job_.id, attempt_.number, attempt_.log_bytes, text));
    attempt_.log_bytes += text.size();
    logged_ = true;
    return absl::OkStatus();
  }

  CommandContext& tx_;
  NameCheck names_;
  const JobRow before_;
  JobRow job_;
  AttemptRow attempt_;
  const GroupSpec& spec_;
  std::string gap_;
  bool changed_ = false;
  bool logged_ = false;
};

absl::StatusOr<RecordAck> AppendToLease(CommandContext& tx, const std::string& worker_id,
                                        const LeaseRef& lease,
                                        const std::vector<const Record*>& records) {
  RecordAck ack{lease, 0, false, ""};
  auto job = CurrentLease(tx, worker_id, lease);
  if (absl::IsAborted(job.status())) {
    ack.stale = true;
    const auto attempt = tx.read().GetAttempt(lease.job_id, lease.attempt);
    if (attempt.ok()) ack.sequence = attempt->last_sequence;
    return ack;
  }
  if (!job.ok()) return job.status();
  COPPICE_ASSIGN_OR_RETURN(AttemptRow attempt, tx.read().GetAttempt(lease.job_id, lease.attempt));
  const auto group = tx.memory().catalog.Group(job->group_id);
  if (group == nullptr)
    return absl::InternalError(absl::StrCat("job ", lease.job_id, " is not in the catalog"));
  Appender appender(tx, *std::move(job), std::move(attempt), group->spec);
  for (const Record* record : records) {
    COPPICE_RETURN_IF_ERROR(appender.Add(*record, ack.error));
    if (!ack.error.empty() || !appender.gap().empty()) break;
  }
  COPPICE_RETURN_IF_ERROR(appender.Finish());
  ack.sequence = appender.sequence();
  if (!appender.gap().empty()) {
    // A worker drops a record only after its acknowledgement, and sends in order. So this database
    // has lost durable records, which is no fault of the job.
    COPPICE_RETURN_IF_ERROR(LoseAttempt(tx, appender.job(), appender.gap()));
    tx.Say(LogLine::kError, absl::StrCat("job ", lease.job_id, ": ", appender.gap(),
                                         "; it goes on from its checkpoint. Check the disk under "
                                         "--data-dir"));
    ack.stale = true;
  }
  return ack;
}

}  // namespace

absl::StatusOr<std::vector<RecordAck>> AppendRecords(CommandContext& tx,
                                                     const std::string& worker_id,
                                                     const std::vector<Record>& records) {
  COPPICE_RETURN_IF_ERROR(KnownWorker(tx, worker_id).status());
  std::vector<LeaseRef> leases;  // in order of their first record
  absl::flat_hash_map<std::pair<JobId, AttemptNumber>, std::vector<const Record*>> by_lease;
  for (const Record& record : records) {
    auto& own = by_lease[{record.lease.job_id, record.lease.attempt}];
    if (own.empty()) leases.push_back(record.lease);
    own.push_back(&record);
  }
  std::vector<RecordAck> acks;
  for (const LeaseRef& lease : leases) {
    COPPICE_ASSIGN_OR_RETURN(RecordAck ack, AppendToLease(tx, worker_id, lease,
                                                          by_lease[{lease.job_id, lease.attempt}]));
    acks.push_back(std::move(ack));
  }
  return acks;
}

uint64_t ReportSteps(const GroupSpec& spec, uint32_t step) {
  return step / spec.report_every + (step == spec.steps && step % spec.report_every != 0 ? 1 : 0);
}

}  // namespace coppice::core
