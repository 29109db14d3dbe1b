#include <cmath>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"

namespace coppice::core {
namespace {

constexpr size_t kMaxMessage = 4 << 10;

bool IsMetricName(const std::string& name) {
  if (name.empty() || name.size() > kMaxMetricName) return false;
  for (const char c : name) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

// Empty: valid. Steps must also grow within an attempt, so that each step has one row.
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

// One lease's records within an Append.
class Appender {
 public:
  Appender(Transaction& tx, JobRow job, AttemptRow attempt, const GroupSpec& spec)
      : tx_(tx), before_(job), job_(std::move(job)), attempt_(std::move(attempt)), spec_(spec) {}

  uint64_t sequence() const { return attempt_.last_sequence; }

  // Stores the record or says in `error` why not (then nothing after it may be stored).
  absl::Status Add(const Record& record, std::string& error) {
    if (record.sequence <= attempt_.last_sequence) return absl::OkStatus();  // sent again
    if (record.sequence != attempt_.last_sequence + 1) {
      error = absl::StrCat("record ", record.sequence, " came before ", attempt_.last_sequence + 1);
      return absl::OkStatus();
    }
    if (int{record.row.has_value()} + int{record.log.has_value()} +
            int{record.provenance.has_value()} !=
        1) {
      error = "a record holds exactly one of row, log, provenance";
      return absl::OkStatus();
    }
    if (record.row.has_value()) error = WhatIsWrong(*record.row, attempt_, spec_);
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
            tx_.write().TrimLog(job_.id, attempt_.epoch, attempt_.log_bytes - kMaxLogBytes));
      }
      tx_.effects().logged.push_back(job_.id);
    }
    COPPICE_RETURN_IF_ERROR(tx_.write().UpdateAttempt(attempt_));
    return job_.step == before_.step ? absl::OkStatus() : tx_.UpdateRunning(before_, job_);
  }

 private:
  absl::Status AddRow(const MetricRow& row) {
    COPPICE_RETURN_IF_ERROR(tx_.write().InsertMetricRow(job_.id, attempt_.epoch, row));
    attempt_.row_step = row.step;
    job_.step = row.step;
    if (row.step > job_.best_step) {
      // Further than ever before: earlier failures no longer count. A row reported again after a
      // resume is no progress.
      job_.best_step = row.step;
      job_.failures = 0;
    }
    return absl::OkStatus();
  }

  absl::Status AddLog(const std::string& text) {
    if (text.empty()) return absl::OkStatus();
    COPPICE_RETURN_IF_ERROR(
        tx_.write().AppendLog(job_.id, attempt_.epoch, attempt_.log_bytes, text));
    attempt_.log_bytes += text.size();
    logged_ = true;
    return absl::OkStatus();
  }

  Transaction& tx_;
  const JobRow before_;
  JobRow job_;
  AttemptRow attempt_;
  const GroupSpec& spec_;
  bool changed_ = false;
  bool logged_ = false;
};

absl::StatusOr<RecordAck> AppendToLease(Transaction& tx, const std::string& worker_id,
                                        const LeaseRef& lease,
                                        const std::vector<const Record*>& records) {
  RecordAck ack{lease, 0, false, ""};
  auto job = CurrentLease(tx, worker_id, lease);
  if (absl::IsAborted(job.status())) {
    ack.stale = true;
    const auto attempt = tx.read().GetAttempt(lease.job_id, lease.epoch);
    if (attempt.ok()) ack.sequence = attempt->last_sequence;
    return ack;
  }
  if (!job.ok()) return job.status();
  COPPICE_ASSIGN_OR_RETURN(AttemptRow attempt, tx.read().GetAttempt(lease.job_id, lease.epoch));
  const auto group = tx.memory().catalog.Group(job->group_id);
  if (group == nullptr)
    return absl::InternalError(absl::StrCat("job ", lease.job_id, " is not in the catalog"));
  Appender appender(tx, *std::move(job), std::move(attempt), group->spec);
  for (const Record* record : records) {
    COPPICE_RETURN_IF_ERROR(appender.Add(*record, ack.error));
    if (!ack.error.empty()) break;
  }
  COPPICE_RETURN_IF_ERROR(appender.Finish());
  ack.sequence = appender.sequence();
  return ack;
}

}  // namespace

