#include "coordinator/core/dispatch/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Duration kNow = absl::ZeroDuration();

auto Always(size_t width) {
  return [width](GroupId) { return width; };
}

class SchedulerTest : public ::testing::Test {
 protected:
  void AddGroup(GroupId id, SweepId sweep, int32_t priority, double work, uint32_t steps = 100) {
    scheduler_.AddGroup({id, sweep, priority, work, steps});
  }
  void AddJobs(GroupId group, JobId first, JobId count, uint32_t step = 0) {
    for (JobId id = first; id < first + count; ++id) scheduler_.Add(group, id, step, kNow);
  }
  std::vector<JobId> Choose(uint32_t width, const absl::flat_hash_set<JobId>& taken = {},
                            uint64_t turn = 0) {
    const auto pick = scheduler_.Choose(Always(width), taken, turn);
    return pick.has_value() ? pick->jobs : std::vector<JobId>();
  }
  Scheduler scheduler_;
};

TEST_F(SchedulerTest, HigherPriorityComesBeforeMoreWork) {
  AddGroup(1, 1, 0, 1000);
  AddGroup(2, 2, 5, 1);
  AddJobs(1, 1, 1);
  AddJobs(2, 2, 1);
  EXPECT_THAT(Choose(1), ElementsAre(2));
}

TEST_F(SchedulerTest, LongestExpectedWorkComesFirst) {
  AddGroup(1, 1, 0, 1);
  AddGroup(2, 1, 0, 3);
  AddGroup(3, 1, 0, 2);
  for (JobId id = 1; id <= 3; ++id) AddJobs(id, id, 1);
  EXPECT_THAT(Choose(1), ElementsAre(2));
  EXPECT_THAT(Choose(1, {2}), ElementsAre(3));
  EXPECT_THAT(Choose(1, {2, 3}), ElementsAre(1));
  EXPECT_THAT(Choose(1, {1, 2, 3}), IsEmpty());
}

TEST_F(SchedulerTest, WorkAlreadyDoneCountsLess) {
  AddGroup(1, 1, 0, 3);
  AddGroup(2, 1, 0, 2);
  AddJobs(1, 1, 1, 90);  // 30 left
  AddJobs(2, 2, 1, 0);   // 200 left
  EXPECT_THAT(Choose(1), ElementsAre(2));
}

TEST_F(SchedulerTest, TakingAGroupsLongestJobMovesItBack) {
  AddGroup(1, 1, 0, 3);
  AddGroup(2, 1, 0, 2);
  AddJobs(1, 1, 1, 0);   // 300 left
  AddJobs(1, 2, 1, 90);  // 30 left
  AddJobs(2, 3, 1, 0);   // 200 left
  // At width 1 group 1 offers its most advanced job first. Once both its jobs are taken, group 2
  // follows.
  EXPECT_THAT(Choose(1), ElementsAre(2));
  EXPECT_THAT(Choose(1, {1}), ElementsAre(3));
}

TEST_F(SchedulerTest, APackHoldsOneGroupAtOneStep) {
  AddGroup(1, 1, 0, 1);
  AddGroup(2, 1, 0, 1);
  AddJobs(1, 1, 3, 0);
  AddJobs(1, 4, 2, 50);
  AddJobs(2, 6, 9, 0);
  EXPECT_THAT(Choose(10), ElementsAre(1, 2, 3));
  EXPECT_THAT(Choose(2), ElementsAre(4, 5));  // both steps fill the request: the most advanced wins
  EXPECT_THAT(Choose(2, {4}), ElementsAre(1, 2));
}

TEST_F(SchedulerTest, APausedSweepIsSkippedUntilItResumes) {
  AddGroup(1, 1, 9, 1);
  AddGroup(2, 2, 0, 1);
  AddJobs(1, 1, 2);
  AddJobs(2, 3, 1);
  scheduler_.SetPaused(1, true);
  EXPECT_THAT(Choose(5), ElementsAre(3));
  AddJobs(1, 5, 1);  // new jobs wait too
  EXPECT_THAT(Choose(5), ElementsAre(3));
  scheduler_.SetPaused(1, false);
  EXPECT_THAT(Choose(5), ElementsAre(1, 2, 5));
}

TEST_F(SchedulerTest, ADelayedJobIsPickedOnlyAfterItsWait) {
  AddGroup(1, 1, 0, 1);
  scheduler_.Add(1, 1, 0, absl::Seconds(10));
  EXPECT_THAT(Choose(1), IsEmpty());
  EXPECT_EQ(scheduler_.NextDelayed(), absl::Seconds(10));
  EXPECT_FALSE(scheduler_.PromoteDelayed(absl::Seconds(9)));
  EXPECT_TRUE(scheduler_.PromoteDelayed(absl::Seconds(10)));
  EXPECT_THAT(Choose(1), ElementsAre(1));
  EXPECT_EQ(scheduler_.NextDelayed(), std::nullopt);
}

