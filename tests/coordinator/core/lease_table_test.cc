#include "coordinator/core/lease_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

LeaseEntry Entry(JobId job, Epoch epoch, const std::string& worker, double work = 2) {
  LeaseEntry entry;
  entry.ref = {job, epoch};
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

TEST(LeaseTable, OnlyTheHolderOfTheEpochRenews) {
  LeaseTable leases(absl::Seconds(60));
  leases.Add(Entry(1, 2, "a"), absl::ZeroDuration());
  EXPECT_FALSE(leases.Renew({{1, 1}, 0, 0, 0}, "a", absl::Seconds(1)));
  EXPECT_FALSE(leases.Renew({{1, 2}, 0, 0, 0}, "b", absl::Seconds(1)));
  EXPECT_FALSE(leases.Renew({{9, 2}, 0, 0, 0}, "a", absl::Seconds(1)));
  EXPECT_EQ(leases.NextDeadline(), absl::Seconds(60));
}

TEST(LeaseTable, RemovingAnOldEpochLeavesTheNewLease) {
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
  EXPECT_DOUBLE_EQ(live.steps_per_second, 3);  // a rate that is no number counts nothing
  EXPECT_DOUBLE_EQ(live.work_per_second, 6);
  EXPECT_EQ(live.workers, 2u);
  EXPECT_EQ(leases.Live(2).workers, 0u);
}

}  // namespace
}  // namespace coppice::core
