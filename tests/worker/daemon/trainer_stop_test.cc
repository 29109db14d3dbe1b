// The table of trainer_stop.h.
#include "worker/daemon/trainer_stop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <vector>

#include "tests/testing/fake_clock.h"
#include "tests/worker/daemon/fakes.h"

namespace coppice::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class TrainerStopTest : public ::testing::Test {
 protected:
  TrainerStopTest() {
    environment_.clock = &clock_;
    environment_.main = [this](std::function<void()> work) {
      return sequence_.Add(std::move(work));
    };
    process_ = launcher_.Start({}, {});
    stop_ = std::make_unique<TrainerStop>(&environment_, "pack");
  }
  void Pass(absl::Duration time) {
    clock_.Advance(time);
    sequence_.RunAll();
  }
  const std::vector<int>& signals() { return launcher_.last().signals; }

  testing::FakeClock clock_;
  ManualSequence sequence_;
  FakeLauncher launcher_;
  Environment environment_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<TrainerStop> stop_;
};

TEST_F(TrainerStopTest, ATrainerIsAskedOnceAndKilledWhenItsTimeIsOver) {
  stop_->Watch(process_.get());
  stop_->AskToEnd(absl::Seconds(25));
  Pass(absl::Seconds(24));
  EXPECT_THAT(signals(), ElementsAre(SIGTERM));
  Pass(absl::Seconds(1));
  EXPECT_THAT(signals(), ElementsAre(SIGTERM, SIGKILL));
}

TEST_F(TrainerStopTest, TheEarliestTimeHoldsWhoeverAsksForIt) {
  stop_->Watch(process_.get());
  stop_->AskToEnd(absl::Seconds(25));
  Pass(absl::Seconds(10));
  stop_->AskToEnd(absl::Seconds(5));
  stop_->AskToEnd(absl::Seconds(30));
  Pass(absl::Seconds(4));
  EXPECT_THAT(signals(), ElementsAre(SIGTERM));
  Pass(absl::Seconds(1));
  EXPECT_THAT(signals(), ElementsAre(SIGTERM, SIGKILL));
  Pass(absl::Minutes(1));
  EXPECT_THAT(signals(), ElementsAre(SIGTERM, SIGKILL)) << "an earlier time still counts";
}

TEST_F(TrainerStopTest, NothingIsSentBeforeTheProcessOrAfterItsExit) {
  stop_->AskToEnd(absl::Seconds(1));
  stop_->Kill();
  EXPECT_THAT(signals(), IsEmpty());
  stop_->Watch(process_.get());
  stop_->AskToEnd(absl::Seconds(1));
  stop_->OnExit();
  stop_->Kill();
  Pass(absl::Minutes(1));
  EXPECT_THAT(signals(), ElementsAre(SIGTERM));
}

TEST_F(TrainerStopTest, ATrainerDoesNotOutliveItsOwner) {
  stop_->Watch(process_.get());
  stop_.reset();
  EXPECT_THAT(signals(), ElementsAre(SIGKILL));
}

TEST_F(TrainerStopTest, AWorkerThatEndsLeavesTimeForTheReleases) {
  EXPECT_EQ(TrainerStop::TimeWithin(absl::Seconds(25)), absl::Seconds(22));
  EXPECT_EQ(TrainerStop::TimeWithin(absl::Seconds(4)), absl::Seconds(3));
}

}  // namespace
}  // namespace coppice::worker
