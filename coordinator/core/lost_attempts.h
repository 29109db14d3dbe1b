// Decides about a job whose workers vanish.
//
// A vanished worker is usually a preempted machine, so a lost attempt is never charged. But a job
// that takes down its whole machine each time (it exhausts the memory, or crashes the GPU's driver)
// looks the same, and would go on forever, from machine to machine. Progress tells the two apart:
// an innocent job makes some before its next machine goes.
//   1. Only consecutive lost attempts count, without progress of the job. A clean end of any kind,
//      progress, or a retry by a person resets the count.
//   2. From the third on the job waits, longer each time but at most five minutes. An unlucky job
//      on a cluster with many preemptions loses little time and never starves, and `why` shows the
//      reason.
//   3. After kGiveUpAttempts of them on at least kGiveUpWorkers workers, the job is set aside as
//      FAILED if one of these workers made progress with other jobs meanwhile. That takes over an
//      hour of killed machines. If no job makes progress, the machines are to blame, and the job
//      goes on waiting.
#ifndef COPPICE_COORDINATOR_CORE_LOST_ATTEMPTS_H_
#define COPPICE_COORDINATOR_CORE_LOST_ATTEMPTS_H_

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/store.h"

namespace coppice::core {

inline constexpr uint32_t kGiveUpAttempts = 20;
inline constexpr size_t kGiveUpWorkers = 3;
inline constexpr absl::Duration kLongestLostBackoff = absl::Minutes(5);

// The newest consecutive attempts that were lost without progress. A running attempt counts as lost
// now.
struct LostInARow {
  uint32_t attempts = 0;
  std::set<std::string> workers;
  int64_t since_ms = 0;  // grant of the first one
};
absl::StatusOr<LostInARow> CountLostInARow(ReadTransaction& read, const JobRow& job);

// Returns a job's backoff after `attempts` lost attempts.
absl::Duration LostBackoff(uint32_t attempts);

// Returns "its last 4 workers vanished ...", for people. `lost` counts at least two.
std::string DescribeLost(const LostInARow& lost, uint32_t step);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_LOST_ATTEMPTS_H_
