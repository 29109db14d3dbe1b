#include "tests/simulation/ledger.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace coppice::simulation {
namespace {

std::string Content(v1::StreamMetricsRequest message) {
  message.clear_worker_id();
  return message.SerializeAsString();
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
  }
}

void Ledger::Sent(const v1::StreamMetricsRequest& message) {
  auto& sent = attempts_[KeyOf(message.lease())].sent;
  const auto [it, is_new] = sent.try_emplace(message.sequence(), message);
  if (!is_new && Content(it->second) != Content(message)) {
    world_.Violation(absl::StrCat("record ", message.sequence(), " of job ",
                                  message.lease().job_id(), " attempt ", message.lease().attempt(),
                                  " was sent again with another content"));
  }
}

bool Ledger::IsDamagedFile(const std::string& file) const {
  return std::any_of(damaged_.begin(), damaged_.end(),
                     [&](const std::string& path) { return absl::EndsWith(file, "/" + path); });
}

void Ledger::Acknowledged(const v1::StreamMetricsResponse& answer) {
  Attempt& attempt = attempts_[KeyOf(answer.lease())];
  // A stale answer also names the attempt's last durable record.
  attempt.acknowledged = std::max(attempt.acknowledged, answer.sequence());
  world_.Trace("job ", answer.lease().job_id(), " attempt ", answer.lease().attempt(),
               " acknowledged up to ", answer.sequence(), answer.stale() ? " stale" : "",
               answer.error());
}

}  // namespace coppice::simulation
