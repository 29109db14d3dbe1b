#include "worker/trainer/train/permutation.h"

#include <numeric>
#include <utility>

#include "worker/trainer/base/random.h"

namespace coppice::trainer {

std::vector<int32_t> EpochPermutation(uint64_t seed, int64_t epoch, int32_t count) {
  std::vector<int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  PhiloxStream random(MakePhiloxKey(seed, RandomRole::kOrder), static_cast<uint64_t>(epoch), 0);
  for (int32_t i = count - 1; i > 0; --i)
    std::swap(order[i], order[random.Below(static_cast<uint32_t>(i) + 1)]);
  return order;
}

const int32_t* BatchOrder::Batch(int64_t step) {
  const int64_t batches = count_ / batch_size_;
  const int64_t epoch = step / batches;
  if (epoch != epoch_) {
    order_ = EpochPermutation(seed_, epoch, count_);
    epoch_ = epoch;
  }
  return order_.data() + (step % batches) * batch_size_;
}

}  // namespace coppice::trainer
