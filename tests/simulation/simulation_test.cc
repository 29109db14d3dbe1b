// simulation_test [--schedules N] [--seed S] [--trace]: runs N schedules from seed S on; --trace
// prints the events of each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "common/base/logging.h"
#include "tests/simulation/run_schedules.h"

namespace coppice::simulation {
namespace {

ScheduleFlags flags;

TEST(Simulation, NothingIsLostWhateverFails) {
  const Summary summary = RunSchedules(flags.first_seed, flags.schedules, flags.trace);
  std::printf("%s", summary.Table().c_str());
  EXPECT_EQ(summary.broken, 0u) << summary.first_broken;
}

TEST(Simulation, ASeedAlwaysGivesTheSameRun) {
  for (uint64_t seed = flags.first_seed; seed < flags.first_seed + 10; ++seed) {
    const Outcome one = RunSchedule(seed);
    const Outcome two = RunSchedule(seed);
    EXPECT_EQ(one.trace_digest, two.trace_digest) << "seed " << seed;
    EXPECT_EQ(one.state_digest, two.state_digest) << "seed " << seed;
    EXPECT_EQ(one.events, two.events) << "seed " << seed;
  }
}

// Each of these seeds once showed a violation. 778549: the trainer of an ended attempt started from
// a checkpoint that the next attempt's commits had made superfluous, and the harness took it for a
// failure. The schedules have changed since, because each new fault changes what is drawn.
TEST(Simulation, SeedsThatWereViolationsAreNoneAnyMore) {
  for (const uint64_t seed : {778549}) {
    EXPECT_THAT(RunSchedule(seed).violations, ::testing::IsEmpty()) << "seed " << seed;
  }
}

TEST(Simulation, AnotherSeedGivesAnotherRun) {
  EXPECT_NE(RunSchedule(1).trace_digest, RunSchedule(2).trace_digest);
}

}  // namespace
}  // namespace coppice::simulation

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (!coppice::simulation::flags.Read(argc, argv)) return 2;
  spdlog::set_level(spdlog::level::off);
  return RUN_ALL_TESTS();
}
