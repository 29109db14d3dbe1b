// The invariants that hold once everything has ended.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/core/lifecycle.h"
#include "tests/simulation/invariants.h"

namespace coppice::simulation {

using core::AttemptOutcome;
using core::EventType;
using core::JobRow;
using core::JobState;

void Invariants::CheckEnd() {
  CheckJobs();
  retries_ = 0;
  for (const JobRow& job : Jobs()) {
    Read([&](core::ReadTransaction& read) { CheckEnded(read, job); });
  }
  if (retries_ < ledger_.retried()) {
    world_.Violation("a retry was answered with OK and is not stored");
  }
  for (const auto& [key, promised] : ledger_.attempts()) {
    Read([&, key = key, promised = &promised](core::ReadTransaction& read) {
      CheckAttempt(read, key, *promised);
    });
  }
}

// Checks that each life has one terminal event: the first life, and one more after each retry and
// after each extension of an ended job.
void Invariants::CheckEnded(core::ReadTransaction& read, const JobRow& job) {
  if (core::IsOpen(job.state)) {
    return Broken(job.id,
                  absl::StrCat("has not ended: ", core::StateName(job.state), " ", job.reason));
  }
  const auto events = read.ListEvents(job.id, 1'000'000);
  if (!events.ok()) return Broken(job.id, events.status().ToString());
  int lives = 1;
  int ends = 0;
  int cancelled = 0;
  for (const core::JobEvent& event : *events) {
    if (event.type == EventType::kRetried) ++retries_;
    const bool extended = event.type == EventType::kExtended && ends == lives;
    if (event.type == EventType::kRetried || extended) ++lives;
    if (event.type == EventType::kCancelled) ++cancelled;
    if (event.type == EventType::kSucceeded || event.type == EventType::kFailed ||
        event.type == EventType::kCancelled) {
      ++ends;
    }
    if (ends > lives) break;
  }
  const auto promised = ledger_.cancelled().find(job.id);
  if (promised != ledger_.cancelled().end() && cancelled < promised->second) {
    Broken(job.id, "its cancellation was answered with OK and is not stored");
  }
  if (ends != lives) {
    Broken(job.id, absl::StrCat("has ended ", ends, " times in ", lives, " lives"));
  }
  const bool diverges = schedule_.diverges.contains(PointOf(job));
  if (diverges && job.state == JobState::kSucceeded) {
    Broken(job.id, "has succeeded although it diverges");
  }
}

void Invariants::CheckAttempt(core::ReadTransaction& read, const LeaseKey& key,
                              const Ledger::Attempt& promised) {
  const auto attempt = read.GetAttempt(key.first, key.second);
  const bool promised_any = !promised.holder.empty() || promised.acknowledged > 0 ||
                            !promised.end.empty() || !promised.committed.empty();
  if (!attempt.ok()) {
    if (promised_any) {
      Broken(key.first, absl::StrCat("attempt ", key.second, " was granted and is not stored"));
    }
    return;
  }
  if (promised.steps != 0 && attempt->steps != promised.steps) {
    Broken(key.first, absl::StrCat("attempt ", key.second, " was granted with ", promised.steps,
                                   " steps, stored are ", attempt->steps));
  }
  if (attempt->outcome == AttemptOutcome::kFailed && promised.failures_caused == 0) {
    Broken(key.first, absl::StrCat("attempt ", key.second,
                                   " failed although nothing failed: ", attempt->message));
  }
  // A worker that found an old spool gives the lease back under a number that may be another
  // record's. If the attempt is over then, it cannot tell the two apart, and need not.
  const absl::string_view stored = core::OutcomeText(attempt->outcome);
  const bool end_fits = promised.end.empty() || stored == promised.end || promised.end == "expired";
  if (!end_fits) {
    Broken(key.first, absl::StrCat("attempt ", key.second, ": the worker was told ", promised.end,
                                   ", stored is ", stored));
  }
  // A commit that a later one overtook is also answered with OK.
  const auto committed = committed_.find(key);
  if (!promised.committed.empty() &&
      (committed == committed_.end() || committed->second < *promised.committed.rbegin())) {
    Broken(key.first,
           absl::StrCat("the checkpoint of step ", *promised.committed.rbegin(), " of attempt ",
                        key.second, " was acknowledged and is not stored"));
  }
  CheckAcknowledged(read, *attempt, promised);
}

void Invariants::CheckAcknowledged(core::ReadTransaction& read, const core::AttemptRow& attempt,
                                   const Ledger::Attempt& promised) {
  if (attempt.last_sequence < promised.acknowledged) {
    Broken(attempt.job_id,
           absl::StrCat("attempt ", attempt.number, ": acknowledged up to ", promised.acknowledged,
                        ", durable up to ", attempt.last_sequence));
  }
  const Rows rows = RowsOf(read, attempt.job_id, true);
  std::string log;
  for (const auto& [number, record] : promised.sent) {
    if (number > promised.acknowledged) break;
    log += record.log();
    if (record.has_start() && attempt.provenance != record.start().provenance()) {
      Broken(attempt.job_id, "an acknowledged provenance is not stored");
    }
    if (!record.has_row()) continue;
    const v1::MetricRow& sent = record.row();
    const bool stored = std::any_of(rows.begin(), rows.end(), [&](const core::StoredRow& row) {
      return row.attempt == attempt.number && row.row.step == sent.step() &&
             row.row.values[0].value == sent.values(0).value();
    });
    if (!stored) {
      Broken(attempt.job_id, absl::StrCat("the acknowledged row of step ", sent.step(),
                                          " of attempt ", attempt.number, " is missing"));
    }
  }
  if (log.empty()) return;
  const auto chunks = read.ReadLog(attempt.job_id, attempt.number, 0, 1 << 20);
  std::string stored;
  if (chunks.ok()) {
    for (const core::LogChunk& chunk : *chunks) stored += chunk.text;
  }
  if (!absl::StartsWith(stored, log)) {
    Broken(attempt.job_id,
           absl::StrCat("acknowledged log text of attempt ", attempt.number, " is missing"));
  }
}

uint64_t Invariants::StateDigest() {
  std::string text;
  for (const JobRow& job : Jobs()) {
    absl::StrAppend(&text, job.id, " ", core::StateName(job.state), " ", job.step, " ", job.attempt,
                    " ", job.failures, " ", job.attempts, " ", WithoutPath(job.reason), "\n");
    Read([&](core::ReadTransaction& read) {
      for (const auto& row : RowsOf(read, job.id, true)) {
        absl::StrAppend(&text, row.attempt, " ", row.row.step, " ", row.archived, "\n");
      }
      const auto attempts = read.ListAttempts(job.id);
      for (const auto& attempt : *attempts) {
        absl::StrAppend(&text, attempt.worker, " ", core::OutcomeText(attempt.outcome), " ",
                        WithoutPath(attempt.message), " ", attempt.start_step, " ",
                        attempt.end_step, " ", attempt.last_sequence, "\n");
      }
      const auto events = read.ListEvents(job.id, 1'000'000);
      for (const auto& event : *events) {
        absl::StrAppend(&text, event.attempt, " ", core::EventTypeText(event.type), " ",
                        WithoutPath(event.message), "\n");
      }
    });
  }
  uint64_t digest = 0;
  for (const char c : text) digest = Mix(digest ^ static_cast<uint8_t>(c));
  return digest;
}

}  // namespace coppice::simulation
