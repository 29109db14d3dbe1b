#include "worker/trainer/tasks/random.h"

#include <gtest/gtest.h>

#include <vector>

namespace coppice::trainer {
namespace {

// The published known-answer vector of Philox4x32-10 for key and counter zero.
TEST(Random, IsPhilox) {
  Random zero(0, 0);
  const std::vector<uint32_t> expected = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  for (const uint32_t value : expected) EXPECT_EQ(zero.Next(), value);
}

TEST(Random, StreamsAndSeedsDiffer) {
  EXPECT_EQ(Random(7, 1).Next(), Random(7, 1).Next());
  EXPECT_NE(Random(7, 1).Next(), Random(7, 2).Next());
  EXPECT_NE(Random(7, 1).Next(), Random(8, 1).Next());
  EXPECT_NE(Random(7, 1).Next(), Random(7 + (uint64_t{1} << 32), 1).Next());
}

TEST(Random, BelowIsUniform) {
  Random random(3, 0);
  std::vector<int> counts(13, 0);
  for (int i = 0; i < 130000; ++i) ++counts.at(random.Below(13));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random.Below(1), 0u);
  // Three quarters of the range: without rejection a plain product would favor every third value.
  const uint32_t n = 3u << 30;
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += random.Below(n) % 3 == 0;
  EXPECT_NEAR(low, 10000, 500);
}

TEST(Random, CoinIsFair) {
  Random random(4, 0);
  int heads = 0, changes = 0;
  bool last = false;
  for (int i = 0; i < 100000; ++i) {
    const bool coin = random.Coin();
    heads += coin;
    changes += coin != last;
    last = coin;
  }
  EXPECT_NEAR(heads, 50000, 1000);
  EXPECT_NEAR(changes, 50000, 1000);
}

}  // namespace
}  // namespace coppice::trainer
