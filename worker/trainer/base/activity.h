// Proof that a trainer works and does not hang.
#ifndef COPPICE_WORKER_TRAINER_BASE_ACTIVITY_H_
#define COPPICE_WORKER_TRAINER_BASE_ACTIVITY_H_

#include <atomic>
#include <cstdint>

namespace coppice::trainer {

// Counts work that this process finishes between two steps: batches of an evaluation or of the
// probes. Each progress event carries the count, because progress events alone come by the clock
// and prove nothing.
inline std::atomic<uint64_t>& Activity() {
  static std::atomic<uint64_t> count{0};
  return count;
}
inline void CountActivity() { Activity().fetch_add(1, std::memory_order_relaxed); }

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_BASE_ACTIVITY_H_
