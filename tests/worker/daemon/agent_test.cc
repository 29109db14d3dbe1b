// The agent with an available coordinator and well-behaved trainers: leases, the order of records,
// preemption, drain, stop.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "common/rpc/channel.h"
#include "tests/worker/daemon/agent_fixture.h"

namespace coppice::worker {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using AgentTest = AgentFixture;

TEST_F(AgentTest, RegistersAndAsksForWorkWithEachSlot) {
  config_.slots = 2;
  StartAgent();
  ASSERT_THAT(coordinator_.registrations, SizeIs(1));
  EXPECT_EQ(coordinator_.registrations[0].name(), "worker");
  EXPECT_EQ(coordinator_.registrations[0].protocol(), rpc::kProtocolVersion);
  EXPECT_TRUE(coordinator_.registrations[0].shared_checkpoints());
  ASSERT_THAT(coordinator_.acquires, SizeIs(2));
  EXPECT_EQ(coordinator_.acquires[0].worker_id(), "w1");
  EXPECT_EQ(coordinator_.acquires[0].pack_width(), 3u);
  EXPECT_NE(coordinator_.acquires[0].slot(), coordinator_.acquires[1].slot());
  EXPECT_NE(coordinator_.acquires[0].request_id(), coordinator_.acquires[1].request_id());
}

TEST_F(AgentTest, TheRunSpecHoldsWhatTheTrainerNeeds) {
  config_.pack.threads = 3;
  config_.pack.device = "cpu";
  StartTraining(2);
  const auto spec = Spec();
  EXPECT_EQ(spec["run"]["task"], "question");
  EXPECT_EQ(spec["prune"], false);
  EXPECT_EQ(spec["threads"], 3);
  EXPECT_EQ(spec["device"], "cpu");
  ASSERT_EQ(spec["members"].size(), 2u);
  EXPECT_EQ(spec["members"][1]["seed"], 1);
  EXPECT_EQ(spec["members"][1]["checkpoint_dir"], root_ + "/checkpoints/job-2/attempt-1");
  EXPECT_FALSE(spec["members"][1].contains("resume"));
  EXPECT_TRUE(std::filesystem::is_directory(root_ + "/checkpoints/job-2/attempt-1"));
  EXPECT_EQ(launcher_.last().command.argv[0], "/bin/trainer");
  EXPECT_THAT(launcher_.last().command.environment,
              Contains(std::make_pair("OMP_NUM_THREADS", "3")));
}

// The text is the coordinator's, and the trainer's reader judges it.
TEST_F(AgentTest, TheRunGoesIntoTheRunSpecAsItCame) {
  StartAgent();
  v1::AcquireLeasesResponse grant = MakeGrant(1);
  const std::string run =
      R"({ "depth":2, "task":"question","train":{"learning_rate":1.0E-4,"steps":1000}, "new": [1.50] })";
  grant.set_run_json(run);
  coordinator_.Grant(grant);
  Settle();
  ASSERT_THAT(launcher_.trainers, SizeIs(1));
  EXPECT_THAT(*ReadFile(launcher_.last().command.argv.at(2)), HasSubstr("{\"run\": " + run + ","));
}

// Text of an earlier version lacks later settings, which then have their defaults.
TEST_F(AgentTest, ARunThatDoesNotSayItsStepsHasThoseOfItsTask) {
  EXPECT_EQ(ReadGrantedRun(R"({"task": "question", "depth": 2})")->steps, 300'000u);
  EXPECT_EQ(ReadGrantedRun(R"({"task": "dyck", "depth": 2})")->steps, 400'000u);
  const auto run = ReadGrantedRun(
      R"({"task": "dyck", "depth": 3, "train": {"steps": 7}, "report": {"stall_seconds": 90}})");
  EXPECT_EQ(run->steps, 7u);
  EXPECT_EQ(run->depth, 3u);
  EXPECT_EQ(run->stall, absl::Seconds(90));
}

TEST_F(AgentTest, EverythingOfAnAttemptGoesInOneOrderAndTheSpoolGoesWithTheEnding) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(1);
  trainer.Metrics(0, 1000);
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Exit(0);
  Settle();
  EXPECT_THAT(coordinator_.seen, ElementsAre("start 1:1#1", "row 1:1#2 step 1000",
                                             "checkpoint 1:1 step 1000", "complete 1:1 step 1000"));
  coordinator_.Acknowledge(1, 3);
  Settle();
  EXPECT_THAT(Spools(), SizeIs(1));
  v1::AttemptAnswer taken = FakeCoordinator::AnswerOf(1, 4);
  taken.set_over(true);
  coordinator_.Answer(taken);
  Settle();
  EXPECT_THAT(Spools(), IsEmpty());
  EXPECT_EQ(coordinator_.waiting_polls(), 1u);
}

TEST_F(AgentTest, RowsBehindACheckpointDoNotWaitForIt) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(1);
  trainer.Checkpoint(0, 100);
  trainer.Metrics(0, 200);
  Settle();
  EXPECT_THAT(coordinator_.seen,
              ElementsAre("start 1:1#1", "checkpoint 1:1 step 100", "row 1:1#3 step 200"));
}

TEST_F(AgentTest, DuplicateOldAndImpossibleAcknowledgementsChangeNothing) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(1);
  trainer.Metrics(0, 100);
  trainer.Metrics(0, 200);
  Settle();
  for (const uint64_t number : {2, 1, 2, 0, 99}) coordinator_.Acknowledge(1, number);
  coordinator_.Acknowledge(7, 1);
  Settle();
  coordinator_.seen.clear();
  coordinator_.BreakStream(absl::UnavailableError("reset"));
  Pass(absl::Seconds(1));
  EXPECT_THAT(coordinator_.seen, ElementsAre("row 1:1#3 step 200"));
}

