// simulation_fencing_test [--schedules N] [--seed S] [--trace]: names that have several live
// processes at once. Machines are cut off and come back, jobs are started again elsewhere
// meanwhile, and processes crash, in any order.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "common/base/logging.h"
#include "tests/simulation/run_schedules.h"

namespace coppice::simulation {
namespace {

ScheduleFlags flags;

// In each schedule:
//   1. A process takes its name at most once, and a superseded one never registers again.
//   2. When nothing goes wrong any more, and every machine that was cut off has come back, each
//      name is down to one process in bounded time. It is not an older one.
//   3. Jobs make progress all that time, and all of them end.
TEST(Fencing, NoOrderOfCrashesRequeuesAndCutOffMachinesEndsInALivelock) {
  const Summary summary =
      RunSchedules(flags.first_seed, flags.schedules, flags.trace, Family::kFencing);
  std::printf("%smost live processes of one name: %zu\n", summary.Table().c_str(),
              summary.most_live);
  EXPECT_EQ(summary.broken, 0u) << summary.first_broken;
  if (flags.schedules < 100) return;
  // The schedules are those that they should be.
  const auto times = [&summary](Fault fault) {
    return summary.faults.times[static_cast<size_t>(fault)];
  };
  EXPECT_GE(times(Fault::kRequeued), 3 * flags.schedules);
  EXPECT_GE(times(Fault::kTwins), flags.schedules);
  EXPECT_GE(times(Fault::kSuperseded), 3 * flags.schedules);
  EXPECT_GE(summary.most_live, 4u);
}

TEST(Fencing, WithoutAnOrderOfProcessesTheLivelockIsFound) {
  for (const PlantedBug bug :
       {PlantedBug::kAnyRegistrationTakesTheName, PlantedBug::kSupersededReturns}) {
    std::string what;
    const auto seed = FirstSeedThatFinds(bug, 5, &what, Family::kFencing);
    ASSERT_TRUE(seed.has_value()) << "no schedule shows it";
    std::printf("found by seed %lu: %s\n", static_cast<unsigned long>(*seed), what.c_str());
  }
}

// The violations are not those of one moment: two processes take the name from each other for good.
TEST(Fencing, ProcessesThatKeepComingBackAreALivelock) {
  const Outcome outcome =
      RunSchedule(1, PlantedBug::kSupersededReturns, /*trace=*/false, Family::kFencing);
  bool livelock = false;
  for (const std::string& violation : outcome.violations) {
    livelock |= violation.rfind("livelock: ", 0) == 0;
  }
  EXPECT_TRUE(livelock) << (outcome.violations.empty() ? "none" : outcome.violations.front());
}

}  // namespace
}  // namespace coppice::simulation

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (!coppice::simulation::flags.Read(argc, argv)) return 2;
  spdlog::set_level(spdlog::level::off);
  return RUN_ALL_TESTS();
}
