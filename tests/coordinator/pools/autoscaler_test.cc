#include "coordinator/pools/autoscaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>

#include "tests/coordinator/pools/pool_world.h"
#include "tests/coordinator/pools/specs.h"

namespace coppice::pools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SubmitResult Refused(SubmitResult::Kind kind, const std::string& text) {
  SubmitResult result;
  result.kind = kind;
  result.text = text;
  result.remedy = "Do this.";
  return result;
}

PoolStatus PoolOf(PoolWorld* world) {
  const AutoscalerStatus status = world->Status();
  return status.pools.empty() ? PoolStatus() : status.pools.front();
}

TEST(Autoscaler, WorkIsAskedForWithinSeconds) {
  PoolWorld world(1, Faults{}, GoodSpec(), 0);
  world.RunSeconds(60);
  EXPECT_EQ(world.submits(), 0);
  world.AddWork(2);
  world.autoscaler().Nudge();
  world.RunSeconds(3);
  EXPECT_GE(world.submits(), 1);
}

TEST(Autoscaler, AnAllocationIsFollowedFromTheQueueToItsEnd) {
  PoolWorld world(1, Faults{}, GoodSpec(), 1);
  world.start_jobs = false;
  world.RunSeconds(40);
  PoolStatus pool = PoolOf(&world);
  ASSERT_EQ(pool.allocations.size(), 1u);
  EXPECT_EQ(pool.allocations[0].state, AllocationState::kQueued);
  EXPECT_EQ(pool.allocations[0].reason, "Priority");
  world.start_jobs = true;
  world.RunSeconds(60);
  pool = PoolOf(&world);
  EXPECT_EQ(pool.allocations[0].state, AllocationState::kRunning);
  EXPECT_TRUE(pool.allocations[0].registered);
  EXPECT_EQ(pool.connected, 1u);
  world.RunSeconds(240);
  EXPECT_TRUE(world.WorkDone());
  pool = PoolOf(&world);
  EXPECT_EQ(pool.allocations[0].outcome, "completed");
  EXPECT_GT(pool.gpu_seconds_today, 60);
  EXPECT_EQ(world.stored().begin()->second.outcome, "completed");
}

TEST(Autoscaler, APermanentRefusalStopsThePoolWithTheRemedy) {
  PoolWorld world(1, Faults{}, GoodSpec(), 3);
  world.on_submit = [] {
    return Refused(SubmitResult::Kind::kPermanent, "Invalid partition name specified");
  };
  world.RunSeconds(600);
  EXPECT_EQ(world.submits(), 1);
  EXPECT_EQ(PoolOf(&world).row.mode, PoolMode::kStopped);
  EXPECT_THAT(PoolOf(&world).row.why, HasSubstr("Invalid partition name specified. Do this."));
  world.on_submit = nullptr;
  world.autoscaler().SetMode("low", PoolMode::kRunning,
                             [](absl::Status status) { EXPECT_TRUE(status.ok()); });
  world.RunSeconds(10);
  EXPECT_GT(world.submits(), 1);
}

TEST(Autoscaler, ALimitIsNoFailureAndTransientOnesSlowDown) {
  PoolWorld world(1, Faults{}, GoodSpec(), 3);
  world.on_submit = [] { return Refused(SubmitResult::Kind::kLimit, "QOSMaxSubmitJob"); };
  world.RunSeconds(300);
  EXPECT_LE(world.submits(), 3);
  EXPECT_EQ(PoolOf(&world).row.failures, 0u);
  EXPECT_THAT(PoolOf(&world).row.decision, HasSubstr("a limit of the site: QOSMaxSubmitJob"));
  PoolWorld other(1, Faults{}, GoodSpec(), 3);
  other.on_submit = [] { return Refused(SubmitResult::Kind::kTransient, "connect failure"); };
  other.RunSeconds(400);
  // At once, after 10 s, 1 and 5 minutes.
  EXPECT_EQ(other.submits(), 4);
  EXPECT_EQ(PoolOf(&other).row.mode, PoolMode::kRunning);
}

TEST(Autoscaler, AnUnclearSubmissionBlocksItsPlaceUntilItsKeyIsNotFound) {
  PoolSpec spec = GoodSpec();
  spec.max_workers = 1;
  PoolWorld world(1, Faults{}, spec, 3);
  world.on_submit = [] { return Refused(SubmitResult::Kind::kUnclear, "timed out"); };
  world.RunSeconds(100);
  EXPECT_EQ(world.submits(), 1);
  EXPECT_EQ(world.stored().begin()->second.state, AllocationState::kIntended);
  world.on_submit = nullptr;
  world.RunSeconds(120);
  EXPECT_EQ(world.submits(), 2);
  EXPECT_EQ(world.stored().begin()->second.outcome, "not_submitted");
}

TEST(Autoscaler, AJobThatCanNeverStartIsCancelledAndStopsThePool) {
  PoolWorld world(1, Faults{}, GoodSpec(), 1);
  world.start_jobs = false;
  world.pending_reason = "PartitionTimeLimit";
  world.RunSeconds(150);
  EXPECT_EQ(PoolOf(&world).row.mode, PoolMode::kStopped);
  EXPECT_THAT(PoolOf(&world).row.why, HasSubstr("Lower --walltime"));
  EXPECT_EQ(world.Queued(), 0);
}

