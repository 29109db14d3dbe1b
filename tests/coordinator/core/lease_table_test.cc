#include "coordinator/core/lease_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/testing/fake_clock.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

LeaseEntry Entry(JobId job, AttemptNumber attempt, const std::string& worker, double work = 2) {
  LeaseEntry entry;
  entry.ref = {job, attempt};
  entry.sweep_id = 1;
  entry.group_id = 7;
  entry.worker = worker;
  entry.work_per_step = work;
  return entry;
}

TEST(LeaseTable, ALeaseIsDueAfterItsTermAndNotBefore) {
  LeaseTable leases(absl::Seconds(60));
  leases.Add(Entry(1, 1, "a"), absl::Seconds(10));
  EXPECT_EQ(leases.NextDeadline(), absl::Seconds(70));
  EXPECT_THAT(leases.Due(absl::Seconds(69), 10), IsEmpty());
  EXPECT_THAT(leases.Due(absl::Seconds(70), 10), ElementsAre(LeaseRef{1, 1}));
}

TEST(LeaseTable, RenewalStartsATermAndForgetsMisses) {
  LeaseTable leases(absl::Seconds(60));
  leases.Add(Entry(1, 1, "a"), absl::ZeroDuration());
  EXPECT_EQ(leases.Miss({1, 1}), 1);
  EXPECT_TRUE(leases.Renew({{1, 1}, 30, 4.0, 0}, "a", absl::Seconds(50)));
  EXPECT_THAT(leases.Due(absl::Seconds(109), 10), IsEmpty());
  EXPECT_EQ(leases.Miss({1, 1}), 1);
}

TEST(LeaseTable, OnlyTheHolderOfTheAttemptRenews) {
  LeaseTable leases(absl::Seconds(60));
  leases.Add(Entry(1, 2, "a"), absl::ZeroDuration());
  EXPECT_FALSE(leases.Renew({{1, 1}, 0, 0, 0}, "a", absl::Seconds(1)));
  EXPECT_FALSE(leases.Renew({{1, 2}, 0, 0, 0}, "b", absl::Seconds(1)));
  EXPECT_FALSE(leases.Renew({{9, 2}, 0, 0, 0}, "a", absl::Seconds(1)));
  EXPECT_EQ(leases.NextDeadline(), absl::Seconds(60));
}

TEST(LeaseTable, RemovingAnOldAttemptLeavesTheNewLease) {
  LeaseTable leases(absl::Seconds(60));
  leases.Add(Entry(1, 2, "a"), absl::ZeroDuration());
  leases.Remove({1, 1}, absl::Seconds(1));
  EXPECT_TRUE(leases.Find(1).has_value());
  leases.Remove({1, 2}, absl::Seconds(1));
  EXPECT_FALSE(leases.Find(1).has_value());
  EXPECT_EQ(leases.NextDeadline(), std::nullopt);
  EXPECT_THAT(leases.OfWorker("a"), IsEmpty());
}

TEST(LeaseTable, LiveFiguresAddWhatIsNotReportedYet) {
  LeaseTable leases(absl::Seconds(60));
  leases.Add(Entry(1, 1, "a"), absl::ZeroDuration());
  leases.Add(Entry(2, 1, "b"), absl::ZeroDuration());
  leases.SetStoredStep({1, 1}, 10);
  leases.Renew({{1, 1}, 15, 3.0, 0}, "a", absl::ZeroDuration());
  leases.Renew({{2, 1}, 4, std::numeric_limits<double>::infinity(), 0}, "b", absl::ZeroDuration());
  const LiveStats live = leases.Live(1);
  EXPECT_EQ(live.extra_steps.at(7), 5u + 4u);
  EXPECT_DOUBLE_EQ(live.extra_work, 18);
  EXPECT_DOUBLE_EQ(live.steps_per_second, 3);  // a rate that is not a number counts as zero
  EXPECT_DOUBLE_EQ(live.work_per_second, 6);
  EXPECT_EQ(live.workers, 2u);
  EXPECT_EQ(leases.Live(2).workers, 0u);
}

TEST(LeaseTable, ARateFallsWithTheSilenceOfItsTrainerAndOneThatTrainsKeepsIts) {
  coppice::testing::FakeClock clock;
  LeaseTable leases(absl::Seconds(60), &clock);
  const absl::Duration start = clock.Monotonic();
  leases.Add(Entry(1, 1, "a"), start);
  leases.Add(Entry(2, 1, "a"), start);
  HeldLease hangs{{1, 1}, 15, 602, 0};
  hangs.stall_ms = 600'000;
  HeldLease trains{{2, 1}, 15, 8, 0};
  trains.stall_ms = 600'000;
  leases.Renew(hangs, "a", start);
  leases.Renew(trains, "a", start);
  EXPECT_DOUBLE_EQ(leases.Live(1).steps_per_second, 610);
  EXPECT_EQ(leases.Live(1).silent, 0u);

  clock.Advance(absl::Seconds(100));
  hangs.silent_ms = 100'000;
  hangs.steps_per_second = 602 * 2 / 100.0;  // the worker's current report
  leases.Renew(hangs, "a", clock.Monotonic());
  leases.Renew(trains, "a", clock.Monotonic());
  LiveStats live = leases.Live(1);
  EXPECT_EQ(live.silent, 1u);
  EXPECT_EQ(live.longest_silence, absl::Seconds(100));
  EXPECT_NEAR(live.steps_per_second, 8 + 12.04, 1e-9);
  EXPECT_NEAR(live.work_per_second, 2 * (8 + 12.04), 1e-9);

  // With its worker silent too, the rate goes on falling.
  clock.Advance(absl::Seconds(100));
  leases.Renew(trains, "a", clock.Monotonic());
  live = leases.Live(1);
  EXPECT_NEAR(live.steps_per_second, 8 + 6.02, 1e-9);
  EXPECT_NEAR(leases.RateOf(*leases.Find(1)), 6.02, 1e-9);
  EXPECT_EQ(leases.SilenceOf(*leases.Find(1)), absl::Seconds(200));

  leases.Remove({1, 1}, clock.Monotonic());
  EXPECT_EQ(leases.Live(1).silent, 0u);
  EXPECT_DOUBLE_EQ(leases.Live(1).steps_per_second, 8);
}

TEST(LeaseTable, WhereNoTrainerRunsThereIsNoSilence) {
  coppice::testing::FakeClock clock;
  LeaseTable leases(absl::Seconds(60), &clock);
  leases.Add(Entry(1, 1, "a"), clock.Monotonic());
  clock.Advance(absl::Minutes(5));
  EXPECT_EQ(leases.Live(1).silent, 0u);
  leases.Renew({{1, 1}, 0, 0, 0}, "a", clock.Monotonic());  // measured, or its reports wait
  clock.Advance(absl::Minutes(5));
  EXPECT_EQ(leases.Live(1).silent, 0u);
  EXPECT_EQ(leases.SilenceOf(*leases.Find(1)), absl::ZeroDuration());
}

}  // namespace
}  // namespace coppice::core
