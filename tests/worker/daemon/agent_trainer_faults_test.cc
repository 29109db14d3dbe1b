// The agent under faults of trainers: crashes, garbage, refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/worker/daemon/agent_fixture.h"

namespace coppice::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using AgentTrainerFaultsTest = AgentFixture;

TEST_F(AgentTrainerFaultsTest, ACrashNamesTheSignalAndBringsTheLogsTail) {
  FakeTrainer& trainer = StartTraining(2);
  trainer.callbacks.on_stderr("cuda: \xff illegal address\n");
  trainer.Die(SIGSEGV);
  Settle();
  ASSERT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 crashed", "fail 2:1 crashed"));
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("SIGSEGV"));
  EXPECT_EQ(coordinator_.failures[0].log_tail(), "cuda: \xEF\xBF\xBD illegal address\n");
  EXPECT_THAT(coordinator_.Seen("log"), SizeIs(2));
  EXPECT_EQ(coordinator_.waiting_polls(), 1u);
}

TEST_F(AgentTrainerFaultsTest, AnExitWithoutAnEndIsAFailure) {
  FakeTrainer& trainer = StartTraining(1);
  trainer.Exit(0);
  Settle();
  ASSERT_THAT(coordinator_.failures, SizeIs(1));
  EXPECT_EQ(coordinator_.failures[0].kind(), "crashed");
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("code 0"));
}

TEST_F(AgentTrainerFaultsTest, ARefusedRunFailsWithTheTrainersSentenceCleanedAndBounded) {
  StartAgent();
  coordinator_.Grant(MakeGrant(2));
  Settle();
  const std::string sentence = "run.train.batch_size is 5000; use a whole number from 1 to 4096";
  launcher_.last().Say(R"({"event":"refused","message":")" + sentence + R"(\u001b[31m"})");
  launcher_.last().Exit(2);
  Settle();
  ASSERT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 refused", "fail 2:1 refused"));
  EXPECT_EQ(coordinator_.failures[0].message(), sentence + " [31m");
  EXPECT_THAT(coordinator_.Seen("release"), IsEmpty());

  Pass(absl::Minutes(1));
  coordinator_.Grant(MakeGrant(1));
  Settle();
  launcher_.last().Say(R"({"event":"refused","message":")" + std::string(4'000, 'x') + R"("})");
  launcher_.last().Exit(2);
  Settle();
  ASSERT_THAT(coordinator_.failures, SizeIs(3));
  EXPECT_EQ(coordinator_.failures[2].message().size(), 1'000u);
}

// A missing spec file or device is this machine's fault. Another worker may train the job.
TEST_F(AgentTrainerFaultsTest, AnExitWithCodeTwoThatRefusesNothingIsTriedAgain) {
  StartAgent();
  coordinator_.Grant(MakeGrant(1));
  Settle();
  launcher_.last().callbacks.on_stderr("coppice-trainer: device cuda was asked for\n");
  launcher_.last().Exit(2);
  Settle();
  EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 internal"));
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("code 2"));
}

TEST_F(AgentTrainerFaultsTest, ATrainerThatWasSignalledByAnotherIsPreempted) {
  FakeTrainer& trainer = StartTraining(1);
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), SizeIs(1));
  EXPECT_THAT(coordinator_.failures, IsEmpty());
}

TEST_F(AgentTrainerFaultsTest, GarbageKillsTheTrainerAndFailsWhoIsUnfinished) {
  FakeTrainer& trainer = StartTraining(2);
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Say("Segmentation fault (core dumped)");
  trainer.Metrics(1, 10);
  Settle();
  EXPECT_THAT(trainer.signals, ElementsAre(SIGKILL));
  trainer.Die(SIGKILL);
  Settle();
  EXPECT_THAT(coordinator_.Seen("complete"), ElementsAre("complete 1:1 step 1000"));
  EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 2:1 garbage"));
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("Segmentation fault"));
  EXPECT_THAT(coordinator_.Seen("row"), IsEmpty());
}

TEST_F(AgentTrainerFaultsTest, ASeedThatDivergesFailsAloneAndItsPackMatesGoOn) {
  FakeTrainer& trainer = StartTraining(2);
  trainer.Say(R"({"event":"failed","seed":0,"step":7,"kind":"nan","message":"loss is nan"})");
  Settle();
  EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 nan"));
  EXPECT_THAT(trainer.signals, IsEmpty());
  trainer.Checkpoint(1, 1000);
  trainer.End("done", 1, 1000);
  trainer.Exit(1);
  Settle();
  EXPECT_THAT(coordinator_.Seen("complete"), ElementsAre("complete 2:1 step 1000"));
}

TEST_F(AgentTrainerFaultsTest, ATrainerThatCannotBeStartedChargesNobodyAndMakesTheSlotWait) {
  StartAgent();
  coordinator_.Grant(MakeGrant(1));
  Settle();
  launcher_.last().DoNotStart(absl::NotFoundError("no such file"));
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), SizeIs(1));
  EXPECT_THAT(coordinator_.failures, IsEmpty());
  EXPECT_EQ(coordinator_.waiting_polls(), 0u);
  Pass(absl::Seconds(6));
  EXPECT_EQ(coordinator_.waiting_polls(), 1u);
}

}  // namespace
}  // namespace coppice::worker
