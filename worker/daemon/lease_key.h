#ifndef COPPICE_WORKER_DAEMON_LEASE_KEY_H_
#define COPPICE_WORKER_DAEMON_LEASE_KEY_H_

#include <compare>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::worker {

// Identifies an attempt. Keys sort by job, then by attempt.
struct LeaseKey {
  uint64_t job = 0;
  uint64_t attempt = 0;
  friend auto operator<=>(const LeaseKey&, const LeaseKey&) = default;
};

inline LeaseKey KeyOf(const v1::LeaseRef& lease) { return {lease.job_id(), lease.attempt()}; }
// For people: "job 7 (attempt 3)".
inline std::string ToString(const LeaseKey& key) {
  return absl::StrCat("job ", key.job, " (attempt ", key.attempt, ")");
}

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_LEASE_KEY_H_
