#include "coordinator/core/dispatch/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/core/dispatch/pack_rules.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(TurnBudget, GrantsGetHalfAsManyJobsAsTheOtherCommandsWithinBounds) {
  TurnBudget budget;
  budget.BeginTurn(0, false);
  EXPECT_EQ(budget.left(), TurnBudget::kMostJobs);
  budget.BeginTurn(10, false);
  EXPECT_EQ(budget.left(), TurnBudget::kFewestJobs);
  budget.BeginTurn(400, false);
  EXPECT_EQ(budget.left(), 200u);
  budget.Take(150);
  budget.Take(100);  // the last pack exceeded it
  EXPECT_EQ(budget.left(), 0u);
}

TEST(TurnBudget, ABacklogLeavesGrantsATurnNowAndThen) {
  TurnBudget budget;
  int with_grants = 0;
  for (int turn = 0; turn < 4 * TurnBudget::kLongestWithoutGrants; ++turn) {
    budget.BeginTurn(500, true);
    with_grants += budget.left() > 0 ? 1 : 0;
  }
  EXPECT_EQ(with_grants, 4);
}

TEST(PackRules, AWorkerThatMeasuresTakesNoMoreThanItsShareOfTheJobs) {
  WorkerHealth health;
  AcquireRequest request;
  request.pack_width = 8;
  EXPECT_EQ(PackWidth(health, request, "w", 1, {10, 4}), 8u);
  request.measures = true;
  EXPECT_TRUE(IsUnmeasured(health, request, "w", 1));
  EXPECT_EQ(PackWidth(health, request, "w", 1, {10, 4}), 2u);
  health.OnMeasured("w", 1, 8);
  EXPECT_FALSE(IsUnmeasured(health, request, "w", 1));
  EXPECT_EQ(PackWidth(health, request, "w", 1, {10, 4}), 3u);
  EXPECT_EQ(PackWidth(health, request, "w", 1, {100, 4}), 8u);
  EXPECT_EQ(PackWidth(health, request, "w", 1, {0, 4}), 1u);
}

class DispatcherTest : public ::testing::Test {
 protected:
  DispatcherTest() : leases_(absl::Seconds(60)), dispatcher_(&workers_, &leases_, kInterval) {
    dispatcher_.scheduler.AddGroup({1, 1, 0, 1.0, 100});
    dispatcher_.BeginTurn(0, false);
  }

  void AddWorker(const std::string& name, bool draining = false) {
    WorkerEntry entry;
    entry.row.id = name + "-id";
    entry.row.info.name = name;
    entry.row.draining = draining;
    entry.seen = true;
    workers_.Put(entry);
  }
  void AddWaiter(const std::string& worker, uint32_t width, bool measures = false,
                 const std::string& pool = "") {
    Waiter waiter;
    waiter.pool = pool;
    waiter.request.worker_id = worker + "-id";
    waiter.request.request_id = absl::StrCat("r", ++requests_);
    waiter.request.pack_width = width;
    waiter.request.measures = measures;
    waiter.worker = worker;
    waiter.deadline = absl::Hours(1);
    dispatcher_.waiters.Add(std::move(waiter));
  }
  void AddJobs(JobId first, JobId last) {
    for (JobId job = first; job <= last; ++job) {
      dispatcher_.scheduler.Add(1, job, 0, absl::ZeroDuration());
    }
  }

  static constexpr absl::Duration kInterval = absl::Seconds(10);
  WorkerTable workers_;
  LeaseTable leases_;
  Dispatcher dispatcher_;
  int requests_ = 0;
};

TEST_F(DispatcherTest, WaitersAreServedInOrderAndNoJobIsPlannedTwice) {
  AddWorker("a");
  AddWorker("b");
  AddWaiter("a", 2);
  AddWaiter("b", 2);
  AddJobs(1, 3);
  const Dispatcher::Plan plan = dispatcher_.PlanGrants(absl::ZeroDuration());
  ASSERT_THAT(plan.grants, SizeIs(2));
  EXPECT_EQ(plan.grants[0].waiter.worker, "a");
  EXPECT_THAT(plan.grants[0].pick.jobs, ElementsAre(1, 2));
  EXPECT_THAT(plan.grants[1].pick.jobs, ElementsAre(3));
  EXPECT_THAT(plan.answers, IsEmpty());
  EXPECT_EQ(dispatcher_.waiters.size(), 0u);
}