TEST_F(SchedulerTest, ARemovedJobIsGoneDelayedOrNot) {
  AddGroup(1, 1, 0, 1);
  AddJobs(1, 1, 2, 20);
  scheduler_.Add(1, 3, 0, absl::Seconds(10));
  scheduler_.Remove(1, 1, 20);
  scheduler_.Remove(1, 3, 0);
  scheduler_.Remove(1, 99, 20);  // unknown: no effect
  scheduler_.PromoteDelayed(absl::Seconds(60));
  EXPECT_THAT(Choose(5), ElementsAre(2));
  scheduler_.Remove(1, 2, 20);
  EXPECT_THAT(Choose(5), IsEmpty());
  EXPECT_EQ(scheduler_.ready(), 0u);
}

TEST_F(SchedulerTest, AnOldSweepIsServedWhileLongerOnesKeepArriving) {
  AddGroup(1, 1, 0, 1);  // the old, short one
  AddJobs(1, 1, 1);
  JobId next = 2;
  uint64_t turn = 0;
  for (; turn < Scheduler::kOldestSweepTurn; ++turn) {
    AddGroup(next, next, 0, 100);  // one new, longer sweep for every grant
    AddJobs(next, next, 1);
    ++next;
    const auto pick = scheduler_.Choose(Always(1), {}, turn);
    ASSERT_TRUE(pick.has_value());
    if (pick->jobs[0] == 1) break;
    scheduler_.Remove(pick->group_id, pick->jobs[0], 0);
  }
  EXPECT_LT(turn, Scheduler::kOldestSweepTurn) << "the old sweep was never served";
}

TEST_F(SchedulerTest, TheOldestSweepsTurnDoesNotReachAcrossPriorities) {
  AddGroup(1, 1, 0, 1);
  AddGroup(2, 2, 1, 1);
  AddJobs(1, 1, 1);
  AddJobs(2, 2, 1);
  EXPECT_THAT(Choose(1, {}, Scheduler::kOldestSweepTurn - 1), ElementsAre(2));
}

TEST_F(SchedulerTest, JobsAheadAreCountedByPriorityAndWork) {
  AddGroup(1, 1, 1, 1);
  AddGroup(2, 2, 0, 9);
  AddGroup(3, 2, 0, 1);
  AddJobs(1, 1, 4);
  AddJobs(2, 5, 3);
  AddJobs(3, 8, 5);
  const auto ahead = scheduler_.CountAhead(3, 10, 0);
  EXPECT_EQ(ahead.by_priority, 4u);
  EXPECT_EQ(ahead.by_work, 3u + 2u);
  EXPECT_EQ(scheduler_.CountAhead(1, 1, 0).by_priority, 0u);
}

// Compares with a search through a plain list.
TEST_F(SchedulerTest, AgreesWithASearchThroughAllJobsOnRandomSequences) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  struct Known {
    GroupId group;
    uint32_t step;
  };
  std::map<JobId, Known> jobs;
  std::map<GroupId, std::pair<int32_t, double>> groups;
  for (GroupId id = 1; id <= 6; ++id) {
    groups[id] = {static_cast<int32_t>(random() % 2), 1.0 + static_cast<double>(random() % 5)};
    AddGroup(id, 1, groups[id].first, groups[id].second);
  }
  JobId next = 1;
  for (int round = 0; round < 3000; ++round) {
    if (random() % 2 == 0 || jobs.empty()) {
      const Known known{1 + random() % 6, static_cast<uint32_t>(random() % 3 * 20)};
      scheduler_.Add(known.group, next, known.step, kNow);
      jobs[next++] = known;
      continue;
    }
    std::pair<int32_t, double> best{-1, -1};
    for (const auto& [id, known] : jobs) {
      const auto& [priority, work] = groups[known.group];
      best = std::max(best, {priority, work * (100 - known.step)});
    }
    const auto pick = scheduler_.Choose(Always(1 + random() % 4), {}, 0);
    ASSERT_TRUE(pick.has_value());
    std::pair<int32_t, double> got{-1, -1};
    for (const auto& [id, known] : jobs) {
      if (known.group != pick->group_id) continue;
      got = std::max(got,
                     {groups[known.group].first, groups[known.group].second * (100 - known.step)});
    }
    ASSERT_EQ(got, best);
    const uint32_t step = jobs.at(pick->jobs[0]).step;
    for (const JobId id : pick->jobs) {
      ASSERT_EQ(jobs.at(id).group, pick->group_id);
      ASSERT_EQ(jobs.at(id).step, step);
      scheduler_.Remove(pick->group_id, id, jobs.at(id).step);
      jobs.erase(id);
    }
    ASSERT_EQ(scheduler_.ready(), jobs.size());
  }
}

