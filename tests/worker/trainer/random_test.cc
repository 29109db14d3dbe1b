#include "worker/trainer/base/random.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "worker/trainer/model/dropout.h"
#include "worker/trainer/model/parameters.h"
#include "worker/trainer/train/permutation.h"
#include "worker/trainer/train/schedule.h"

namespace coppice::trainer {
namespace {

TEST(RandomTest, PhiloxGivesThePublishedNumbers) {
  // Known-answer vectors of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (2011),
  // philox4x32 10.
  const std::array<uint32_t, 4> zeros = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  EXPECT_EQ(Philox({0, 0}, {0, 0, 0, 0}), zeros);
  const std::array<uint32_t, 4> ones = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  EXPECT_EQ(Philox({~0u, ~0u}, {~0u, ~0u, ~0u, ~0u}), ones);
}

TEST(RandomTest, KeysDifferBySeedAndRole) {
  std::set<std::pair<uint32_t, uint32_t>> keys;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    for (const RandomRole role : {RandomRole::kInit, RandomRole::kOrder, RandomRole::kDropout}) {
      const PhiloxKey key = MakePhiloxKey(seed, role);
      keys.insert({key.low, key.high});
    }
  }
  EXPECT_EQ(keys.size(), 3000u);
}

TEST(RandomTest, BelowIsUniform) {
  PhiloxStream random(MakePhiloxKey(1, RandomRole::kOrder), 2, 3);
  std::vector<int> counts(7);
  for (int i = 0; i < 70000; ++i) ++counts[random.Below(7)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
}

TEST(PermutationTest, IsAPermutationAndAFunctionOfSeedAndEpoch) {
  const std::vector<int32_t> order = EpochPermutation(5, 2, 1000);
  std::vector<int32_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (int32_t i = 0; i < 1000; ++i) ASSERT_EQ(sorted[i], i);
  EXPECT_EQ(order, EpochPermutation(5, 2, 1000));
  EXPECT_NE(order, EpochPermutation(5, 3, 1000));
  EXPECT_NE(order, EpochPermutation(6, 2, 1000));
}

TEST(PermutationTest, AStepReadsTheSameBatchInWhateverOrderStepsAreAsked) {
  BatchOrder forward(1, 103, 10), backward(1, 103, 10);
  std::vector<std::vector<int32_t>> seen;
  for (int64_t step = 0; step < 25; ++step) {
    const int32_t* batch = forward.Batch(step);
    seen.emplace_back(batch, batch + 10);
  }
  for (int64_t step = 24; step >= 0; --step) {
    const int32_t* batch = backward.Batch(step);
    EXPECT_EQ(seen[step], std::vector<int32_t>(batch, batch + 10)) << step;
  }
}

TEST(PermutationTest, AnEpochReadsNoExampleTwice) {
  BatchOrder order(1, 103, 10);
  std::set<int32_t> seen;
  for (int64_t step = 0; step < 10; ++step) seen.insert(order.Batch(step), order.Batch(step) + 10);
  EXPECT_EQ(seen.size(), 100u);
}

TEST(ScheduleTest, RisesFromZeroPeaksAndFallsToZero) {
  TrainConfig train;
  train.learning_rate = 2.0;
  train.warmup_steps = 10;
  train.lr_decay_steps = 110;
  EXPECT_EQ(LearningRate(train, 0), 0.0);
  EXPECT_DOUBLE_EQ(LearningRate(train, 5), 1.0);
  EXPECT_DOUBLE_EQ(LearningRate(train, 10), 2.0);
  EXPECT_DOUBLE_EQ(LearningRate(train, 60), 1.0);
  EXPECT_EQ(LearningRate(train, 110), 0.0);
  EXPECT_EQ(LearningRate(train, 5000), 0.0);
  train.warmup_steps = 0;
  EXPECT_EQ(LearningRate(train, 0), 2.0);
}

TEST(InitializationTest, FillsEachMatrixWithinItsBoundAndLeavesGapsZero) {
  const ParameterLayout layout(
      {/*vocabulary=*/13, /*d_model=*/6, /*heads=*/3, /*d_ff=*/10, /*depth=*/2});
  std::vector<float> row(layout.row_size(), 7.0f), again(layout.row_size()),
      other(layout.row_size());
  InitializeParameters(layout, 3, row.data());
  InitializeParameters(layout, 3, again.data());
  InitializeParameters(layout, 4, other.data());
  EXPECT_EQ(row, again);
  EXPECT_NE(row, other);
  std::vector<bool> covered(layout.row_size(), false);
  int64_t count = 0;
  for (const Parameter& parameter : layout.parameters()) {
    float largest = 0;
    for (int64_t i = 0; i < parameter.count(); ++i) {
      ASSERT_FALSE(covered[parameter.offset + i]) << parameter.name << " overlaps another";
      covered[parameter.offset + i] = true;
      largest = std::max(largest, std::abs(row[parameter.offset + i]));
      ++count;
    }
    if (parameter.name.find("linear1.weight") != std::string::npos) {
      const float bound = std::sqrt(2.0f) * std::sqrt(6.0f / 16.0f);
      EXPECT_LE(largest, bound);
      EXPECT_GT(largest, 0.8f * bound);
    }
  }
  EXPECT_EQ(count, layout.parameter_count());
  for (int64_t i = 0; i < layout.row_size(); ++i) {
    if (!covered[i]) {
      EXPECT_EQ(row[i], 0.0f) << "gap " << i;
    }
  }
}

}  // namespace
}  // namespace coppice::trainer
