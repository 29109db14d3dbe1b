// The autoscaler dies at a thousand points of random histories, under a Slurm that lies, and is
// started again.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_join.h"
#include "common/base/logging.h"
#include "tests/coordinator/pools/pool_world.h"
#include "tests/coordinator/pools/specs.h"

namespace coppice::pools {
namespace {

constexpr int kHistories = 40;
constexpr int kCrashesEach = 25;
constexpr int kJobs = 8;
constexpr int kMostSeconds = 4 * 3600;

PoolSpec SmallPool() {
  PoolSpec spec = GoodSpec();
  spec.max_workers = 3;
  spec.backlog = 2;
  return spec;
}

// Seconds until all work was done; -1: not within kMostSeconds.
int RunToEnd(PoolWorld* world) {
  for (int second = 0; second < kMostSeconds; second += 5) {
    if (world->WorkDone()) return second;
    world->RunSeconds(5);
  }
  return -1;
}

TEST(CrashPoints, NoneOfAThousandSubmitsTwiceOrForgetsTheWork) {
  spdlog::set_level(spdlog::level::off);
  int crashes = 0, submits = 0, slowest = 0;
  for (uint64_t history = 1; history <= kHistories; ++history) {
    PoolWorld undisturbed(history, EveryFault(), SmallPool(), kJobs);
    ASSERT_GE(RunToEnd(&undisturbed), 0) << "history " << history;
    for (uint64_t i = 0; i < kCrashesEach; ++i) {
      PoolWorld world(history, EveryFault(), SmallPool(), kJobs);
      const uint64_t step = 1 + undisturbed.steps() * i / kCrashesEach;
      world.CrashAt(step);
      const int seconds = RunToEnd(&world);
      ASSERT_GE(seconds, 0) << "history " << history << ", step " << step << ": work is left";
      ASSERT_EQ(absl::StrJoin(world.violations(), "\n"), "")
          << "history " << history << ", step " << step;
      crashes += world.crashed();
      submits += world.submits();
      slowest = std::max(slowest, seconds);
    }
  }
  spdlog::set_level(spdlog::level::info);
  RecordProperty("crashes", crashes);
  RecordProperty("submits", submits);
  RecordProperty("slowest_s", slowest);
  EXPECT_GE(crashes, kHistories * kCrashesEach * 9 / 10);
}

TEST(CrashPoints, NothingStaysQueuedAMinuteAfterTheWorkIsDone) {
  spdlog::set_level(spdlog::level::off);
  for (uint64_t history = 1; history <= 20; ++history) {
    Faults faults;
    faults.preempt = 0.003;
    PoolWorld world(history, faults, SmallPool(), kJobs);
    ASSERT_GE(RunToEnd(&world), 0);
    world.RunSeconds(60);
    EXPECT_EQ(world.Queued(), 0) << "history " << history;
    EXPECT_EQ(absl::StrJoin(world.violations(), "\n"), "");
  }
  spdlog::set_level(spdlog::level::info);
}

// The negative control.
TEST(CrashPoints, TheWorldSeesASecondSubmissionUnderOneKey) {
  PoolWorld world(1, Faults{}, SmallPool(), kJobs);
  world.RunSeconds(30);
  ASSERT_FALSE(world.jobs().empty());
  EXPECT_EQ(world.violations().size(), 0u);
  world.ForceAccept(world.jobs().front().key);
  EXPECT_EQ(world.violations().size(), 1u);
}

}  // namespace
}  // namespace coppice::pools
