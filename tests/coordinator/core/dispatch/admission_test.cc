#include "coordinator/core/dispatch/admission.h"

#include <gtest/gtest.h>

namespace coppice::core {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(10);
constexpr absl::Duration kOnTime = absl::Milliseconds(50);
constexpr absl::Duration kLate = absl::Seconds(3);

void Note(Admission& admission, absl::Duration late_by, int times) {
  for (int i = 0; i < times; ++i) admission.NoteHeartbeat(late_by);
}

TEST(Admission, HasNoLimitWhileMostHeartbeatsComeInTime) {
  Admission admission(kInterval);
  EXPECT_EQ(admission.Room(absl::ZeroDuration(), 0, 0), Admission::kNoLimit);
  // A few workers were away, for any length of time.
  for (int round = 0; round < 100; ++round) {
    Note(admission, kOnTime, 3);
    Note(admission, absl::Hours(1), 1);
  }
  EXPECT_FALSE(admission.behind());
  EXPECT_EQ(admission.Room(absl::Seconds(60), 1000, 0), Admission::kNoLimit);
}

TEST(Admission, LetsHalfAsManyLeasesBeginAsEndWhileMostHeartbeatsAreLate) {
  Admission admission(kInterval);
  Note(admission, kLate, 100);
  ASSERT_TRUE(admission.behind());
  const absl::Duration start = absl::Seconds(1000);
  EXPECT_EQ(admission.Room(start, 5000, 4000), 0u) << "what was before counts for nothing";
  EXPECT_EQ(admission.Room(start, 5000, 4100), 50u);
  EXPECT_EQ(admission.Room(start, 5030, 4100), 20u);
  EXPECT_EQ(admission.Room(start, 5090, 4100), 0u) << "a pack may go past it";
  EXPECT_EQ(admission.Room(start, 5090, 4200), 10u);
}

// Long jobs end rarely, but idle slots must be filled meanwhile.
TEST(Admission, LetsSomeLeasesBeginAsTimeGoes) {
  Admission admission(kInterval);
  Note(admission, kLate, 100);
  const absl::Duration start = absl::Seconds(1000);
  EXPECT_EQ(admission.Room(start, 0, 0), 0u);
  EXPECT_EQ(admission.Room(start + absl::Seconds(2), 0, 0), 2 * Admission::kFewestPerSecond);
  EXPECT_EQ(admission.Room(start + absl::Seconds(2), 500, 0),
            2 * Admission::kFewestPerSecond - 500);
}

TEST(Admission, HasNoLimitAgainWhenHeartbeatsComeInTimeAgainAndStartsAnewNextTime) {
  Admission admission(kInterval);
  Note(admission, kLate, 100);
  EXPECT_EQ(admission.Room(absl::Seconds(1), 0, 0), 0u);
  Note(admission, kOnTime, 40);
  EXPECT_FALSE(admission.behind());
  EXPECT_EQ(admission.Room(absl::Seconds(100), 0, 0), Admission::kNoLimit);
  Note(admission, kLate, 40);
  EXPECT_EQ(admission.Room(absl::Seconds(200), 7000, 7000), 0u);
}

TEST(Admission, TakesASecondOfDelayForLateAlsoAtShortIntervals) {
  Admission admission(absl::Milliseconds(100));
  Note(admission, absl::Milliseconds(900), 100);
  EXPECT_FALSE(admission.behind());
  Note(admission, absl::Milliseconds(1200), 100);
  EXPECT_TRUE(admission.behind());
}

}  // namespace
}  // namespace coppice::core
