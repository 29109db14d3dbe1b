#include "common/base/backoff.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace coppice {
namespace {

TEST(Backoff, StaysWithinItsBoundsForEveryAttempt) {
  const absl::Duration initial = absl::Milliseconds(100), maximum = absl::Seconds(5);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Backoff backoff(initial, maximum, seed);
    absl::Duration ceiling = initial;
    for (int attempt = 0; attempt < 100; ++attempt) {
      const absl::Duration delay = backoff.Next();
      EXPECT_GE(delay, initial / 2) << "seed " << seed << " attempt " << attempt;
      EXPECT_LE(delay, ceiling) << "seed " << seed << " attempt " << attempt;
      ceiling = std::min(maximum, ceiling * 2);
    }
    EXPECT_EQ(backoff.attempt(), 100);
  }
}

TEST(Backoff, SpreadsClientsThatFailedTogether) {
  absl::Duration least = absl::InfiniteDuration(), most = absl::ZeroDuration();
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Backoff backoff(absl::Milliseconds(100), absl::Minutes(1), seed);
    for (int attempt = 0; attempt < 6; ++attempt) backoff.Next();
    const absl::Duration delay = backoff.Next();
    least = std::min(least, delay);
    most = std::max(most, delay);
  }
  EXPECT_GT(most - least, absl::Seconds(2)) << "of at most 6.4 s";
}

TEST(Backoff, StartsOverAfterReset) {
  Backoff backoff(absl::Milliseconds(10), absl::Minutes(1), 1);
  for (int attempt = 0; attempt < 10; ++attempt) backoff.Next();
  backoff.Reset();
  EXPECT_LE(backoff.Next(), absl::Milliseconds(10));
}

}  // namespace
}  // namespace coppice
