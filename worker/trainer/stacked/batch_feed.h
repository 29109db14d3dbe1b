// A pack's training batches, prepared in advance by a separate thread.
#ifndef COPPICE_WORKER_TRAINER_STACKED_BATCH_FEED_H_
#define COPPICE_WORKER_TRAINER_STACKED_BATCH_FEED_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

// A seed and the first step whose batch it needs.
struct FeedMember {
  uint64_t seed = 0;
  int64_t step = 0;
};

// The most rows that a batch of the run can have, and the length of the longest training example,
// SOS included.
int64_t LargestBatchRows(const Dataset& dataset, int64_t batch_size);
int64_t LongestTrainingSequence(const Dataset& dataset);

// Fills slots of host memory, in the layout of device_batch.h, with one pack step after the other:
// each member's batches from its own first step on, then empty batches (no rows) after the run's
// last step. A member's batches depend only on its seed and step. The bucket depends only on the
// members' batches, whatever happens to the members in training.
//
// Owned by the training. Its thread runs from the constructor to the destructor. The training
// thread calls Next and Release. Each of `slots` has BatchBytes of the largest bucket; slots and
// data outlive this.
class BatchFeed {
 public:
  BatchFeed(const Dataset* dataset, const RunConfig& run, const std::vector<FeedMember>& members,
            std::vector<void*> slots);
  ~BatchFeed();
  BatchFeed(const BatchFeed&) = delete;
  BatchFeed& operator=(const BatchFeed&) = delete;

  struct Filled {
    size_t slot = 0;
    int64_t rows = 0;  // of the bucket
  };
  // Waits for the next step's batches. Steps come in order.
  Filled Next();
  // Frees the slot for another step.
  void Release(size_t slot);

 private:
  void Fill();
  // Waits for a free slot; nullopt when the feed ends.
  std::optional<size_t> TakeFree();

  const Dataset* const dataset_;
  const RunConfig run_;
  const std::vector<FeedMember> members_;
  const std::vector<void*> slots_;

  absl::Mutex mutex_;
  std::deque<size_t> free_ ABSL_GUARDED_BY(mutex_);
  std::deque<Filled> filled_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_BATCH_FEED_H_
