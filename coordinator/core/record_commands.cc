#include <cmath>
#include <set>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/logging.h"
#include "common/base/names.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/name_check.h"

namespace coppice::core {
namespace {

// Returns the fault of a row; empty: valid. Steps must grow within an attempt, so that each step
// has one row.
std::string WhatIsWrong(const MetricRow& row, const AttemptRow& attempt, const GroupSpec& spec) {
  const uint32_t steps = StepsOf(attempt, spec);
  if (row.step <= attempt.row_step || row.step > steps) {
    return absl::StrCat("step ", row.step, " is outside (", attempt.row_step, ", ", steps, "]");
  }
  if (row.step % spec.report_every != 0 && row.step != steps) {
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

// Purpose: appends the records of one attempt, in order, and makes the answer to them. Owner: one
// Append call. Stops at the end of the attempt, at a refusal and at a gap.
class Appender {
 public:
  Appender(CommandContext* tx, AttemptState state)
      : tx_(*tx), names_(tx), before_(state.job), state_(std::move(state)) {
    answer_.lease = state_.lease();
  }

  absl::StatusOr<AttemptAnswer> Append(const std::vector<const Record*>& records) {
    for (const Record* record : records) {
      COPPICE_RETURN_IF_ERROR(Add(*record));
      if (answer_.over || !answer_.refusal.ok()) break;
    }
    COPPICE_RETURN_IF_ERROR(Finish());
    answer_.number = state_.attempt.last_sequence;
    return std::move(answer_);
  }

 private:
  absl::Status Add(const Record& record) {
    uint64_t& last = state_.attempt.last_sequence;
    if (record.number <= last) return absl::OkStatus();  // sent again
    RecordOutcome outcome;
    if (record.number != last + 1) {
      CheckGap(record, outcome);
    } else {
      ++last;  // an end stores it
      COPPICE_RETURN_IF_ERROR(
          std::visit([&](const auto& content) { return Take(content, outcome); }, record.content));
      if (!outcome.refusal.ok() || !outcome.lost.empty()) --last;
    }
    if (!outcome.lost.empty()) return Lose(outcome.lost);
    if (!outcome.left_out.empty()) {
      answer_.omissions.push_back({record.number, std::move(outcome.left_out)});
    }
    answer_.refusal = std::move(outcome.refusal);
    changed_ = changed_ || answer_.refusal.ok();
    return absl::OkStatus();
  }

  // A worker drops a record only after its acknowledgement, and sends in order. If this database
  // may have lost durable records, that is no fault of the job.
  void CheckGap(const Record& record, RecordOutcome& outcome) {
    const uint64_t due = state_.attempt.last_sequence + 1;
    if (MayHaveLost(tx_, record.lease)) {
      outcome.lost =
          absl::StrCat(kReportsMissing, ": record ", record.number, " came before ", due);
      return;
    }
    outcome.refusal = absl::InvalidArgumentError(
        absl::StrCat("record ", record.number, " came where ", due,
                     " was due; a worker numbers its records from 1, without gaps"));
  }

  absl::Status Take(const MetricRow& row, RecordOutcome& outcome) {
    std::string fault = WhatIsWrong(row, state_.attempt, state_.spec());
    if (fault.empty()) COPPICE_RETURN_IF_ERROR(names_.Take(state_.job, row, fault));
    if (!fault.empty()) {
      outcome.refusal = absl::InvalidArgumentError(fault);
      return absl::OkStatus();
    }
    COPPICE_RETURN_IF_ERROR(tx_.write().InsertMetricRow(state_.job.id, state_.attempt.number, row));
    state_.attempt.row_step = row.step;
    state_.job.step = row.step;
    if (row.step > state_.job.best_step) {
      // The job made progress, so earlier failures no longer count. A row reported again after a
      // resume is no progress.
      state_.job.best_step = row.step;
      state_.job.failures = 0;
    }
    return absl::OkStatus();
  }

  absl::Status Take(const LogText& log, RecordOutcome& outcome) {
    if (log.text.size() > kMaxRecordTextBytes) {
      outcome.refusal = absl::InvalidArgumentError("the log text is too long");
      return absl::OkStatus();
    }
    if (log.text.empty()) return absl::OkStatus();
    COPPICE_RETURN_IF_ERROR(tx_.write().AppendLog(state_.job.id, state_.attempt.number,
                                                  state_.attempt.log_bytes, log.text));
    state_.attempt.log_bytes += log.text.size();
    logged_ = true;
    return absl::OkStatus();
  }

  absl::Status Take(const TrainerStart& start, RecordOutcome& outcome) {
    if (start.step != state_.attempt.start_step) {
      // The coordinator gave this start step when the worker rejected a checkpoint, and has lost
      // that since. Otherwise this would be another attempt.
      outcome.lost = absl::StrCat(kReportsMissing, ": the trainer started at step ", start.step,
                                  ", the attempt at step ", state_.attempt.start_step);
    } else if (start.provenance.size() > kMaxRecordTextBytes) {
      outcome.refusal = absl::InvalidArgumentError("the provenance is too long");
    } else {
      state_.attempt.provenance = start.provenance;
    }
    return absl::OkStatus();
  }

  absl::Status Take(const CheckpointRecord& checkpoint, RecordOutcome& outcome) {
    if (!std::exchange(forgot_removed_, true)) {
      // Files that an earlier call dropped are gone by now, or will be after the next start. Those
      // that this call drops are still there.
      COPPICE_RETURN_IF_ERROR(tx_.write().DeleteDroppedCheckpoints(state_.job.id));
    }
    return TakeCheckpoint(tx_, state_, checkpoint, outcome);
  }

  absl::Status Take(const Malformed& malformed, RecordOutcome& outcome) {
    outcome.refusal = absl::InvalidArgumentError(malformed.fault);
    return absl::OkStatus();
  }

  // The end of the attempt stores the rows.
  template <typename End>
  absl::Status Take(const End& end, RecordOutcome& outcome) {
    COPPICE_RETURN_IF_ERROR(TakeEnd(tx_, state_, end, outcome.refusal));
    answer_.over = outcome.refusal.ok();
    return absl::OkStatus();
  }

  absl::Status Lose(const std::string& gap) {
    COPPICE_RETURN_IF_ERROR(StoreRunning(tx_, state_));
    COPPICE_RETURN_IF_ERROR(LoseAttempt(tx_, state_.job, gap));
    tx_.Say(LogLine::kError, absl::StrCat("job ", state_.job.id, ": ", gap,
                                          "; it goes on from its checkpoint. Check the disk under "
                                          "--data-dir"));
    answer_.over = true;
    return absl::OkStatus();
  }

  absl::Status Finish() {
    if (logged_) {
      if (state_.attempt.log_bytes > kKeptLogBytes) {
        COPPICE_RETURN_IF_ERROR(tx_.write().TrimLog(state_.job.id, state_.attempt.number,
                                                    state_.attempt.log_bytes - kKeptLogBytes));
      }
      tx_.effects().logged.push_back(state_.job.id);
    }
    if (state_.job.best_step > before_.best_step) {
      tx_.AfterCommit(WorkerProgressed{before_.worker, tx_.now_ms()});
    }
    if (!changed_ || answer_.over) return absl::OkStatus();
    return StoreRunning(tx_, state_);
  }

  CommandContext& tx_;
  NameCheck names_;
  const JobRow before_;
  AttemptState state_;
  AttemptAnswer answer_;
  bool changed_ = false;
  bool logged_ = false;
  bool forgot_removed_ = false;
};

absl::StatusOr<AttemptAnswer> AppendToAttempt(CommandContext& tx, const std::string& worker_id,
                                              const LeaseRef& lease,
                                              const std::vector<const Record*>& records) {
  auto state = LoadAttempt(tx, worker_id, lease);
  if (state.ok()) return Appender(&tx, *std::move(state)).Append(records);
  if (!absl::IsAborted(state.status())) return state.status();
  AttemptAnswer over{lease};
  over.over = true;
  const auto attempt = tx.read().GetAttempt(lease.job_id, lease.attempt);
  if (attempt.ok()) over.number = attempt->last_sequence;
  return over;
}

}  // namespace

absl::StatusOr<AttemptState> LoadAttempt(CommandContext& tx, const std::string& worker_id,
                                         const LeaseRef& lease) {
  AttemptState state;
  COPPICE_ASSIGN_OR_RETURN(state.stored, CurrentLease(tx, worker_id, lease));
  state.job = state.stored;
  COPPICE_ASSIGN_OR_RETURN(state.group, GroupOf(tx, state.job));
  COPPICE_ASSIGN_OR_RETURN(state.attempt, tx.read().GetAttempt(lease.job_id, lease.attempt));
  return state;
}

absl::Status StoreRunning(CommandContext& tx, AttemptState& state) {
  COPPICE_RETURN_IF_ERROR(tx.write().UpdateAttempt(state.attempt));
  const JobRow& now = state.job;
  const bool same = now.step == state.stored.step && now.best_step == state.stored.best_step &&
                    now.failures == state.stored.failures &&
                    now.checkpoint_step == state.stored.checkpoint_step;
  if (same) return absl::OkStatus();
  COPPICE_RETURN_IF_ERROR(tx.UpdateRunning(state.stored, now));
  state.stored = now;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<AttemptAnswer>> AppendRecords(CommandContext& tx,
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
  std::vector<AttemptAnswer> answers;
  answers.reserve(leases.size());
  for (const LeaseRef& lease : leases) {
    COPPICE_ASSIGN_OR_RETURN(
        AttemptAnswer answer,
        AppendToAttempt(tx, worker_id, lease, by_lease[{lease.job_id, lease.attempt}]));
    answers.push_back(std::move(answer));
  }
  return answers;
}

uint64_t ReportSteps(uint32_t every, uint32_t steps, uint32_t step) {
  return step / every + (step == steps && step % every != 0 ? 1 : 0);
}

}  // namespace coppice::core