absl::StatusOr<std::vector<RecordAck>> AppendRecords(Transaction& tx, const std::string& worker_id,
                                                     const std::vector<Record>& records) {
  COPPICE_RETURN_IF_ERROR(KnownWorker(tx, worker_id).status());
  std::vector<LeaseRef> leases;  // in order of their first record
  absl::flat_hash_map<std::pair<JobId, Epoch>, std::vector<const Record*>> by_lease;
  for (const Record& record : records) {
    auto& own = by_lease[{record.lease.job_id, record.lease.epoch}];
    if (own.empty()) leases.push_back(record.lease);
    own.push_back(&record);
  }
  std::vector<RecordAck> acks;
  for (const LeaseRef& lease : leases) {
    COPPICE_ASSIGN_OR_RETURN(
        RecordAck ack, AppendToLease(tx, worker_id, lease, by_lease[{lease.job_id, lease.epoch}]));
    acks.push_back(std::move(ack));
  }
  return acks;
}

uint64_t ReportSteps(const GroupSpec& spec, uint32_t step) {
  return step / spec.report_every + (step == spec.steps && step % spec.report_every != 0 ? 1 : 0);
}

absl::Duration FailureBackoff(uint32_t failures) {
  if (failures <= 1) return absl::Seconds(2);
  return failures == 2 ? absl::Seconds(10) : absl::Seconds(60);
}

