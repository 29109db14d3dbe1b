#include "worker/trainer/stacked/batch_feed.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "worker/trainer/stacked/device_batch.h"
#include "worker/trainer/train/permutation.h"
#include "worker/trainer/train/training_batch.h"

namespace coppice::trainer {

int64_t LargestBatchRows(const Dataset& dataset, int64_t batch_size) {
  std::vector<int64_t> rows;
  for (const Example& example : dataset.train.examples)
    rows.push_back(static_cast<int64_t>(example.tokens.size()) + 1);
  batch_size = std::min(batch_size, static_cast<int64_t>(rows.size()));
  std::partial_sort(rows.begin(), rows.begin() + batch_size, rows.end(), std::greater<>());
  int64_t sum = 0;
  for (int64_t i = 0; i < batch_size; ++i) sum += rows[i];
  return sum;
}

int64_t LongestTrainingSequence(const Dataset& dataset) { return LargestBatchRows(dataset, 1); }

BatchFeed::BatchFeed(const Dataset* dataset, const RunConfig& run,
                     const std::vector<FeedMember>& members, std::vector<void*> slots)
    : dataset_(dataset), run_(run), members_(members), slots_(std::move(slots)) {
  for (size_t slot = 0; slot < slots_.size(); ++slot) free_.push_back(slot);
  thread_ = std::thread([this] { Fill(); });
}

BatchFeed::~BatchFeed() {
  {
    absl::MutexLock lock(&mutex_);
    ended_ = true;
  }
  thread_.join();
}

BatchFeed::Filled BatchFeed::Next() {
  const auto some = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !filled_.empty(); };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&some));
  const Filled next = filled_.front();
  filled_.pop_front();
  return next;
}

void BatchFeed::Release(size_t slot) {
  absl::MutexLock lock(&mutex_);
  free_.push_back(slot);
}

std::optional<size_t> BatchFeed::TakeFree() {
  const auto some = [this]()
                        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ended_ || !free_.empty(); };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&some));
  if (ended_) return std::nullopt;
  const size_t slot = free_.front();
  free_.pop_front();
  return slot;
}

void BatchFeed::Fill() {
  std::vector<BatchOrder> orders;
  for (const FeedMember& member : members_) {
    orders.emplace_back(member.seed, static_cast<int32_t>(dataset_->train.examples.size()),
                        static_cast<int32_t>(run_.train.batch_size));
  }
  std::vector<MemberBatch> batches(members_.size());
  std::vector<const MemberBatch*> pointers;
  for (const MemberBatch& batch : batches) pointers.push_back(&batch);
  for (int64_t i = 0;; ++i) {
    const std::optional<size_t> slot = TakeFree();
    if (!slot.has_value()) return;
    int64_t rows = 0;
    for (size_t k = 0; k < members_.size(); ++k) {
      const int64_t step = members_[k].step + i;
      batches[k].Clear();
      if (step < run_.train.steps) {
        FillBatch(*dataset_, orders[k].Batch(step), run_.train.batch_size, &batches[k]);
      }
      rows = std::max(rows, batches[k].rows());
    }
    const int64_t bucket = BucketRows(rows);
    LayOut(pointers, run_.model.heads, bucket, slots_[*slot]);
    absl::MutexLock lock(&mutex_);
    filled_.push_back({*slot, bucket});
  }
}

}  // namespace coppice::trainer
