// A stacked pack with batches of unequal size, in host memory but in the device's layout.
#ifndef COPPICE_TESTS_WORKER_TRAINER_STACKED_PACK_BENCH_H_
#define COPPICE_TESTS_WORKER_TRAINER_STACKED_PACK_BENCH_H_

#include <algorithm>
#include <vector>

#include "worker/trainer/base/random.h"
#include "worker/trainer/model/kernels.h"
#include "worker/trainer/stacked/device_batch.h"

namespace coppice::trainer {

class PackBench {
 public:
  static constexpr int64_t kHeads = 3, kVocabulary = 29;

  // `lengths` are each member's sequence lengths; `rows` is at least the sum of any member's.
  PackBench(const std::vector<std::vector<int32_t>>& lengths, int64_t rows, double dropout)
      : block_(BatchBytes(static_cast<int64_t>(lengths.size()), rows) / sizeof(int64_t) + 1) {
    const auto members = static_cast<int64_t>(lengths.size());
    for (size_t k = 0; k < lengths.size(); ++k) {
      PhiloxStream random({1, 2}, k, 4);
      MemberBatch& batch = batches_.emplace_back();
      for (const int32_t length : lengths[k]) {
        std::vector<int32_t> words(length - 1);
        for (int32_t& word : words) word = static_cast<int32_t>(random.Below(kVocabulary));
        batch.Append(words.data(), length - 1, kVocabulary - 1, 0);
      }
      DeviceMember& member = members_.emplace_back();
      member.step = 100 + static_cast<int64_t>(k);
      member.dropout = Dropout::For(40 + k, member.step, dropout);
    }
    std::vector<const MemberBatch*> stacked;
    for (const MemberBatch& batch : batches_) stacked.push_back(&batch);
    LayOut(stacked, kHeads, rows, block_.data());
    pack_ = {members, WeightCount(), BatchAt(block_.data(), members, rows), members_.data()};
  }
  PackBench(const PackBench&) = delete;
  PackBench& operator=(const PackBench&) = delete;

  const DevicePack& pack() const { return pack_; }
  int64_t members() const { return static_cast<int64_t>(batches_.size()); }
  int64_t rows() const { return pack_.batch.rows; }
  const MemberBatch& batch(int64_t k) const { return batches_[k]; }
  const DeviceMember& member(int64_t k) const { return members_[k]; }
  Rows RowsOf(int64_t k) const {
    const MemberBatch& batch = batches_[k];
    return {batch.sequences.data(), static_cast<int64_t>(batch.sequences.size()), batch.rows()};
  }
  int64_t WeightCount() const {
    int64_t count = 0;
    for (int64_t k = 0; k < members(); ++k)
      count = std::max(count, AttentionWeightCount(RowsOf(k), kHeads));
    return count;
  }

 private:
  std::vector<MemberBatch> batches_;
  std::vector<int64_t> block_;
  std::vector<DeviceMember> members_;
  DevicePack pack_;
};

// Numbers in [-1, 1). A member's numbers do not depend on its pack.
template <typename T>
std::vector<T> MemberNoise(int64_t members, int64_t count, uint32_t salt) {
  std::vector<T> values;
  for (int64_t k = 0; k < members; ++k) {
    PhiloxStream random({5, 6}, salt, static_cast<uint32_t>(k));
    for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<T>(random.Uniform() * 2 - 1));
  }
  return values;
}

}  // namespace coppice::trainer

#endif  // COPPICE_TESTS_WORKER_TRAINER_STACKED_PACK_BENCH_H_
