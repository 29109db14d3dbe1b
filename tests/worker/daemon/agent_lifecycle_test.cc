// The end of the agent and its causes: the walltime, a second signal, trainers that others stopped
// or that ran out of memory.
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

class AgentLifecycleTest : public AgentFixture {
 protected:
  void Walltime(absl::Duration total, absl::Duration margin) {
    config_.walltime = total;
    config_.walltime_margin = margin;
  }
  void Finish(FakeTrainer& trainer) {
    trainer.Checkpoint(0, 1000);
    trainer.End("done", 0, 1000);
    trainer.Exit(0);
    Settle();
  }
  void FailForMemory(FakeTrainer& trainer, int seed) {
    trainer.Say(absl::StrCat(R"({"event":"failed","seed":)", seed,
                             R"(,"step":0,"kind":"out_of_memory","message":"no memory"})"));
  }
};

TEST_F(AgentLifecycleTest, TheCoordinatorIsToldWhenTheWalltimeEnds) {
  Walltime(absl::Minutes(10), absl::Seconds(85));
  StartAgent();
  EXPECT_EQ(coordinator_.registrations[0].ends_ms(), clock_.NowMillis() + 600'000);
}

TEST_F(AgentLifecycleTest, WithoutAWalltimeThereIsNoEnd) {
  StartAgent();
  EXPECT_EQ(coordinator_.registrations[0].ends_ms(), 0);
  Pass(absl::Minutes(5));
  EXPECT_FALSE(exit_code_.has_value());
}

TEST_F(AgentLifecycleTest, NearTheEndOfTheWalltimeNoNewLeaseIsTakenAndAnIdleWorkerLeaves) {
  Walltime(absl::Minutes(3), absl::Minutes(2));
  FakeTrainer& trainer = StartTraining(1);
  Pass(absl::Seconds(65));
  EXPECT_THAT(trainer.signals, IsEmpty());  // the running pack goes on
  EXPECT_TRUE(coordinator_.heartbeats.back().draining());
  Finish(trainer);
  EXPECT_EQ(coordinator_.waiting_polls(), 0u);
  EXPECT_EQ(exit_code_, 76);
}

TEST_F(AgentLifecycleTest, TheLastLeaseIsStillTakenBeforeTheMargin) {
  Walltime(absl::Minutes(3), absl::Minutes(2));
  StartAgent();
  Pass(absl::Seconds(55));
  coordinator_.Grant(MakeGrant(1));
  Settle();
  EXPECT_THAT(launcher_.trainers, SizeIs(1));
}

TEST_F(AgentLifecycleTest, AWorkerPreemptsItselfBeforeItsWalltimeEnds) {
  Walltime(absl::Minutes(3), absl::Minutes(2));
  FakeTrainer& trainer = StartTraining(1);
  Pass(absl::Seconds(144));
  EXPECT_THAT(trainer.signals, IsEmpty());
  Pass(absl::Seconds(2));  // 35 seconds before the end: the grace period and a reserve
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  trainer.Checkpoint(0, 20);
  trainer.End("preempted", 0, 20);
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 20"));
  EXPECT_THAT(coordinator_.releases[0].reason(), HasSubstr("walltime"));
  EXPECT_FALSE(coordinator_.releases[0].has_lost());
  EXPECT_EQ(exit_code_, 76);
}

TEST_F(AgentLifecycleTest, LeavingAtOnceKillsTheTrainersAndStillGivesTheLeasesBack) {
  FakeTrainer& trainer = StartTraining(1);
  agent_->Stop("SIGTERM");
  Settle();
  agent_->Leave("SIGTERM");
  Settle();
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM, SIGKILL));
  trainer.Die(SIGKILL);
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 0"));
  EXPECT_EQ(exit_code_, 1);
  EXPECT_THAT(exit_message_, HasSubstr("at once"));
}

TEST_F(AgentLifecycleTest, LeavingAtOnceWaitsForNobody) {
  StartTraining(1);
  coordinator_.GoDown();
  agent_->Stop("SIGTERM");
  Settle();
  agent_->Leave("SIGTERM");
  Pass(absl::Milliseconds(1100));
  EXPECT_EQ(exit_code_, 1);
}

TEST_F(AgentLifecycleTest, ATrainerThatSomebodyElseStoppedIsNobodysFailure) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) {
    FakeTrainer& trainer = StartTraining(1);
    trainer.Die(signal);
    Settle();
    EXPECT_THAT(coordinator_.failures, IsEmpty()) << signal;
    EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 0")) << signal;
    EXPECT_EQ(coordinator_.waiting_polls(), 0u);  // the others will probably be stopped soon, too
    KillAgent();
    coordinator_.seen.clear();
    launcher_.trainers.clear();
  }
}

TEST_F(AgentLifecycleTest, APackTooWideForTheMemoryIsReleasedWithItsWidth) {
  FakeTrainer& trainer = StartTraining(3);
  for (int seed = 0; seed < 3; ++seed) FailForMemory(trainer, seed);
  trainer.Exit(1);
  Settle();
  EXPECT_THAT(coordinator_.failures, IsEmpty());
  ASSERT_THAT(coordinator_.releases, SizeIs(3));
  for (const auto& release : coordinator_.releases) {
    EXPECT_EQ(release.too_wide().width(), 3u);
    EXPECT_THAT(release.reason(), HasSubstr("pack of 3"));
  }
  // The next pack is requested only once the coordinator knows.
  EXPECT_EQ(coordinator_.waiting_polls(), 0u);
  Pass(absl::Seconds(6));
  EXPECT_EQ(coordinator_.waiting_polls(), 1u);
}

