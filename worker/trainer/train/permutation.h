#ifndef COPPICE_WORKER_TRAINER_TRAIN_PERMUTATION_H_
#define COPPICE_WORKER_TRAINER_TRAIN_PERMUTATION_H_

#include <cstdint>
#include <vector>

namespace coppice::trainer {

// The order of the examples 0..count-1 in one epoch: a Fisher-Yates shuffle that is a pure function
// of (seed, epoch).
std::vector<int32_t> EpochPermutation(uint64_t seed, int64_t epoch, int32_t count);

// The training examples of each of a member's steps. An epoch has floor(count / batch_size)
// batches, all of them full; the remainder of its permutation is dropped. Not thread-safe.
class BatchOrder {
 public:
  // 1 <= batch_size <= count.
  BatchOrder(uint64_t seed, int32_t count, int32_t batch_size)
      : seed_(seed), count_(count), batch_size_(batch_size) {}

  // batch_size indices, valid until the next call. Steps may come in any order.
  const int32_t* Batch(int64_t step);

 private:
  uint64_t seed_;
  int32_t count_;
  int32_t batch_size_;
  int64_t epoch_ = -1;
  std::vector<int32_t> order_;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_PERMUTATION_H_
