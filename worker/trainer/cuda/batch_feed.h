// A pack's training batches, prepared ahead by a thread of their own.
#ifndef COPPICE_WORKER_TRAINER_CUDA_BATCH_FEED_H_
#define COPPICE_WORKER_TRAINER_CUDA_BATCH_FEED_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "worker/trainer/config.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

// A seed and the step whose batch it takes first.
struct FeedMember {
  uint64_t seed = 0;
  int64_t step = 0;
};

// The most rows a batch of the run can have, and the most words of a training example with SOS.
int64_t LargestBatchRows(const Dataset& dataset, int64_t batch_size);
int64_t LongestTrainingSequence(const Dataset& dataset);

// Fills pieces of host memory, laid out as pack.h has it, with one pack step after the other: each
// member's batches from its own first step on, none (no rows) from the run's last on. What a member
// reads depends on its seed and step alone, and the bucket on the members' batches alone, whatever
// becomes of them in training.
//
// Owned by the training; its thread runs from here to the end. Next and Release are the training
// thread's. `slots` are as long as BatchBytes of the largest bucket; they and the data outlive it.
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
  // The next step's, in their order; waits for it.
  Filled Next();
  // The slot may be filled again.
  void Release(size_t slot);

 private:
  void Fill();
  // Waits for a free slot; nullopt at the end.
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

#endif  // COPPICE_WORKER_TRAINER_CUDA_BATCH_FEED_H_
