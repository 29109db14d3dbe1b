// Predicts the end of a sweep from the measured pace of its jobs.
#include "coordinator/core/eta.h"

#include <gtest/gtest.h>

namespace coppice::core {
namespace {

constexpr SweepId kSweep = 1;
constexpr uint32_t kSteps = 1'000;

GroupRow Group(GroupId id, uint64_t jobs, double work_per_step) {
  GroupRow group;
  group.id = id;
  group.sweep_id = kSweep;
  group.jobs = jobs;
  group.spec.steps = kSteps;
  group.spec.work_per_step = work_per_step;
  group.counts.pending = jobs;
  return group;
}

class EtaTest : public ::testing::Test {
 protected:
  void Begin(JobId job, GroupRow* group, absl::Duration now, uint32_t step = 0) {
    LeaseEntry entry;
    entry.ref = {job, 1};
    entry.sweep_id = kSweep;
    entry.group_id = group->id;
    entry.worker = "w";
    entry.stored_step = step;
    entry.work_per_step = group->spec.work_per_step;
    leases_.Add(entry, now);
    --group->counts.pending;
    ++group->counts.running;
  }
  void Reported(JobId job, uint32_t step, double rate, absl::Duration now) {
    ASSERT_TRUE(leases_.Renew({{job, 1}, step, rate, 0}, "w", now));
  }
  void End(JobId job, GroupRow* group, absl::Duration now) {
    leases_.SetStoredStep({job, 1}, kSteps);
    leases_.Remove({job, 1}, now);
    --group->counts.running;
    ++group->counts.succeeded;
  }
  double Eta(const std::vector<GroupRow>& groups) {
    return EtaSeconds(groups, leases_.Live(kSweep));
  }

  LeaseTable leases_{absl::Seconds(60)};
};

TEST_F(EtaTest, NothingLeftIsZeroAndNothingKnownIsUnknown) {
  GroupRow group = Group(1, 2, 10);
  EXPECT_EQ(Eta({group}), -1) << "nothing runs";
  Begin(1, &group, absl::ZeroDuration());
  EXPECT_EQ(Eta({group}), -1) << "nothing was reported yet";
  group.counts = {};
  group.counts.succeeded = 2;
  EXPECT_EQ(Eta({group}), 0);
}

TEST_F(EtaTest, JobsThatHaveJustBegunCountAsTheOthersDid) {
  // Two jobs run at once. Each of ten jobs takes 100 s: 10 steps a second.
  GroupRow group = Group(1, 10, 10);
  Begin(1, &group, absl::ZeroDuration());
  Begin(2, &group, absl::ZeroDuration());
  Reported(1, 500, 10, absl::Seconds(50));
  Reported(2, 500, 10, absl::Seconds(50));
  EXPECT_NEAR(Eta({group}), (8 * 100 + 2 * 50) / 2.0, 1e-6);
  // Both have ended and two others have begun. These have reported nothing, so no current rate is
  // known.
  End(1, &group, absl::Seconds(100));
  End(2, &group, absl::Seconds(100));
  Begin(3, &group, absl::Seconds(100));
  Begin(4, &group, absl::Seconds(100));
  EXPECT_EQ(leases_.Live(kSweep).work_per_second, 0);
  EXPECT_NEAR(Eta({group}), 8 * 100 / 2.0, 1e-6);
}

TEST_F(EtaTest, WhatATrainerDoesBesideStepsIsInItsPace) {
  // The trainer reports 10 steps a second while it trains, but evaluates half of the time.
  GroupRow group = Group(1, 1, 10);
  Begin(1, &group, absl::ZeroDuration());
  Reported(1, 500, 10, absl::Seconds(100));
  EXPECT_NEAR(Eta({group}), 100, 1e-6);
}

TEST_F(EtaTest, AGroupThatWasMeasuredHasItsOwnPaceAndAnotherTheWork) {
  GroupRow shallow = Group(1, 2, 10);
  GroupRow deep = Group(2, 1, 40);
  Begin(1, &shallow, absl::ZeroDuration());
  End(1, &shallow, absl::Seconds(100));  // 10 steps a second, 100 of work
  Begin(2, &shallow, absl::Seconds(100));
  // Nothing of the deep group was measured: four times the work takes four times as long.
  EXPECT_NEAR(Eta({shallow, deep}), 100 + 400, 1e-6);
  // Now it is measured, and is faster than its work suggests.
  End(2, &shallow, absl::Seconds(200));
  Begin(3, &deep, absl::Seconds(200));
  Reported(3, 500, 5, absl::Seconds(300));
  EXPECT_NEAR(Eta({shallow, deep}), 100, 1e-6);
}

TEST_F(EtaTest, NoShorterThanOneJob) {
  GroupRow group = Group(1, 4, 10);
  for (JobId job = 1; job <= 4; ++job) Begin(job, &group, absl::ZeroDuration());
  GroupRow slow = Group(2, 1, 100);
  for (JobId job = 1; job <= 4; ++job) Reported(job, 900, 9, absl::Seconds(100));
  // 4 x 11 s, and one job of 1,111 s that more slots cannot shorten.
  EXPECT_NEAR(Eta({group, slow}), 1000.0 / 9 * 10, 1e-6);
}

TEST_F(EtaTest, AStepThatWasMadeBeforeTheAttemptIsNotItsPace) {
  GroupRow group = Group(1, 1, 10);
  Begin(1, &group, absl::ZeroDuration(), 800);
  group.open_steps = 800;
  Reported(1, 900, 10, absl::Seconds(100));  // 1 step a second
  EXPECT_NEAR(Eta({group}), 100, 1e-6);
}

TEST_F(EtaTest, BeforeAnythingWasMeasuredTheReportedRatesCount) {
  GroupRow group = Group(1, 1, 10);
  Begin(1, &group, absl::Seconds(5));
  Reported(1, 0, 20, absl::Seconds(6));
  EXPECT_NEAR(Eta({group}), 50, 1e-6);
}

TEST_F(EtaTest, ACoordinatorThatStartsAnewRecallsThePace) {
  GroupRow group = Group(1, 3, 10);
  group.counts.pending = 2;
  group.counts.succeeded = 1;
  leases_.Recall(kSweep, 1, {kSteps, 100});
  Begin(2, &group, absl::ZeroDuration());
  EXPECT_NEAR(Eta({group}), 200, 1e-6);
}

TEST_F(EtaTest, ManyLeasesLeaveNoRestBehind) {
  GroupRow group = Group(1, 1'000, 10);
  for (JobId job = 1; job <= 500; ++job) {
    Begin(job, &group, absl::Seconds(job));
    Reported(job, 100, 3, absl::Seconds(job) + absl::Milliseconds(333 * (job % 7 + 1)));
  }
  for (JobId job = 1; job <= 499; ++job) leases_.Remove({job, 1}, absl::Seconds(1'000));
  const LiveStats live = leases_.Live(kSweep);
  EXPECT_EQ(live.leases, 1u);
  EXPECT_GT(live.pace.at(1).seconds, 0);
  leases_.Remove({500, 1}, absl::Seconds(1'000));
  EXPECT_EQ(leases_.Live(kSweep).leases, 0u);
}

}  // namespace
}  // namespace coppice::core