TEST_F(SchedulerTest, APlaceInAVeryLargeGroupIsFoundWithoutCounting) {
  AddGroup(1, 1, 0, 1);
  AddJobs(1, 1, 30'000);
  EXPECT_EQ(scheduler_.CountAhead(1, 1, 0).by_work, 0u);
  EXPECT_EQ(scheduler_.CountAhead(1, 20'001, 0).by_work, 20'000u);
  EXPECT_EQ(scheduler_.CountAhead(1, 30'000, 0).by_work, 29'999u);
  // With gaps the count is approximate.
  for (JobId id = 2; id < 30'000; id += 3) scheduler_.Remove(1, id, 0);
  EXPECT_NEAR(static_cast<double>(scheduler_.CountAhead(1, 15'001, 0).by_work), 10'000, 10);
}

TEST_F(SchedulerTest, AGroupThatIsRemovedHasNoJobsLeft) {
  AddGroup(1, 1, 0, 1);
  AddGroup(2, 2, 0, 2);
  AddJobs(1, 1, 2);
  AddJobs(2, 3, 2);
  scheduler_.RemoveGroup(2);
  scheduler_.RemoveGroup(2);
  EXPECT_EQ(scheduler_.ready(), 2u);
  EXPECT_THAT(Choose(5), ElementsAre(1, 2));
  AddGroup(2, 2, 0, 2);
  AddJobs(2, 3, 1);
  EXPECT_THAT(Choose(5), ElementsAre(3));
}

TEST_F(SchedulerTest, ProgramsAreOnlyForWorkersThatRunThem) {
  AddGroup(1, 1, 0, 1);
  AddJobs(1, 1, 3);
  scheduler_.AddGroup({2, 2, 0, 100, 100, /*program_pack=*/2});
  AddJobs(2, 11, 3);
  const auto choose = [&](bool programs, const absl::flat_hash_set<JobId>& taken = {}) {
    const auto pick = scheduler_.Choose(Always(10), taken, 0, {programs, nullptr});
    return pick.has_value() ? pick->jobs : std::vector<JobId>();
  };
  EXPECT_THAT(choose(true), ElementsAre(11, 12)) << "the longest work, in packs of its own width";
  EXPECT_THAT(choose(false), ElementsAre(1, 2, 3));
  EXPECT_THAT(choose(true, {11, 12, 13}), ElementsAre(1, 2, 3));
  EXPECT_THAT(choose(false, {1, 2, 3}), IsEmpty());
  EXPECT_EQ(scheduler_.CountGrantable(), 6u);
  EXPECT_EQ(scheduler_.CountGrantablePrograms(), 3u);
  EXPECT_EQ(scheduler_.CountAhead(1, 1, 0).by_work, 3u);
  scheduler_.SetPaused(2, true);
  EXPECT_THAT(choose(true), ElementsAre(1, 2, 3));
  EXPECT_FALSE(scheduler_.any_programs());
  scheduler_.SetPaused(2, false);
  scheduler_.RemoveGroup(1);
  EXPECT_TRUE(scheduler_.any_grantable());
  EXPECT_THAT(choose(false), IsEmpty());
}

// The turn of the oldest sweep is that of the highest priority that the worker can serve.
TEST_F(SchedulerTest, TheOldestSweepsTurnKeepsPrioritiesAcrossProgramsAndTrainer) {
  AddGroup(1, 1, 0, 1);
  AddGroup(3, 3, 5, 1);
  AddJobs(1, 1, 1);
  AddJobs(3, 3, 1);
  scheduler_.AddGroup({2, 2, 5, 100, 100, 1});
  AddJobs(2, 2, 1);
  constexpr uint64_t kTurn = Scheduler::kOldestSweepTurn - 1;
  const auto oldest = [&](bool programs) {
    return scheduler_.Choose(Always(1), {}, kTurn, {programs, nullptr})->jobs;
  };
  EXPECT_THAT(oldest(true), ElementsAre(2));
  EXPECT_THAT(oldest(false), ElementsAre(3));
}

}  // namespace
}  // namespace coppice::core
