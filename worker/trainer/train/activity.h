// How a trainer that works is told from one that hangs.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_ACTIVITY_H_
#define COPPICE_WORKER_TRAINER_TRAIN_ACTIVITY_H_

#include <atomic>
#include <cstdint>

namespace coppice::trainer {

// Counts what this process gets done between two steps: batches of an evaluation, of the probes. It
// goes out with each progress event, which comes by the clock and says nothing by itself.
inline std::atomic<uint64_t>& Activity() {
  static std::atomic<uint64_t> count{0};
  return count;
}
inline void CountActivity() { Activity().fetch_add(1, std::memory_order_relaxed); }

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_ACTIVITY_H_
