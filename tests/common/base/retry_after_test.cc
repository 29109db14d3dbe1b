#include "common/base/retry_after.h"

#include <gtest/gtest.h>

#include "absl/strings/cord.h"

namespace coppice {
namespace {

TEST(RetryAfter, IsCarriedByTheStatusAndChangesNothingElseOfIt) {
  const absl::Status full = absl::ResourceExhaustedError("full");
  EXPECT_EQ(RetryAfter(full), absl::ZeroDuration());
  const absl::Status later = WithRetryAfter(full, absl::Milliseconds(1500));
  EXPECT_EQ(RetryAfter(later), absl::Milliseconds(1500));
  EXPECT_EQ(later.code(), full.code());
  EXPECT_EQ(later.message(), full.message());
  EXPECT_EQ(RetryAfter(absl::OkStatus()), absl::ZeroDuration());
}

TEST(RetryAfter, IsNeitherNegativeNorEndless) {
  const absl::Status full = absl::ResourceExhaustedError("full");
  EXPECT_EQ(RetryAfter(WithRetryAfter(full, absl::InfiniteDuration())), kLongestRetryAfter);
  EXPECT_EQ(RetryAfter(WithRetryAfter(full, -absl::Seconds(1))), absl::ZeroDuration());
}

TEST(RetryAfter, WhatIsNoNumberAsksForNothing) {
  for (const char* text : {"", "soon", "1.5", "99999999999999999999"}) {
    absl::Status status = absl::ResourceExhaustedError("full");
    status.SetPayload("coppice/retry-after-ms", absl::Cord(text));
    EXPECT_EQ(RetryAfter(status), absl::ZeroDuration()) << text;
  }
}

}  // namespace
}  // namespace coppice