TEST_F(AgentLifecycleTest, APackThatTheKernelKilledForMemoryIsReleasedWithItsWidth) {
  FakeTrainer& trainer = StartTraining(2);
  ProcessExit exit;
  exit.signal = SIGKILL;
  exit.out_of_memory = true;
  trainer.callbacks.on_exit(exit);
  Settle();
  EXPECT_THAT(coordinator_.failures, IsEmpty());
  ASSERT_THAT(coordinator_.releases, SizeIs(2));
  EXPECT_EQ(coordinator_.releases[1].too_wide().width(), 2u);
}

TEST_F(AgentLifecycleTest, AJobThatDoesNotFitAloneFailsAndSaysWhatHelps) {
  FakeTrainer& trainer = StartTraining(1);
  FailForMemory(trainer, 0);
  trainer.Exit(1);
  Settle();
  EXPECT_THAT(coordinator_.releases, IsEmpty());
  ASSERT_THAT(coordinator_.failures, SizeIs(1));
  EXPECT_EQ(coordinator_.failures[0].kind(), "out_of_memory");
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("more of it"));
}

TEST_F(AgentLifecycleTest, AKillThatNobodyExplainsIsACrash) {
  FakeTrainer& trainer = StartTraining(2);
  trainer.Die(SIGKILL);
  Settle();
  EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 crashed", "fail 2:1 crashed"));
}

TEST_F(AgentLifecycleTest, AKilledPackOfAStoppingWorkerSaysNothingAboutMemory) {
  FakeTrainer& trainer = StartTraining(2);
  agent_->Stop("SIGTERM");
  Pass(absl::Seconds(23));
  ProcessExit exit;
  exit.signal = SIGKILL;
  exit.out_of_memory = true;
  trainer.callbacks.on_exit(exit);
  Settle();
  ASSERT_THAT(coordinator_.releases, SizeIs(2));
  EXPECT_EQ(coordinator_.releases[0].too_wide().width(), 0u);
}

TEST_F(AgentLifecycleTest, WhatAKilledWorkerHeldIsReleasedAsLost) {
  StartTraining(1);
  KillAgent();
  StartAgent();
  Pass(absl::Seconds(1));
  ASSERT_THAT(coordinator_.releases, SizeIs(1));
  EXPECT_TRUE(coordinator_.releases[0].has_lost());
}

TEST_F(AgentLifecycleTest, AWorkerIsAskedToConfirmThatItIsStillThereAndDoesSoWithItsNumber) {
  v1::RegisterResponse confirm;
  confirm.set_confirm(true);
  confirm.set_incarnation(7);
  coordinator_.register_answers = {confirm};
  StartAgent();
  Pass(kTick);
  ASSERT_THAT(coordinator_.registrations, SizeIs(2));
  EXPECT_EQ(coordinator_.registrations[0].incarnation(), 0u);
  EXPECT_EQ(coordinator_.registrations[1].incarnation(), 7u);
  EXPECT_EQ(coordinator_.registrations[0].instance(), coordinator_.registrations[1].instance());
  EXPECT_EQ(coordinator_.waiting_polls(), 1u);
}

TEST_F(AgentLifecycleTest, ASupersededWorkerSaysByWhomKillsItsTrainersAndIsGone) {
  FakeTrainer& trainer = StartTraining(2);
  trainer.Metrics(0, 100);
  Settle();
  coordinator_.errors["Heartbeat"] = {absl::NotFoundError("")};
  v1::RegisterResponse superseded;
  superseded.mutable_superseded_by()->set_host("beta");
  superseded.mutable_superseded_by()->set_since_ms(1'700'000'000'000);
  coordinator_.register_answers = {superseded};
  Pass(absl::Seconds(1));
  EXPECT_THAT(trainer.signals, ::testing::Contains(SIGKILL));
  trainer.Die(SIGKILL);
  Settle();
  ASSERT_TRUE(exit_code_.has_value());
  EXPECT_EQ(*exit_code_, 79);
  EXPECT_THAT(exit_message_,
              ::testing::AllOf(HasSubstr("registered from beta at 2023-11-14 22:13:20 UTC"),
                               HasSubstr("--name")));
  EXPECT_THAT(coordinator_.failures, IsEmpty());
  EXPECT_THAT(coordinator_.releases, IsEmpty());
  EXPECT_THAT(Spools(), IsEmpty());  // nobody waits for its remaining records
  Pass(absl::Minutes(5));
  EXPECT_THAT(coordinator_.registrations, SizeIs(2));
}

TEST_F(AgentLifecycleTest, ASupersededWorkerDoesNotWaitForATrainerThatCannotBeKilled) {
  StartTraining(1);
  coordinator_.errors["Heartbeat"] = {absl::NotFoundError("")};
  v1::RegisterResponse superseded;
  superseded.mutable_superseded_by()->set_host("beta");
  coordinator_.register_answers = {superseded};
  Pass(absl::Seconds(3));
  EXPECT_EQ(exit_code_, 79);
}

TEST_F(AgentLifecycleTest, AWorkerThatStopsAndIsSupersededMeanwhileHasStopped) {
  StartTraining(1);
  agent_->Stop("SIGTERM");
  coordinator_.errors["Heartbeat"] = {absl::NotFoundError("")};
  v1::RegisterResponse superseded;
  superseded.mutable_superseded_by()->set_host("beta");
  coordinator_.register_answers = {superseded};
  Pass(absl::Seconds(3));
  EXPECT_EQ(exit_code_, 0);
}

}  // namespace
}  // namespace coppice::worker