namespace {

// A report of an attempt's end that was already taken, sent again because its answer was lost.
bool EndedAs(Transaction& tx, const LeaseRef& lease,
             std::initializer_list<absl::string_view> outcomes) {
  const auto attempt = tx.read().GetAttempt(lease.job_id, lease.epoch);
  if (!attempt.ok()) return false;
  for (const absl::string_view outcome : outcomes) {
    if (attempt->outcome == outcome) return true;
  }
  return false;
}

absl::Status CheckComplete(Transaction& tx, const JobRow& job, const GroupSpec& spec,
                           uint64_t last_sequence) {
  COPPICE_ASSIGN_OR_RETURN(const AttemptRow attempt, tx.read().GetAttempt(job.id, job.epoch));
  const std::string what = absl::StrCat("job ", job.id, " is not complete: ");
  if (attempt.last_sequence < last_sequence) {
    return absl::FailedPreconditionError(absl::StrCat(
        what, "records are durable up to ", attempt.last_sequence, " of ", last_sequence));
  }
  COPPICE_ASSIGN_OR_RETURN(const auto checkpoints,
                           tx.read().ListCheckpoints(job.id, CheckpointState::kListed));
  if (checkpoints.empty() || checkpoints.front().step != spec.steps) {
    return absl::FailedPreconditionError(absl::StrCat(what, "no checkpoint at step ", spec.steps));
  }
  COPPICE_ASSIGN_OR_RETURN(const uint64_t rows, tx.read().CountMetricSteps(job.id, spec.steps));
  const uint64_t expected = ReportSteps(spec, spec.steps);
  if (rows != expected) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, rows, " of ", expected, " report rows"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CompleteJob(Transaction& tx, const AttemptEnd& end) {
  auto job = CurrentLease(tx, end.worker_id, end.lease);
  if (absl::IsAborted(job.status()) && EndedAs(tx, end.lease, {"succeeded"}))
    return absl::OkStatus();
  if (!job.ok()) return job.status();
  const auto group = tx.memory().catalog.Group(job->group_id);
  if (group == nullptr)
    return absl::InternalError(absl::StrCat("job ", job->id, " is not in the catalog"));
  COPPICE_RETURN_IF_ERROR(CheckComplete(tx, *job, group->spec, end.last_sequence));
  JobRow after = *job;
  after.step = group->spec.steps;
  after.best_step = group->spec.steps;
  after.reason.clear();
  return tx.EndAttempt(
      *job, JobTrigger::kComplete, std::move(after),
      {"succeeded", absl::StrCat("reached step ", group->spec.steps), group->spec.steps, "", ""});
}

namespace {

// Empty: another attempt may do better. A run is a function of its spec and seed: one that diverged
// would diverge again, and data that cannot be made cannot be made by another worker. Of the rest,
// a job that dies at one step wherever it runs is to blame itself; a full disk is its worker's.
absl::StatusOr<std::string> WhyGiveUp(Transaction& tx, const JobRow& job, const AttemptEnd& end,
                                      uint32_t max_failures) {
  if (end.kind == "nan") return std::string("its loss is not finite, and would be again");
  if (end.kind == "data") return std::string("its data cannot be had");
  if (job.failures + 1 >= max_failures) {
    return absl::StrCat("it failed ", job.failures + 1, " times without progress");
  }
  if (end.kind == "disk") return std::string();
  COPPICE_ASSIGN_OR_RETURN(const std::vector<AttemptRow> attempts, tx.read().ListAttempts(job.id));
  for (const AttemptRow& earlier : attempts) {
    if (earlier.epoch > job.forgiven_epoch && earlier.outcome == "failed" &&
        earlier.kind != "disk" && earlier.end_step == end.step && earlier.worker != job.worker) {
      return absl::StrCat("quarantined: it failed at step ", end.step, " on ", earlier.worker,
                          " and on ", job.worker);
    }
  }
  return std::string();
}

absl::Status CheckEnd(const AttemptEnd& end, const GroupSpec& spec) {
  if (end.step <= spec.steps) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("step ", end.step, " is past the last step ", spec.steps));
}

}  // namespace

absl::Status FailJob(Transaction& tx, const AttemptEnd& end) {
  if (end.kind.empty() || end.kind.size() > 64) {
    return absl::InvalidArgumentError("the failure's kind must have 1 to 64 characters");
  }
  auto job = CurrentLease(tx, end.worker_id, end.lease);
  if (absl::IsAborted(job.status()) && EndedAs(tx, end.lease, {"failed"})) return absl::OkStatus();
  if (!job.ok()) return job.status();
  const auto group = tx.memory().catalog.Group(job->group_id);
  if (group == nullptr)
    return absl::InternalError(absl::StrCat("job ", job->id, " is not in the catalog"));
  COPPICE_RETURN_IF_ERROR(CheckEnd(end, group->spec));
  COPPICE_ASSIGN_OR_RETURN(const std::string give_up,
                           WhyGiveUp(tx, *job, end, group->sweep->max_failures));

  const std::string what = absl::StrCat(end.kind, ": ", Head(end.message, kMaxMessage));
  JobRow after = *job;
  after.failures = job->failures + 1;
  after.reason = give_up.empty() ? what : absl::StrCat(give_up, "; ", what);
  if (give_up.empty()) {
    after.not_before_ms = tx.now_ms() + absl::ToInt64Milliseconds(FailureBackoff(after.failures));
  }
  Ending ending{"failed", after.reason, end.step, end.kind, Tail(end.log_tail, kMaxLogTail)};
  return tx.EndAttempt(*job, give_up.empty() ? JobTrigger::kFail : JobTrigger::kGiveUp,
                       std::move(after), ending);
}

absl::Status ReleaseLease(Transaction& tx, const AttemptEnd& end) {
  auto job = CurrentLease(tx, end.worker_id, end.lease);
  if (absl::IsAborted(job.status()) && EndedAs(tx, end.lease, {"preempted", "released"}))
    return absl::OkStatus();
  if (!job.ok()) return job.status();
  JobRow after = *job;
  after.reason = absl::StrCat("preempted: ", Head(end.message, kMaxMessage));
  return tx.EndAttempt(*job, JobTrigger::kRelease, std::move(after),
                       {"preempted", Head(end.message, kMaxMessage), end.step, "", ""});
}

}  // namespace coppice::core
