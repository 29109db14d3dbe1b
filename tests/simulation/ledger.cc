#include "tests/simulation/ledger.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "worker/daemon/attempt_records.h"

namespace coppice::simulation {
namespace {

std::string OutcomeOf(const v1::AttemptRecord& ending) {
  if (ending.has_completed()) return "succeeded";
  if (ending.has_failed()) return "failed";
  if (ending.released().has_lost()) return "expired";
  return ending.released().has_too_wide() ? "released" : "preempted";
}

// A checkpoint that could not be uploaded is withdrawn, and an ending replaces a refused record.
bool MayReplace(const v1::AttemptRecord& record, const v1::AttemptRecord& before) {
  return worker::IsEnding(record) ||
         (before.has_checkpoint() && !record.checkpoint().withdrawn().empty());
}

}  // namespace

void Ledger::Granted(const std::string& process, const v1::AcquireLeasesResponse& grant) {
  for (const v1::Lease& lease : grant.leases()) {
    Attempt& attempt = attempts_[KeyOf(lease.lease())];
    world_.Trace(process, " is granted job ", lease.lease().job_id(), " attempt ",
                 lease.lease().attempt(), " from step ", lease.resume().step());
    if (!attempt.holder.empty() && attempt.holder != process) {
      world_.Violation(absl::StrCat("job ", lease.lease().job_id(), " attempt ",
                                    lease.lease().attempt(), " was granted to ", attempt.holder,
                                    " and to ", process));
    }
    attempt.holder = process;
    const uint32_t steps = nlohmann::json::parse(grant.run_json()).at("train").at("steps");
    if (attempt.steps != 0 && attempt.steps != steps) {
      world_.Violation(absl::StrCat("job ", lease.lease().job_id(), " attempt ",
                                    lease.lease().attempt(), " was granted with ", attempt.steps,
                                    " and with ", steps, " steps"));
    }
    attempt.steps = steps;
  }
}

void Ledger::Sent(const v1::AttemptRecord& record) {
  Attempt& attempt = attempts_[KeyOf(record.lease())];
  // Acknowledged records cannot be replaced. The ending of a worker whose spool is older than the
  // coordinator's data has such a number at first.
  if (record.number() <= attempt.acknowledged) return;
  ++attempt.times[record.number()];
  const auto [it, is_new] = attempt.sent.try_emplace(record.number(), record);
  if (is_new || it->second.SerializeAsString() == record.SerializeAsString()) return;
  if (!MayReplace(record, it->second)) {
    world_.Violation(absl::StrCat("record ", record.number(), " of job ", record.lease().job_id(),
                                  " attempt ", record.lease().attempt(),
                                  " was sent again with another content"));
  }
  it->second = record;
}

bool Ledger::IsDamagedFile(const std::string& file) const {
  return std::any_of(damaged_.begin(), damaged_.end(),
                     [&](const std::string& path) { return absl::EndsWith(file, "/" + path); });
}

void Ledger::Acknowledged(const v1::AttemptAnswer& answer) {
  Attempt& attempt = attempts_[KeyOf(answer.lease())];
  Promise(answer, &attempt);
  // The answer to an attempt that is over names the last durable record, too.
  attempt.acknowledged = std::max(attempt.acknowledged, answer.number());
  world_.Trace("job ", answer.lease().job_id(), " attempt ", answer.lease().attempt(),
               " acknowledged up to ", answer.number(), answer.over() ? " over" : "",
               answer.has_refusal() ? " refusal: " : "", answer.refusal().message());
}

void Ledger::Promise(const v1::AttemptAnswer& answer, Attempt* attempt) {
  std::set<uint64_t> omitted;
  for (const v1::Omission& omission : answer.omissions()) omitted.insert(omission.number());
  for (auto it = attempt->sent.upper_bound(attempt->acknowledged);
       it != attempt->sent.end() && it->first <= answer.number(); ++it) {
    const v1::AttemptRecord& record = it->second;
    if (worker::IsEnding(record) && answer.over()) attempt->end = OutcomeOf(record);
    // An omission may have been in an answer that was lost.
    const bool counts = record.has_checkpoint() && record.checkpoint().withdrawn().empty() &&
                        !omitted.contains(it->first) && attempt->times[it->first] == 1;
    if (counts) attempt->committed.insert(record.checkpoint().step());
  }
}

}  // namespace coppice::simulation
