// Checks that the simulation finds bugs. Each planted bug must show within a number of schedules.
#include <gtest/gtest.h>

#include "common/base/logging.h"
#include "tests/simulation/run_schedules.h"

namespace coppice::simulation {
namespace {

class PlantedBugs : public ::testing::Test {
 protected:
  void SetUp() override { spdlog::set_level(spdlog::level::off); }

  static void ExpectFound(PlantedBug bug, uint64_t within) {
    std::string what;
    const auto seed = FirstSeedThatFinds(bug, within, &what);
    ASSERT_TRUE(seed.has_value()) << "none of " << within << " schedules shows it";
    std::printf("found by seed %lu: %s\n", static_cast<unsigned long>(*seed), what.c_str());
  }
};

TEST_F(PlantedBugs, AStaleAttemptThatIsAcceptedIsFound) {
  ExpectFound(PlantedBug::kStaleAttemptAccepted, 300);
}

TEST_F(PlantedBugs, AnAcknowledgementBeforeItsCommitIsFound) {
  ExpectFound(PlantedBug::kAcknowledgedBeforeCommit, 100);
}

TEST_F(PlantedBugs, AForgottenArchiveStepIsFound) {
  ExpectFound(PlantedBug::kArchiveForgotten, 100);
}

TEST_F(PlantedBugs, AChargedPreemptionIsFound) { ExpectFound(PlantedBug::kPreemptionCharged, 100); }

TEST_F(PlantedBugs, ARecordDroppedBeforeItsAcknowledgementIsFound) {
  ExpectFound(PlantedBug::kSpoolDroppedBeforeAck, 100);
}

TEST_F(PlantedBugs, ALostAnswerThatIsTakenForAnAnswerIsFound) {
  ExpectFound(PlantedBug::kLostAnswerTakenForAnswer, 100);
}

TEST_F(PlantedBugs, AnEndingThatOvertakesRowsIsFound) {
  ExpectFound(PlantedBug::kEndingOvertakesRows, 100);
}

TEST_F(PlantedBugs, ACheckpointWithoutItsRowsIsFound) {
  ExpectFound(PlantedBug::kCheckpointWithoutRows, 100);
}

TEST_F(PlantedBugs, ARemovedCurrentCheckpointIsFound) {
  ExpectFound(PlantedBug::kCurrentCheckpointRemoved, 100);
}

TEST_F(PlantedBugs, ASupersededWorkerThatComesBackIsFound) {
  ExpectFound(PlantedBug::kSupersededReturns, 100);
}

TEST_F(PlantedBugs, AGoodbyeOfAWorkerThatLivesOnIsFound) {
  ExpectFound(PlantedBug::kGoodbyeOfTheLiving, 100);
}

}  // namespace
}  // namespace coppice::simulation