TEST_F(AgentTest, AtMostAWindowOfRecordsIsUnacknowledged) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(1);
  for (int step = 1; step <= 1000; ++step) trainer.Metrics(0, step);
  Settle();
  EXPECT_THAT(coordinator_.seen, SizeIs(RecordPump::kWindow));
  coordinator_.Acknowledge(1, 10);
  Settle();
  EXPECT_THAT(coordinator_.seen, SizeIs(RecordPump::kWindow + 10));
}

TEST_F(AgentTest, HeartbeatsPresentEveryLeaseWithItsStepAndSpeed) {
  FakeTrainer& trainer = StartTraining(2);
  trainer.Progress({{0, 40}, {1, 40}});
  Pass(absl::Seconds(1));
  ASSERT_FALSE(coordinator_.heartbeats.empty());
  const v1::HeartbeatRequest& heartbeat = coordinator_.heartbeats.back();
  ASSERT_EQ(heartbeat.held_size(), 2);
  EXPECT_EQ(heartbeat.held(1).lease().job_id(), 2u);
  EXPECT_EQ(heartbeat.held(1).step(), 40u);
  EXPECT_EQ(heartbeat.held(1).steps_per_second(), 12.5);
}

TEST_F(AgentTest, PreemptionCheckpointsReleasesAndIsNotAFailure) {
  FakeTrainer& trainer = StartTraining(2);
  coordinator_.directives[1] = v1::Directive::PREEMPT;
  Pass(absl::Seconds(1));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  Pass(absl::Seconds(3));  // every heartbeat repeats the directive
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  for (int seed = 0; seed < 2; ++seed) {
    trainer.Checkpoint(seed, 30);
    trainer.End("preempted", seed, 30);
  }
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"),
              ElementsAre("release 1:1 step 30", "release 2:1 step 30"));
  EXPECT_EQ(coordinator_.releases[0].reason(), "for a reason");
  EXPECT_THAT(coordinator_.failures, IsEmpty());
  EXPECT_EQ(coordinator_.waiting_polls(), 1u);
}

TEST_F(AgentTest, ATrainerThatIgnoresThePreemptionIsKilledAndItsJobsReleased) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.directives[1] = v1::Directive::PREEMPT;
  Pass(absl::Seconds(30));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM, SIGKILL));
  trainer.Die(SIGKILL);
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 0"));
  EXPECT_THAT(coordinator_.failures, IsEmpty());
}

TEST_F(AgentTest, AStoppedJobReportsNothingMoreAndItsPackMateIsPreempted) {
  FakeTrainer& trainer = StartTraining(2);
  coordinator_.directives[1] = v1::Directive::STOP;
  Pass(absl::Seconds(1));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  trainer.Metrics(0, 50);
  trainer.Checkpoint(0, 50);
  trainer.End("preempted", 0, 50);
  trainer.Checkpoint(1, 50);
  trainer.End("preempted", 1, 50);
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("row"), IsEmpty());
  EXPECT_THAT(coordinator_.Seen("checkpoint"), ElementsAre("checkpoint 2:1 step 50"));
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 2:1 step 50"));
}

