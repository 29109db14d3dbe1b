// A stalled trainer: its heartbeats, its end, and the cases that are not taken for a stall.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/worker/daemon/agent_fixture.h"
#include "worker/daemon/stall_watch.h"

namespace coppice::worker {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AgentStallTest : public AgentFixture {
 protected:
  FakeTrainer& Train(int members, uint32_t stall_seconds = 0) {
    StartAgent();
    v1::AcquireLeasesResponse grant = MakeGrant(members);
    if (stall_seconds > 0) {
      SetRun(&grant, [stall_seconds](nlohmann::json& run) {
        run["report"]["stall_seconds"] = stall_seconds;
      });
    }
    coordinator_.Grant(grant);
    Settle();
    FakeTrainer& trainer = launcher_.last();
    FakeTrainer::Steps steps;
    for (int seed = 0; seed < members; ++seed) steps.push_back({seed, 0});
    trainer.Start(steps, 1000);
    Settle();
    return trainer;
  }
  // Reports progress as a present-day trainer does.
  void Tick(FakeTrainer& trainer, int step, uint64_t activity, double rate = 602) {
    trainer.Say(absl::StrCat(R"({"event":"progress","members":[{"seed":0,"step":)", step,
                             R"(}],"steps_per_second":)", rate, R"(,"activity":)", activity, "}"));
    Settle();
  }
  const v1::HeldLease& LastHeld() { return coordinator_.heartbeats.back().held(0); }
};

TEST_F(AgentStallTest, TheRateOfATrainerThatIsSilentFallsAndHeartbeatsSaySinceWhen) {
  FakeTrainer& trainer = Train(1);
  for (int i = 1; i <= 5; ++i) {
    Tick(trainer, 1204 * i / 10, 0);
    Pass(absl::Seconds(2));
  }
  EXPECT_EQ(LastHeld().steps_per_second(), 602);
  EXPECT_LT(LastHeld().silent_ms(), 2100u);
  EXPECT_EQ(LastHeld().stall_ms(), 600'000u);
  Pass(absl::Seconds(98));
  EXPECT_NEAR(static_cast<double>(LastHeld().silent_ms()), 100e3, 1100);
  EXPECT_NEAR(LastHeld().steps_per_second(), 602 * 2.0 / 100, 0.3);
  Tick(trainer, 700, 0);
  Pass(absl::Seconds(1));
  EXPECT_EQ(LastHeld().steps_per_second(), 602);
}

TEST_F(AgentStallTest, AtTheLimitThatWasSetItIsKilledAndItsJobsAreChargedWithTheReason) {
  FakeTrainer& trainer = Train(2, 30);
  Pass(absl::Seconds(29));
  EXPECT_THAT(trainer.signals, IsEmpty());
  Pass(absl::Seconds(3));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGKILL));
  trainer.Die(SIGKILL);
  Settle();
  ASSERT_THAT(coordinator_.failures, SizeIs(2));
  EXPECT_EQ(coordinator_.failures[0].kind(), "stalled");
  EXPECT_THAT(coordinator_.failures[0].message(),
              AllOf(HasSubstr("for 30s"), HasSubstr("report.stall_seconds sets")));
  EXPECT_THAT(coordinator_.releases, IsEmpty());
}

TEST_F(AgentStallTest, ProgressByTheClockAloneIsNone) {
  FakeTrainer& trainer = Train(1, 30);
  for (int i = 0; i < 40; ++i) {  // its training thread hangs, its reporting thread does not
    Tick(trainer, 7, 3, 0);
    Pass(absl::Seconds(1));
  }
  EXPECT_THAT(trainer.signals, ElementsAre(SIGKILL));
}

TEST_F(AgentStallTest, ALongEvaluationOrARowOrACheckpointIsProgress) {
  FakeTrainer& trainer = Train(1, 30);
  for (int i = 1; i <= 60; ++i) {
    Tick(trainer, 7, static_cast<uint64_t>(i), 0);  // batches of an evaluation
    Pass(absl::Seconds(2));
  }
  Pass(absl::Seconds(25));
  trainer.Metrics(0, 100);
  Settle();
  Pass(absl::Seconds(25));
  trainer.Checkpoint(0, 100);
  Settle();
  Pass(absl::Seconds(25));
  EXPECT_THAT(trainer.signals, IsEmpty());
}

TEST_F(AgentStallTest, WithoutALimitItsOwnPaceSetsOne) {
  FakeTrainer& trainer = Train(1);
  Pass(absl::Minutes(2));  // a step takes that long
  Tick(trainer, 1, 0);
  EXPECT_THAT(trainer.signals, IsEmpty());
  Pass(absl::Minutes(39));
  EXPECT_THAT(trainer.signals, IsEmpty());
  Pass(absl::Minutes(2));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGKILL));
}

TEST_F(AgentStallTest, DataMayTakeAnHour) {
  StartAgent();
  coordinator_.Grant(MakeGrant(1));
  Settle();
  Pass(absl::Minutes(59));
  EXPECT_THAT(launcher_.last().signals, IsEmpty());
  Pass(absl::Minutes(2));
  EXPECT_THAT(launcher_.last().signals, ElementsAre(SIGKILL));
}

TEST_F(AgentStallTest, AMachineThatWasSuspendedIsNotATrainerThatHangs) {
  FakeTrainer& trainer = Train(1, 30);
  Tick(trainer, 1, 0);
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(absl::Hours(1));  // at once: nothing ran meanwhile
    Settle();
  }
  EXPECT_THAT(trainer.signals, IsEmpty());
  Tick(trainer, 2, 0);
  Pass(absl::Seconds(29));
  EXPECT_THAT(trainer.signals, IsEmpty());
  Pass(absl::Seconds(3));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGKILL));
}

TEST_F(AgentStallTest, ATrainerThatIsAskedToStopHasItsGraceForThat) {
  config_.pack.grace = absl::Seconds(60);
  config_.grace = absl::Seconds(90);
  FakeTrainer& trainer = Train(1, 30);
  Pass(absl::Seconds(20));
  agent_->Stop("SIGTERM");
  Pass(absl::Seconds(30));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  Pass(absl::Seconds(35));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM, SIGKILL));
  trainer.Die(SIGKILL);
  Settle();
  EXPECT_THAT(coordinator_.failures, IsEmpty());
  EXPECT_THAT(coordinator_.releases, SizeIs(1));
}

}  // namespace
}  // namespace coppice::worker
