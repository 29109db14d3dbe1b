// The GPU time of a pool that each sweep has used, and the limit on it.
#include "coordinator/pools/sweep_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/pools/policy.h"
#include "tests/coordinator/pools/pool_world.h"
#include "tests/coordinator/pools/specs.h"

namespace coppice::pools {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kNow = 1'800'000'000'000;
constexpr int64_t kMinute = 60'000;

AllocationRow Running(uint32_t gpus) {
  AllocationRow row;
  row.key = "0123-low-1";
  row.pool = "low";
  row.state = AllocationState::kRunning;
  row.gpus = gpus;
  row.started_ms = kNow - 600'000;
  row.walltime_s = 3600;
  return row;
}

WorkerCapacity Worker(uint32_t slots, uint32_t idle,
                      std::vector<std::pair<uint64_t, uint64_t>> held) {
  WorkerCapacity worker;
  worker.pool_key = "0123-low-1";
  worker.slots = slots;
  worker.idle_slots = idle;
  worker.held = std::move(held);
  return worker;
}

PoolRow Limited(double hours) {
  PoolRow row;
  row.spec = GoodSpec();
  row.spec.gpu_hours_a_sweep = hours;
  row.use_counted_ms = kNow - kMinute;
  return row;
}

SweepDemand Sweep(uint64_t id, uint64_t grantable) {
  return {id, 100 + static_cast<int64_t>(id), id == 1 ? "words" : "other", grantable, 0, 0};
}

// Counts one minute in which a worker of the pool was as given, and returns the use of each sweep.
std::vector<double> Counted(const WorkerCapacity& worker, PoolRow* row) {
  Demand demand;
  demand.workers = {worker};
  CountSweepUse({Running(4)}, ByKey(demand), {Sweep(1, 0), Sweep(2, 0)}, kNow, row);
  std::vector<double> seconds = {0, 0};
  for (const SweepUse& use : row->sweep_use) seconds[use.sweep_id - 1] = use.gpu_seconds;
  return seconds;
}

TEST(SweepUse, BusySlotsCountForTheSweepsOfTheirJobs) {
  PoolRow row = Limited(1);
  // Two slots of two GPUs, one of them idle. Of the jobs, three are of the first sweep.
  EXPECT_THAT(Counted(Worker(2, 1, {{1, 3}, {2, 1}}), &row), ElementsAre(90, 30));
  EXPECT_EQ(row.use_counted_ms, kNow);
  EXPECT_THAT(Counted(Worker(2, 0, {{1, 1}}), &row), ElementsAre(90, 30)) << "no time has passed";
  row.use_counted_ms = kNow - kMinute;
  EXPECT_THAT(Counted(Worker(2, 0, {{1, 1}}), &row), ElementsAre(90 + 240, 30));
}

TEST(SweepUse, SilentWorkersAndTimesBeforeTheStartDoNotCount) {
  PoolRow row = Limited(1);
  WorkerCapacity silent = Worker(1, 0, {{1, 1}});
  silent.connected = false;
  EXPECT_THAT(Counted(silent, &row), ElementsAre(0, 0));
  row.use_counted_ms = kNow - 3'600'000;  // the coordinator was away
  EXPECT_THAT(Counted(Worker(1, 0, {{1, 1}}), &row), ElementsAre(600 * 4, 0));
  row.use_counted_ms = kNow + 3'600'000;  // the clock was set back
  EXPECT_THAT(Counted(Worker(1, 0, {{1, 1}}), &row), ElementsAre(600 * 4, 0));
  EXPECT_EQ(row.use_counted_ms, kNow);
}

TEST(SweepUse, AnotherSweepWithTheIdOfADeletedOneBeginsAtNothing) {
  PoolRow row = Limited(1);
  row.sweep_use = {{1, 5, "deleted", 1e6}};
  Demand demand;
  demand.sweeps = {Sweep(1, 3)};
  EXPECT_THAT(SpentSweepsOf(row, demand), IsEmpty());
  demand.sweeps[0].created_ms = 5;
  EXPECT_THAT(SpentSweepsOf(row, demand), ElementsAre(1));
  row.spec.gpu_hours_a_sweep = 0;
  EXPECT_THAT(SpentSweepsOf(row, demand), IsEmpty()) << "there is no limit";
}

class SweepLimit : public ::testing::Test {
 protected:
  SweepLimit() {
    demand_.grantable_jobs = 12;
    demand_.seconds_left = 12 * 3600;
    demand_.sweeps = {Sweep(1, 10), Sweep(2, 2)};
    pool_.row = Limited(2);
    pool_.row.spec.backlog = 100;
    pool_.row.spec.max_workers = 100;
  }
  void Use(uint64_t sweep, double hours) {
    pool_.row.sweep_use.push_back({sweep, 100 + static_cast<int64_t>(sweep), "", hours * 3600});
  }

