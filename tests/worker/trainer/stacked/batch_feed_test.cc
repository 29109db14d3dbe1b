#include "worker/trainer/stacked/batch_feed.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "worker/trainer/stacked/device_batch.h"
#include "worker/trainer/tasks/dataset.h"
#include "worker/trainer/train/permutation.h"
#include "worker/trainer/train/training_batch.h"

namespace coppice::trainer {
namespace {

const Dataset& Sentences() {
  static const Dataset* const dataset = [] {
    DatasetOptions options;
    options.task = Task::kQuestion;
    options.train = 60;
    options.val = options.test = options.gen = 1;
    return new Dataset(*MakeDataset(options));
  }();
  return *dataset;
}

RunConfig SomeRun() {
  RunConfig run;
  run.model.heads = 2;
  run.train.batch_size = 4;
  run.train.steps = 40;  // more than one epoch
  return run;
}

TEST(CudaBucketTest, HoldsItsRowsAndIsEmptyByAnEighthAtMost) {
  for (int64_t rows = 1; rows < 5000; ++rows) {
    const int64_t bucket = BucketRows(rows);
    ASSERT_GE(bucket, rows);
    ASSERT_LT(bucket - rows, std::max<int64_t>(32, rows / 8 + 1)) << rows;
    ASSERT_EQ(BucketRows(bucket), bucket) << "a bucket is its own";
    ASSERT_LE(BucketRows(rows - 1), bucket);
  }
  EXPECT_GT(BucketRows(0), 0) << "a step of members that have all ended has a shape too";
}

TEST(CudaBatchFeedTest, TheLargestBatchIsThatOfTheLongestSentences) {
  std::vector<int64_t> rows;
  for (const Example& example : Sentences().train.examples)
    rows.push_back(static_cast<int64_t>(example.tokens.size()) + 1);
  std::sort(rows.rbegin(), rows.rend());
  EXPECT_EQ(LargestBatchRows(Sentences(), 4), rows[0] + rows[1] + rows[2] + rows[3]);
  EXPECT_EQ(LongestTrainingSequence(Sentences()), rows[0]);
}

TEST(CudaBatchFeedTest, EachStepsBatchesAreThoseOfItsMembersStepsAndTheEndsAreEmpty) {
  const RunConfig run = SomeRun();
  const std::vector<FeedMember> members = {{7, 0}, {9, 3}, {7, 30}};
  const int64_t largest = BucketRows(LargestBatchRows(Sentences(), run.train.batch_size));
  constexpr size_t kSlots = 3;
  const size_t size = BatchBytes(3, largest);
  std::vector<std::vector<int64_t>> memory(kSlots, std::vector<int64_t>(size / 8 + 1));
  std::vector<void*> slots;
  for (auto& slot : memory) slots.push_back(slot.data());
  BatchFeed feed(&Sentences(), run, members, slots);
  std::vector<BatchOrder> orders;
  for (const FeedMember& member : members) orders.emplace_back(member.seed, 60, 4);
  std::vector<BatchFeed::Filled> held;
  for (int64_t i = 0; i < 41; ++i) {
    const BatchFeed::Filled filled = feed.Next();
    std::vector<MemberBatch> batches(3);
    std::vector<const MemberBatch*> pointers;
    int64_t rows = 0;
    for (int64_t k = 0; k < 3; ++k) {
      const int64_t step = members[k].step + i;
      if (step < run.train.steps) FillBatch(Sentences(), orders[k].Batch(step), 4, &batches[k]);
      rows = std::max(rows, batches[k].rows());
      pointers.push_back(&batches[k]);
    }
    ASSERT_EQ(filled.rows, BucketRows(rows)) << i;
    std::vector<int64_t> expected(size / 8 + 1);
    LayOut(pointers, run.model.heads, filled.rows, expected.data());
    ASSERT_EQ(std::memcmp(slots[filled.slot], expected.data(), BatchBytes(3, filled.rows)), 0) << i;
    const int64_t* const counts = BatchAt(slots[filled.slot], 3, filled.rows).row_counts;
    EXPECT_EQ(counts[0] == 0, i >= 40);
    EXPECT_EQ(counts[2] == 0, i >= 10);
    // Holds two at a time, like steps in flight.
    held.push_back(filled);
    if (held.size() == kSlots - 1) {
      EXPECT_NE(held[0].slot, held[1].slot);
      feed.Release(held[0].slot);
      held.erase(held.begin());
    }
  }
}

TEST(CudaBatchFeedTest, EndsWhileNobodyTakesWhatItHas) {
  std::vector<int64_t> memory(100000);
  BatchFeed feed(&Sentences(), SomeRun(), {{1, 0}}, {memory.data()});
}

}  // namespace
}  // namespace coppice::trainer
