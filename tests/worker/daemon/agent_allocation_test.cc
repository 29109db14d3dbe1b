// An agent in an allocation: its end may move, and each slot's trainer has one GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/worker/daemon/agent_fixture.h"

namespace coppice::worker {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

class AgentAllocationTest : public AgentFixture {
 protected:
  AgentAllocationTest() { config_.walltime_margin = absl::Minutes(2); }
  void EndIn(absl::Duration left) {
    agent_->SetEnd(clock_.Now() + left);
    Settle();
  }
};

TEST_F(AgentAllocationTest, TheCoordinatorIsToldWhereTheWorkerRuns) {
  config_.allocation.system = "slurm";
  config_.allocation.job_id = "120_4";
  config_.allocation.raw_job_id = "123";
  config_.allocation.restarts = 2;
  config_.allocation.pool_key = "ab-low-7";
  config_.slot_devices = {"GPU-5ebe9f43"};
  StartAgent();
  const v1::Allocation& told = coordinator_.registrations[0].allocation();
  EXPECT_EQ(told.system(), "slurm");
  EXPECT_EQ(told.job_id(), "120_4");
  EXPECT_EQ(told.raw_job_id(), "123");
  EXPECT_EQ(told.restarts(), 2u);
  EXPECT_EQ(told.pool_key(), "ab-low-7");
  EXPECT_THAT(told.gpus(), ElementsAre("GPU-5ebe9f43"));
}

TEST_F(AgentAllocationTest, AnEndThatIsLearntLaterCountsLikeOneThatWasKnown) {
  FakeTrainer& trainer = StartTraining(1);
  EndIn(absl::Minutes(3));
  Pass(absl::Seconds(65));
  EXPECT_TRUE(coordinator_.heartbeats.back().draining());
  EXPECT_THAT(trainer.signals, IsEmpty());
  Pass(absl::Seconds(81));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
}

TEST_F(AgentAllocationTest, AnEndThatMovesAwayLetsTheWorkerTakeWorkAgain) {
  config_.walltime = absl::Minutes(3);
  config_.slots = 2;
  FakeTrainer& trainer = StartTraining(1);
  Pass(absl::Seconds(65));
  EXPECT_EQ(coordinator_.waiting_polls(), 0u);
  EndIn(absl::Hours(1));
  Pass(absl::Minutes(5));
  EXPECT_THAT(trainer.signals, IsEmpty());
  EXPECT_EQ(coordinator_.waiting_polls(), 1u);
  EXPECT_FALSE(coordinator_.heartbeats.back().draining());
}

TEST_F(AgentAllocationTest, AnEndThatComesNearerIsFollowedToo) {
  config_.walltime = absl::Hours(4);
  FakeTrainer& trainer = StartTraining(1);
  EndIn(absl::Seconds(20));  // the grace of a preemption
  Pass(absl::Seconds(1));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
}

TEST_F(AgentAllocationTest, ALimitThatIsTakenAwayLeavesNoEnd) {
  config_.walltime = absl::Minutes(3);
  FakeTrainer& trainer = StartTraining(1);
  agent_->SetEnd(absl::InfiniteFuture());
  Pass(absl::Minutes(5));
  EXPECT_THAT(trainer.signals, IsEmpty());
  EXPECT_FALSE(exit_code_.has_value());
}

TEST_F(AgentAllocationTest, ALaterRegistrationNamesTheEndThatWasLearnt) {
  StartAgent();
  EXPECT_EQ(coordinator_.registrations.back().ends_ms(), 0);
  const absl::Time end = clock_.Now() + absl::Hours(1);
  EndIn(absl::Hours(1));
  coordinator_.errors["Heartbeat"].push_back(absl::NotFoundError(""));
  Pass(absl::Seconds(10));
  ASSERT_THAT(coordinator_.registrations, SizeIs(2));
  EXPECT_EQ(coordinator_.registrations.back().ends_ms(), absl::ToUnixMillis(end));
}

TEST_F(AgentAllocationTest, EachSlotsTrainerSeesTheGpuOfItsSlotAlone) {
  config_.slots = 2;
  config_.pack_width = 1;
  config_.slot_devices = {"GPU-5ebe9f43", "MIG-GPU-7/1/0"};
  StartAgent();
  coordinator_.Grant(MakeGrant(1));
  Settle();
  v1::AcquireLeasesResponse second = MakeGrant(1);
  second.mutable_leases(0)->mutable_lease()->set_job_id(2);
  second.mutable_leases(0)->set_checkpoint_dir("job-2/attempt-1");
  coordinator_.Grant(second);
  Settle();
  ASSERT_THAT(launcher_.trainers, SizeIs(2));
  EXPECT_THAT(launcher_.trainers[0]->command.environment,
              Contains(Pair("CUDA_VISIBLE_DEVICES", "GPU-5ebe9f43")));
  EXPECT_THAT(launcher_.trainers[1]->command.environment,
              Contains(Pair("CUDA_VISIBLE_DEVICES", "MIG-GPU-7/1/0")));
}

TEST_F(AgentAllocationTest, WithoutDevicesATrainerSeesWhatTheWorkerSees) {
  FakeTrainer& trainer = StartTraining(1);
  EXPECT_THAT(trainer.command.environment,
              Not(Contains(Pair("CUDA_VISIBLE_DEVICES", ::testing::_))));
}

}  // namespace
}  // namespace coppice::worker
