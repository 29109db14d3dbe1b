#include "bench/trainer/race.h"

#include "gtest/gtest.h"

namespace coppice::bench {
namespace {

TEST(RaceTest, TheMedianIsTheMiddleValueOrTheMeanOfBoth) {
  EXPECT_EQ(Median({}), 0);
  EXPECT_EQ(Median({3}), 3);
  EXPECT_EQ(Median({9, 1, 2}), 2);
  EXPECT_EQ(Median({9, 1, 2, 4}), 3);
}

}  // namespace
}  // namespace coppice::bench
