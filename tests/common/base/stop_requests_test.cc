#include "common/base/stop_requests.h"

#include <gtest/gtest.h>

namespace coppice {
namespace {

using Meaning = StopRequests::Meaning;

TEST(StopRequestsTest, OneRequestDeliveredSeveralTimesIsOne) {
  StopRequests requests;
  const absl::Duration start = absl::Hours(1);
  EXPECT_FALSE(requests.stopping());
  EXPECT_EQ(requests.OnSignal(start), Meaning::kStop);
  EXPECT_TRUE(requests.stopping());
  EXPECT_EQ(requests.OnSignal(start), Meaning::kSameAgain);
  EXPECT_EQ(requests.OnSignal(start + absl::Milliseconds(1999)), Meaning::kSameAgain);
  EXPECT_FALSE(requests.leaving());
}

TEST(StopRequestsTest, ALaterSignalMeansItAndTheOneAfterItWaitsForNothing) {
  StopRequests requests;
  EXPECT_EQ(requests.OnSignal(absl::ZeroDuration()), Meaning::kStop);
  EXPECT_FALSE(requests.leaving());
  EXPECT_EQ(requests.OnSignal(absl::Seconds(2)), Meaning::kLeave);
  EXPECT_TRUE(requests.leaving());
  EXPECT_EQ(requests.OnSignal(absl::Seconds(3)), Meaning::kSameAgain)
      << "the second request is delivered several times as well";
  EXPECT_EQ(requests.OnSignal(absl::Seconds(4)), Meaning::kEndNow);
}

}  // namespace
}  // namespace coppice
