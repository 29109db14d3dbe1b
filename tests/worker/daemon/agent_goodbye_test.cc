// The ends of a worker: its goodbye, its exit codes, and ends without work or coordinator.
#include <gmock/gmock.h>

#include "tests/worker/daemon/agent_fixture.h"

namespace coppice::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AgentGoodbyeTest : public AgentFixture {
 protected:
  void Release(FakeTrainer& trainer) {
    trainer.Checkpoint(0, 20);
    trainer.End("preempted", 0, 20);
    trainer.Exit(75);
    Settle();
  }
  void ExpectGoodbye(v1::ExitReason reason, const std::string& message) {
    ASSERT_THAT(coordinator_.goodbyes, SizeIs(1));
    EXPECT_EQ(coordinator_.goodbyes[0].worker_id(), "w1");
    EXPECT_EQ(coordinator_.goodbyes[0].reason(), reason);
    EXPECT_THAT(coordinator_.goodbyes[0].message(), HasSubstr(message));
  }
};

TEST_F(AgentGoodbyeTest, AStoppedWorkerSaysGoodbyeAfterItsLeasesAreReleasedAndNothingAfterIt) {
  FakeTrainer& trainer = StartTraining(1);
  agent_->Stop("SIGTERM");
  Settle();
  EXPECT_THAT(coordinator_.goodbyes, IsEmpty());
  Release(trainer);
  EXPECT_THAT(coordinator_.Seen("release"), SizeIs(1));
  ExpectGoodbye(v1::EXIT_STOPPED, "SIGTERM");
  EXPECT_EQ(exit_code_, 0);
  const size_t heartbeats = coordinator_.heartbeats.size();
  Pass(absl::Seconds(5));
  EXPECT_EQ(coordinator_.heartbeats.size(), heartbeats);
  EXPECT_THAT(coordinator_.registrations, SizeIs(1));
}

TEST_F(AgentGoodbyeTest, ASignalOfABatchSystemIsAPreemption) {
  config_.allocation.system = "slurm";
  StartAgent();
  agent_->Stop("SIGTERM");
  Settle();
  ExpectGoodbye(v1::EXIT_PREEMPTED, "SIGTERM");
  EXPECT_EQ(exit_code_, 75);
}

TEST_F(AgentGoodbyeTest, ACoordinatorThatDoesNotAnswerTheGoodbyeDelaysTheExitByASecond) {
  coordinator_.hold_goodbye = true;
  StartAgent();
  agent_->Stop("SIGTERM");
  Pass(absl::Milliseconds(900));
  EXPECT_FALSE(exit_code_.has_value());
  Pass(absl::Milliseconds(200));
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(AgentGoodbyeTest, TheGoodbyeIsNotAwaitedBeyondTheGrace) {
  coordinator_.hold_goodbye = true;
  config_.grace = absl::Milliseconds(1200);
  FakeTrainer& trainer = StartTraining(1);
  agent_->Stop("SIGTERM");
  Pass(absl::Seconds(1));
  Release(trainer);
  EXPECT_FALSE(exit_code_.has_value());
  Pass(absl::Milliseconds(250));
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(AgentGoodbyeTest, AGoodbyeThatFailsIsNoFailure) {
  coordinator_.errors["Leave"] = {absl::UnavailableError("gone")};
  StartAgent();
  agent_->Stop("SIGTERM");
  Settle();
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(AgentGoodbyeTest, AWorkerThatLeavesAtOnceSaysThatItFailed) {
  FakeTrainer& trainer = StartTraining(1);
  agent_->Stop("SIGTERM");
  Settle();
  agent_->Leave("SIGTERM");
  Settle();
  trainer.Die(SIGKILL);
  Settle();
  ExpectGoodbye(v1::EXIT_FAILED, "SIGTERM");
  EXPECT_EQ(exit_code_, 1);
}

TEST_F(AgentGoodbyeTest, AWorkerThatNeverGotWorkMayLeaveSooner) {
  config_.idle_exit = absl::Minutes(5);
  config_.first_idle_exit = absl::Seconds(30);
  StartAgent();
  Pass(absl::Seconds(31));
  coordinator_.Grant({});
  Settle();
  ExpectGoodbye(v1::EXIT_IDLE, "no work for 30s");
  EXPECT_EQ(exit_code_, 77);
}

TEST_F(AgentGoodbyeTest, AWorkerThatGotWorkStaysForItsWholeIdleLimit) {
  config_.idle_exit = absl::Minutes(5);
  config_.first_idle_exit = absl::Seconds(30);
  FakeTrainer& trainer = StartTraining(1);
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Exit(0);
  Settle();
  Pass(absl::Seconds(35));
  coordinator_.Grant({});
  Settle();
  EXPECT_FALSE(exit_code_.has_value());
}

TEST_F(AgentGoodbyeTest, HeartbeatsSayWhichSlotsAreIdleAndWhenTheWorkerEnds) {
  config_.slots = 3;
  config_.walltime = absl::Hours(1);
  config_.idle_exit = absl::Seconds(10);
  const int64_t ends = clock_.NowMillis() + 3'600'000;
  StartTraining(1);
  Pass(absl::Seconds(2));
  EXPECT_EQ(coordinator_.heartbeats.back().idle_slots(), 0u);
  EXPECT_EQ(coordinator_.heartbeats.back().ends_ms(), ends);
  Pass(absl::Seconds(10));
  EXPECT_EQ(coordinator_.heartbeats.back().idle_slots(), 2u);
}

TEST_F(AgentGoodbyeTest, AfterTheTimeoutWithoutTheCoordinatorTheWorkIsSavedAndTheWorkerEnds) {
  config_.coordinator_timeout = absl::Minutes(2);
  config_.idle_exit = absl::Seconds(30);
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.GoDown();
  Pass(absl::Seconds(115));
  EXPECT_THAT(trainer.signals, IsEmpty()) << "it works";
  Pass(absl::Seconds(10));
  EXPECT_THAT(trainer.signals, ::testing::ElementsAre(SIGTERM));
  Release(trainer);
  Pass(absl::Seconds(3));
  EXPECT_EQ(exit_code_, 81);
  EXPECT_THAT(exit_message_, HasSubstr("could not be reached for 2m"));
  EXPECT_THAT(Spools(), SizeIs(1));
}

TEST_F(AgentGoodbyeTest, AnIdleWorkerDoesNotWaitForTheCoordinatorBeyondItsIdleLimit) {
  config_.coordinator_timeout = absl::Minutes(30);
  config_.idle_exit = absl::Seconds(30);
  coordinator_.down = true;
  StartAgent();
  Pass(absl::Seconds(28));
  EXPECT_FALSE(exit_code_.has_value());
  Pass(absl::Seconds(5));
  EXPECT_EQ(exit_code_, 81);
}

TEST_F(AgentGoodbyeTest, ACoordinatorThatComesBackInTimeIsForgiven) {
  config_.coordinator_timeout = absl::Minutes(2);
  StartTraining(1);
  for (int i = 0; i < 3; ++i) {
    coordinator_.GoDown();
    Pass(absl::Seconds(90));
    coordinator_.down = false;
    Pass(absl::Seconds(20));
  }
  EXPECT_FALSE(exit_code_.has_value());
}

}  // namespace
}  // namespace coppice::worker