TEST_F(DispatcherTest, ADrainingWorkerWaitsAndOneThatIsGoneIsAnswered) {
  AddWorker("a", /*draining=*/true);
  AddWaiter("a", 1);
  AddWaiter("gone", 1);
  AddJobs(1, 3);
  const Dispatcher::Plan plan = dispatcher_.PlanGrants(absl::ZeroDuration());
  EXPECT_THAT(plan.grants, IsEmpty());
  ASSERT_THAT(plan.answers, SizeIs(1));
  EXPECT_EQ(plan.answers[0].waiter.worker, "gone");
  EXPECT_TRUE(absl::IsNotFound(plan.answers[0].result.status()));
  EXPECT_EQ(dispatcher_.waiters.size(), 1u);
}

TEST_F(DispatcherTest, ASuspectWorkerWaitsOnlyWhileAnotherIsConnected) {
  AddWorker("bad");
  for (JobId job = 1; job <= WorkerHealth::kFailures; ++job) {
    dispatcher_.health.OnFailure("bad", {absl::StrCat("pack", job), job, "it broke"},
                                 absl::ZeroDuration(), 0);
  }
  AddWaiter("bad", 1);
  AddJobs(1, 3);
  AddWorker("good");
  EXPECT_THAT(dispatcher_.PlanGrants(absl::ZeroDuration()).grants, IsEmpty());
  workers_.Remove("good");
  EXPECT_THAT(dispatcher_.PlanGrants(absl::ZeroDuration()).grants, SizeIs(1));
}

TEST_F(DispatcherTest, AnUnmeasuredWorkerGetsOneJobAndHearsThatThereAreMore) {
  AddWorker("a");
  AddWaiter("a", 8, /*measures=*/true);
  AddJobs(1, 3);
  const Dispatcher::Plan plan = dispatcher_.PlanGrants(absl::ZeroDuration());
  ASSERT_THAT(plan.grants, SizeIs(1));
  EXPECT_TRUE(plan.grants[0].unmeasured);
  EXPECT_THAT(plan.grants[0].pick.jobs, ElementsAre(1));
}

TEST_F(DispatcherTest, ATurnGrantsNoMoreThanItsBudget) {
  dispatcher_.BeginTurn(2, false);
  AddJobs(1, 2000);
  AddWorker("a");
  for (int i = 0; i < 100; ++i) AddWaiter("a", 10);
  const Dispatcher::Plan plan = dispatcher_.PlanGrants(absl::ZeroDuration());
  EXPECT_THAT(plan.grants, SizeIs((TurnBudget::kFewestJobs + 9) / 10));
  EXPECT_THAT(dispatcher_.PlanGrants(absl::ZeroDuration()).grants, IsEmpty());
  dispatcher_.BeginTurn(2, false);
  EXPECT_THAT(dispatcher_.PlanGrants(absl::ZeroDuration()).grants, SizeIs(13));
}

TEST_F(DispatcherTest, WorkersOfAPoolGetNoJobsOfASweepThatHasSpentItsShareThere) {
  dispatcher_.scheduler.AddGroup({2, 2, 0, 0.5, 100});
  dispatcher_.scheduler.Add(2, 11, 0, absl::ZeroDuration());
  AddJobs(1, 2);
  dispatcher_.spent["low"] = {1};
  for (const char* name : {"a", "b", "c", "d"}) AddWorker(name);
  AddWaiter("a", 1, false, "low");
  AddWaiter("b", 1, false, "low");
  AddWaiter("c", 1, false, "other");
  AddWaiter("d", 1);
  const Dispatcher::Plan plan = dispatcher_.PlanGrants(absl::ZeroDuration());
  ASSERT_THAT(plan.grants, SizeIs(3));
  EXPECT_EQ(plan.grants[0].waiter.worker, "a");
  EXPECT_EQ(plan.grants[0].pick.group_id, 2u) << "of the other sweep";
  EXPECT_EQ(plan.grants[1].waiter.worker, "c");
  EXPECT_EQ(plan.grants[2].waiter.worker, "d");
  EXPECT_EQ(dispatcher_.waiters.size(), 1u) << "b waits on";
  for (const Dispatcher::Grant& grant : plan.grants) {
    dispatcher_.scheduler.Remove(grant.pick.group_id, grant.pick.jobs.at(0), 0);
  }
  AddJobs(3, 3);
  dispatcher_.grants = Scheduler::kOldestSweepTurn - 1;
  EXPECT_THAT(dispatcher_.PlanGrants(absl::ZeroDuration()).grants, IsEmpty());
  dispatcher_.spent.clear();
  EXPECT_THAT(dispatcher_.PlanGrants(absl::ZeroDuration()).grants, SizeIs(1));
}

}  // namespace
}  // namespace coppice::core