TEST_F(AgentTest, ATrainerOfStoppedJobsAloneIsKilledSoon) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.directives[1] = v1::Directive::STOP;
  Pass(absl::Seconds(7));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM, SIGKILL));
  trainer.Die(SIGKILL);
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), IsEmpty());
  EXPECT_THAT(coordinator_.Seen("fail"), IsEmpty());
  EXPECT_EQ(coordinator_.waiting_polls(), 1u);
}

TEST_F(AgentTest, ADrainedWorkerTakesNothingNewAndStaysUntilItIsUndone) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.drain = true;
  Pass(absl::Seconds(1));
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Exit(0);
  Pass(absl::Seconds(2));
  EXPECT_EQ(coordinator_.waiting_polls(), 0u);
  EXPECT_FALSE(exit_code_.has_value());
  EXPECT_TRUE(coordinator_.heartbeats.back().draining());
  coordinator_.drain = false;
  Pass(absl::Seconds(1));
  EXPECT_EQ(coordinator_.waiting_polls(), 1u);
}

TEST_F(AgentTest, ADrainEndsAPollThatWaitsAndTheSameRequestIsSentAgainLater) {
  StartAgent();
  const std::string request = coordinator_.acquires.back().request_id();
  coordinator_.drain = true;
  Pass(absl::Seconds(2));
  EXPECT_EQ(coordinator_.waiting_polls(), 0u);
  coordinator_.drain = false;
  Pass(absl::Seconds(6));
  EXPECT_EQ(coordinator_.waiting_polls(), 1u);
  EXPECT_EQ(coordinator_.acquires.back().request_id(), request);
}

TEST_F(AgentTest, ExitsWhenDrainedIfAskedTo) {
  config_.exit_when_drained = true;
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.drain = true;
  Pass(absl::Seconds(1));
  EXPECT_FALSE(exit_code_.has_value());
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Exit(0);
  Settle();
  EXPECT_EQ(exit_code_, 78);
}

TEST_F(AgentTest, ExitsWhenThereWasNoWorkForLongEnough) {
  config_.idle_exit = absl::Seconds(30);
  StartAgent();
  Pass(absl::Seconds(20));
  coordinator_.Grant({});
  Settle();
  EXPECT_FALSE(exit_code_.has_value());
  Pass(absl::Seconds(20));
  coordinator_.Grant({});
  Settle();
  EXPECT_EQ(exit_code_, 77);
}

TEST_F(AgentTest, ACoordinatorThatDoesNotWaitIsNotAskedInATightLoop) {
  StartAgent();
  for (int i = 0; i < 100; ++i) {
    if (coordinator_.waiting_polls() > 0) coordinator_.Grant({});
    Pass(absl::Milliseconds(100));
  }
  EXPECT_LT(coordinator_.acquires.size(), 40u);
  EXPECT_GT(coordinator_.acquires.size(), 2u);
}

TEST_F(AgentTest, StopCheckpointsReleasesAndExits) {
  FakeTrainer& trainer = StartTraining(1);
  agent_->Stop("SIGTERM");
  Settle();
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  EXPECT_EQ(coordinator_.waiting_polls(), 0u);
  trainer.Checkpoint(0, 20);
  trainer.End("preempted", 0, 20);
  Settle();
  EXPECT_FALSE(exit_code_.has_value());
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 20"));
  EXPECT_THAT(coordinator_.releases[0].reason(), HasSubstr("SIGTERM"));
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(AgentTest, StopKillsATrainerThatHangsAndStillExitsInTime) {
  FakeTrainer& trainer = StartTraining(1);
  agent_->Stop("SIGTERM");
  Pass(absl::Seconds(23));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM, SIGKILL));
  trainer.Die(SIGKILL);
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 0"));
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(AgentTest, WorkThatIsGrantedToAStoppingWorkerIsHandedBack) {
  config_.slots = 2;
  StartTraining(1);
  v1::AcquireLeasesResponse grant = MakeGrant(2);
  grant.mutable_leases()->DeleteSubrange(0, 1);
  agent_->Stop("SIGTERM");
  coordinator_.Grant(grant);  // was already on its way
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 2:1 step 0"));
  EXPECT_THAT(launcher_.trainers, SizeIs(1));
}

}  // namespace
}  // namespace coppice::worker