  Demand demand_;
  PoolInput pool_;
};

TEST_F(SweepLimit, ASpentSweepAsksForNothing) {
  Use(1, 2);
  const PoolDecision decision = Decide({pool_}, {}, demand_, kNow)[0];
  EXPECT_EQ(decision.wanted, 2u);
  Use(2, 2.5);
  const PoolDecision none = Decide({pool_}, {}, demand_, kNow)[0];
  EXPECT_EQ(none.wanted, 0u);
  EXPECT_THAT(none.submits, IsEmpty());
  EXPECT_THAT(none.text, AllOf(HasSubstr("sweeps words, other have used up 2 GPU hours here"),
                               HasSubstr("--gpu-hours-a-sweep")));
}

TEST_F(SweepLimit, NoMoreIsAskedForThanTheSweepsMayStillUse) {
  Use(1, 1.5);
  Use(2, 2);
  PoolDecision decision = Decide({pool_}, {}, demand_, kNow)[0];
  EXPECT_THAT(decision.submits, ElementsAre(1800)) << "half an hour is left";
  EXPECT_THAT(decision.text, HasSubstr("--gpu-hours-a-sweep is 2"));
  // An allocation that runs may use it up.
  AllocationRow row = Running(1);
  row.walltime_s = 2400;  // half an hour more
  decision = Decide({pool_}, {row}, demand_, kNow)[0];
  EXPECT_THAT(decision.submits, IsEmpty());
  EXPECT_THAT(decision.text, HasSubstr("its sweeps may get 0.5 more GPU hours here, and its "
                                       "allocations may use 0.5"));
}

TEST_F(SweepLimit, TheNextPoolServesWhatIsSpentInTheFirst) {
  Use(1, 2);
  Use(2, 2);
  PoolInput next = pool_;
  next.row.spec.name = "paid";
  next.row.spec.rank = 1;
  next.row.sweep_use.clear();
  demand_.workers = {Worker(1, 1, {})};
  const auto decisions = Decide({pool_, next}, {Running(1)}, demand_, kNow);
  EXPECT_THAT(decisions[0].submits, IsEmpty());
  EXPECT_EQ(decisions[1].wanted, 12u) << "idle workers of the first pool get none of the jobs";
}

TEST_F(SweepLimit, AFixedNumberOfWorkersIsLimitedToo) {
  pool_.row.spec.has_target = true;
  pool_.row.spec.target = 3;
  EXPECT_THAT(Decide({pool_}, {}, demand_, kNow)[0].submits, SizeIs(3));
  Use(1, 2);
  Use(2, 2);
  EXPECT_THAT(Decide({pool_}, {}, demand_, kNow)[0].submits, IsEmpty());
}

// The pool in a made-up Slurm: what it asks for, what a restart leaves of the count, and more
// hours.
TEST(SweepLimitWorld, TheLimitHoldsAcrossCrashesUntilItIsRaised) {
  PoolSpec spec = GoodSpec();
  spec.gpu_hours_a_sweep = 1;
  PoolWorld world(1, Faults(), spec, 400);
  world.RunSeconds(3000);
  world.Crash();
  world.StartCoordinator();
  world.RunSeconds(3000);
  ASSERT_FALSE(world.WorkDone());
  const double used = world.stored_pools().at("low").sweep_use.at(0).gpu_seconds;
  EXPECT_GE(used, 3600 - 60) << "of what was counted a minute may not be stored yet";
  EXPECT_LE(used, 3600 + 4 * 70) << "jobs that ran went on to their end";
  EXPECT_EQ(world.Alive(), 0);
  EXPECT_THAT(world.Status().pools.at(0).row.decision,
              HasSubstr("sweep words has used up 1 GPU hours here"));
  const int submits = world.submits();
  world.Crash();
  world.StartCoordinator();
  world.RunSeconds(600);
  EXPECT_EQ(world.submits(), submits) << "the count survives the crash";
  spec.gpu_hours_a_sweep = 1000;
  world.autoscaler().UpdatePool(spec, [](const absl::Status& done) { EXPECT_TRUE(done.ok()); });
  world.RunSeconds(20'000);
  EXPECT_TRUE(world.WorkDone());
  EXPECT_THAT(world.violations(), IsEmpty());
}

}  // namespace
}  // namespace coppice::pools
