// What it means when a job's workers vanish.
//
// A vanished worker is usually a preempted machine, so a lost attempt is never charged. But a job
// that takes its whole machine down each time (it eats the memory, it trips the GPU's driver) looks
// just like that, and would go on for ever, from machine to machine. What tells them apart is
// progress: an innocent job gets somewhere before its next machine goes. So:
//   1. only attempts count that were lost one after the other without the job getting further than
//   ever before; a clean end of any kind, progress, or a retry by a person starts over;
//   2. from the third on the job waits, longer each time but never more than five minutes: an
//   unlucky job on a cluster that is taken away all the time loses little and never starves, and
//   `why` says what is seen;
//   3. after kGiveUpAttempts of them on at least kGiveUpWorkers workers, one of which got further
//   with other jobs meanwhile, the job is set aside as FAILED. That takes over an hour of killed
//   machines. Where nobody gets anywhere, the machines are to blame, and it goes on waiting.
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

// The newest attempts in a row that were lost without progress. An attempt that runs counts as lost
// now.
struct LostInARow {
  uint32_t attempts = 0;
  std::set<std::string> workers;
  int64_t since_ms = 0;  // when the first was granted
};
absl::StatusOr<LostInARow> CountLostInARow(ReadTransaction& read, const JobRow& job);

// How long a job waits after so many of them.
absl::Duration LostBackoff(uint32_t attempts);

// "its last 4 workers vanished ...", for people. `lost` counts at least two.
std::string DescribeLost(const LostInARow& lost, uint32_t step);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_LOST_ATTEMPTS_H_