TEST(Autoscaler, ANodeThatEatsAllocationsIsLeftOut) {
  Faults faults;
  faults.fails = 1;
  PoolWorld world(1, faults, GoodSpec(), 50);
  PoolStatus pool = PoolOf(&world);
  for (int minute = 0; minute < 60 && pool.row.excluded.empty(); ++minute) {
    world.RunSeconds(60);
    pool = PoolOf(&world);
  }
  ASSERT_FALSE(pool.row.excluded.empty());
  const int before = world.submits();
  world.RunSeconds(300);
  EXPECT_GT(world.submits(), before);
  EXPECT_THAT(world.last_script(), HasSubstr("#SBATCH --exclude=n"));
  EXPECT_EQ(pool.row.mode, PoolMode::kRunning);
  EXPECT_THAT(pool.row.last_error, HasSubstr("ended with code 1"));
  const auto failed =
      std::find_if(pool.allocations.begin(), pool.allocations.end(),
                   [](const AllocationRow& row) { return row.outcome == "failed"; });
  ASSERT_NE(failed, pool.allocations.end());
  EXPECT_FALSE(failed->output_tail.empty());
}

TEST(Autoscaler, AWorkerThatLeavesIsReplacedWithinSeconds) {
  PoolSpec spec = GoodSpec();
  spec.max_workers = 1;
  PoolWorld world(1, Faults{}, spec, 100);
  world.RunSeconds(100);
  ASSERT_EQ(PoolOf(&world).connected, 1u);
  ASSERT_EQ(world.submits(), 1);
  world.DismissWorkers();
  world.RunSeconds(10);
  EXPECT_EQ(world.submits(), 2);
  EXPECT_EQ(PoolOf(&world).allocations.back().outcome, "completed");
}

TEST(Autoscaler, ARequeueBetweenTwoAnswersOfTheQueueIsCounted) {
  PoolSpec spec = GoodSpec();
  spec.max_workers = 1;
  PoolWorld world(1, Faults{}, spec, 100);
  world.RunSeconds(100);
  const AllocationRow before = PoolOf(&world).allocations.at(0);
  ASSERT_EQ(before.state, AllocationState::kRunning);
  world.RestartJobs();
  world.RunSeconds(70);
  const AllocationRow after = PoolOf(&world).allocations.at(0);
  EXPECT_EQ(after.restarts, 1u);
  EXPECT_GT(after.started_ms, before.started_ms);
  EXPECT_GT(after.gpu_seconds, 30);
}

TEST(Autoscaler, ARestartAdoptsWhatIsThere) {
  PoolWorld world(1, Faults{}, GoodSpec(), 40);
  world.RunSeconds(60);
  const int alive = world.Alive();
  ASSERT_GT(alive, 0);
  world.Crash();
  EXPECT_EQ(world.Alive(), alive);
  world.StartCoordinator();
  world.RunSeconds(2);
  EXPECT_EQ(PoolOf(&world).allocations.size(), static_cast<size_t>(alive));
}

TEST(Autoscaler, APoolIsAddedScaledPausedAndRemoved) {
  PoolWorld world(1, Faults{}, GoodSpec(), 40);
  world.RunSeconds(10);
  std::optional<absl::Status> got;
  const auto take = [&got](absl::Status status) { got = status; };
  const auto code = [&] {
    world.RunSeconds(1);
    return got.has_value() ? got->code() : absl::StatusCode::kUnknown;
  };
  world.autoscaler().AddPool(GoodSpec("low"), take);
  EXPECT_EQ(code(), absl::StatusCode::kAlreadyExists);
  world.autoscaler().AddPool(GoodSpec("other"), take);
  EXPECT_EQ(code(), absl::StatusCode::kOk);
  world.autoscaler().Scale("other", 9, take);
  EXPECT_EQ(code(), absl::StatusCode::kInvalidArgument);
  world.autoscaler().SetMode("none", PoolMode::kPaused, take);
  EXPECT_EQ(code(), absl::StatusCode::kNotFound);
  world.autoscaler().RemovePool("low", false, take);
  EXPECT_EQ(code(), absl::StatusCode::kFailedPrecondition);
  world.autoscaler().RemovePool("low", true, take);
  EXPECT_EQ(code(), absl::StatusCode::kOk);
  EXPECT_EQ(world.Status().pools.size(), 1u);
  EXPECT_EQ(world.Status().pools[0].row.spec.name, "other");
}

TEST(Autoscaler, ACheckNamesTheWalltimeThatThePartitionNeverStarts) {
  PoolWorld world(1, Faults{}, GoodSpec(), 0);
  world.RunSeconds(1);
  std::optional<PoolCheck> check;
  world.autoscaler().Check(GoodSpec("new"), std::nullopt, [&check](absl::StatusOr<PoolCheck> got) {
    if (got.ok()) check = *std::move(got);
  });
  world.RunSeconds(2);
  ASSERT_TRUE(check.has_value());
  EXPECT_THAT(check->script, HasSubstr("#SBATCH --partition=low"));
  ASSERT_EQ(check->errors.size(), 1u);
  EXPECT_THAT(check->errors[0], HasSubstr("Lower --walltime"));
  EXPECT_EQ(world.submits(), 0);
}

TEST(Autoscaler, ACheckDoesNotCountTheGraceOfWhichAJobWithoutSrunHearsNothing) {
  PoolWorld world(1, Faults{}, GoodSpec(), 0);
  world.RunSeconds(1);
  std::optional<PoolCheck> check;
  PoolSpec spec = GoodSpec("new");
  const auto ask = [&](int64_t grace_s) {
    spec.grace_s = grace_s;
    world.autoscaler().Check(spec, std::nullopt, [&check](absl::StatusOr<PoolCheck> got) {
      if (got.ok()) check = *std::move(got);
    });
    world.RunSeconds(2);
  };
  ask(11);
  ASSERT_TRUE(check.has_value());
  EXPECT_THAT(check->warnings, ElementsAre(HasSubstr("--grace 11s is longer than KillWait, 10 s")));
  ask(10);
  EXPECT_THAT(check->warnings, IsEmpty());
}

}  // namespace
}  // namespace coppice::pools
