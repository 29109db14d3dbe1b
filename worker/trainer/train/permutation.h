#ifndef COPPICE_WORKER_TRAINER_TRAIN_PERMUTATION_H_
#define COPPICE_WORKER_TRAINER_TRAIN_PERMUTATION_H_

#include <cstdint>
#include <vector>

namespace coppice::trainer {

// The order in which the examples 0..count-1 are read in one epoch: a Fisher-Yates shuffle that is
// a pure function of (seed, epoch).
std::vector<int32_t> EpochPermutation(uint64_t seed, int64_t epoch, int32_t count);

// Which examples one member trains on at each of its steps. An epoch has floor(count / batch_size)
// batches; the remainder of its permutation is dropped, so every batch is full. Not thread-safe.
class BatchOrder {
 public:
  // 1 <= batch_size <= count.
  BatchOrder(uint64_t seed, int32_t count, int32_t batch_size)
      : seed_(seed), count_(count), batch_size_(batch_size) {}

  // batch_size indices, valid until the next call. Random access: any step may follow any other.
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
