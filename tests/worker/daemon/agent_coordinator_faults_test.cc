// The agent under faults of the coordinator: refusals, answers that are lost or impossible,
// absence, overload.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "common/base/retry_after.h"
#include "tests/worker/daemon/agent_fixture.h"
#include "worker/daemon/grant_check.h"

namespace coppice::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using AgentCoordinatorFaultsTest = AgentFixture;

TEST_F(AgentCoordinatorFaultsTest, AnAnswerThatTheLeaseIsOverStopsTheTrainerAndDropsTheRecords) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(1);
  trainer.Metrics(0, 10);
  Settle();
  v1::AttemptAnswer stale = FakeCoordinator::AnswerOf(1, 0);
  stale.set_over(true);
  coordinator_.Answer(stale);
  Settle();
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  trainer.Checkpoint(0, 20);
  trainer.End("preempted", 0, 20);
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("checkpoint"), IsEmpty());
  EXPECT_THAT(coordinator_.Seen("release"), IsEmpty());
  EXPECT_THAT(Spools(), IsEmpty());
}

TEST_F(AgentCoordinatorFaultsTest, ARefusedRecordFailsTheAttempt) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(1);
  v1::AttemptAnswer refused = FakeCoordinator::AnswerOf(1, 0);
  refused.mutable_refusal()->set_code(static_cast<uint32_t>(absl::StatusCode::kInvalidArgument));
  refused.mutable_refusal()->set_message("not JSON");
  coordinator_.Answer(refused);
  Settle();
  ASSERT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 internal"));
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("not JSON"));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
}

TEST_F(AgentCoordinatorFaultsTest, ARecordThatTheCoordinatorCannotReadFailsItsAttemptAndNoOther) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(2);
  Settle();
  coordinator_.acknowledge = true;
  // The coordinator cannot read the start of job 2.
  coordinator_.unreadable = "start 2:1";
  coordinator_.BreakStream(absl::InvalidArgumentError("what is that"));
  Pass(absl::Seconds(10));
  EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 2:1 internal"));
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("what is that"));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  trainer.Checkpoint(0, 5);
  trainer.End("preempted", 0, 5);
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 5"));
}

TEST_F(AgentCoordinatorFaultsTest, ACompletionThatIsRefusedFailsTheAttempt) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["complete"].push_back(absl::FailedPreconditionError("a row lacks"));
  const auto file = WriteCheckpoint("job-1/attempt-1/step-1000.safetensors", 1000, "whole");
  trainer.Checkpoint(0, 1000, file.digest());
  trainer.End("done", 0, 1000);
  trainer.Exit(0);
  Settle();
  EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 internal"));
  EXPECT_THAT(Spools(), IsEmpty());
}

TEST_F(AgentCoordinatorFaultsTest, AfterANewRegistrationRecordsGoOverANewStream) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["Heartbeat"].push_back(absl::NotFoundError(""));
  Pass(absl::Seconds(1));
  const int streams = coordinator_.streams;
  trainer.Metrics(0, 10);
  Settle();
  EXPECT_EQ(coordinator_.streams, streams + 1);
  EXPECT_THAT(coordinator_.Seen("row"), SizeIs(1));
}

TEST_F(AgentCoordinatorFaultsTest, ACheckpointOfAnOldAttemptEndsTheLease) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["checkpoint"].push_back(absl::AbortedError("attempt 1 is over"));
  trainer.Checkpoint(0, 10);
  Settle();
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), IsEmpty());
}

TEST_F(AgentCoordinatorFaultsTest, AForgottenWorkerRegistersAgainWithWhatItHolds) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["Heartbeat"].push_back(absl::NotFoundError("no such worker"));
  Pass(absl::Seconds(1));
  ASSERT_THAT(coordinator_.registrations, SizeIs(2));
  ASSERT_EQ(coordinator_.registrations[1].held_size(), 1);
  EXPECT_EQ(coordinator_.registrations[1].held(0).lease().job_id(), 1u);
  EXPECT_EQ(coordinator_.registrations[0].instance(), coordinator_.registrations[1].instance());
  trainer.Checkpoint(0, 10);
  Pass(absl::Seconds(1));
  EXPECT_EQ(coordinator_.heartbeats.back().worker_id(), "w2");
  EXPECT_THAT(trainer.signals, IsEmpty());
}

TEST_F(AgentCoordinatorFaultsTest, NotFoundFromTheStreamMeansTheWorker) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["checkpoint"].push_back(absl::NotFoundError(""));
  trainer.Checkpoint(0, 10);
  Pass(absl::Seconds(1));
  EXPECT_THAT(coordinator_.registrations, SizeIs(2));
  EXPECT_THAT(coordinator_.Seen("checkpoint"), SizeIs(1));
  EXPECT_THAT(trainer.signals, IsEmpty());
}

TEST_F(AgentCoordinatorFaultsTest, NotFoundFromAnUploadMeansTheWorkerFirstAndTheJobThen) {
  config_.pack.checkpoints = {root_ + "/scratch", false};
  std::filesystem::create_directory(root_ + "/scratch");
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["UploadCheckpoint"].push_back(absl::NotFoundError(""));
  trainer.Checkpoint(0, 10);
  Settle();
  EXPECT_THAT(coordinator_.registrations, SizeIs(2));
  EXPECT_THAT(coordinator_.Seen("checkpoint"), SizeIs(1));
  EXPECT_THAT(trainer.signals, IsEmpty());
  coordinator_.errors["UploadCheckpoint"] = {absl::NotFoundError(""), absl::NotFoundError("")};
  trainer.Checkpoint(0, 20);
  Settle();
  EXPECT_THAT(coordinator_.Seen("checkpoint"), SizeIs(1));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
}

TEST_F(AgentCoordinatorFaultsTest, ACoordinatorThatIsAwayChangesNothingAndGetsEverythingLater) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.GoDown();
  for (int step = 100; step < 1000; step += 100) trainer.Metrics(0, step);
  trainer.Checkpoint(0, 900);
  Pass(absl::Minutes(10));
  trainer.Metrics(0, 1000);
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Exit(0);
  Pass(absl::Minutes(1));
  EXPECT_THAT(trainer.signals, IsEmpty());
  EXPECT_THAT(coordinator_.Seen("row"), IsEmpty());
  EXPECT_THAT(Spools(), SizeIs(1));
  coordinator_.down = false;
  Pass(absl::Seconds(10));
  const auto rows = coordinator_.Seen("row");
  ASSERT_THAT(rows, SizeIs(10));
  for (int i = 0; i < 10; ++i) {
    // The checkpoint of step 900 has a number, too.
    EXPECT_EQ(rows[static_cast<size_t>(i)],
              absl::StrCat("row 1:1#", i < 9 ? i + 2 : i + 3, " step ", 100 * (i + 1)));
  }
  EXPECT_THAT(coordinator_.Seen("checkpoint"),
              ElementsAre("checkpoint 1:1 step 900", "checkpoint 1:1 step 1000"));
  EXPECT_EQ(coordinator_.seen.back(), "complete 1:1 step 1000");
  EXPECT_THAT(Spools(), IsEmpty());
}

TEST_F(AgentCoordinatorFaultsTest, ABrokenStreamIsReplacedAndTheUnacknowledgedSentAgainInOrder) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(1);
  trainer.Metrics(0, 10);
  trainer.Metrics(0, 20);
  Settle();
  coordinator_.Acknowledge(1, 1);
  Settle();
  coordinator_.BreakStream(absl::UnavailableError("reset"));
  coordinator_.acknowledge = true;
  coordinator_.seen.clear();
  Pass(absl::Seconds(1));
  EXPECT_THAT(coordinator_.seen, ElementsAre("row 1:1#2 step 10", "row 1:1#3 step 20"));
}

TEST_F(AgentCoordinatorFaultsTest, AStreamThatAcknowledgesNothingIsGivenUp) {
  coordinator_.acknowledge = false;
  StartTraining(1);
  Pass(absl::Seconds(65));
  EXPECT_THAT(coordinator_.Seen("start"), SizeIs(2));
}

TEST_F(AgentCoordinatorFaultsTest, ARequestForWorkIsResentUntilItIsAnswered) {
  coordinator_.errors["AcquireLeases"] = {absl::UnavailableError(""),
                                          absl::DeadlineExceededError("")};
  StartAgent();
  Pass(absl::Seconds(2));
  ASSERT_THAT(coordinator_.acquires, SizeIs(3));
  EXPECT_EQ(coordinator_.acquires[0].request_id(), coordinator_.acquires[2].request_id());
  coordinator_.Grant({});
  Pass(absl::Seconds(1));
  ASSERT_THAT(coordinator_.acquires, SizeIs(4));
  EXPECT_NE(coordinator_.acquires[0].request_id(), coordinator_.acquires[3].request_id());
}

TEST_F(AgentCoordinatorFaultsTest, AnOverloadedCoordinatorIsAskedAgainLaterAndNoJobFailsForIt) {
  const absl::Status overloaded = absl::ResourceExhaustedError("overloaded; try again later");
  coordinator_.errors["AcquireLeases"] = {overloaded, overloaded};
  coordinator_.errors["Heartbeat"] = {overloaded, overloaded, overloaded};
  coordinator_.errors["checkpoint"] = {overloaded, overloaded, overloaded};
  coordinator_.errors["complete"] = {overloaded, overloaded};
  StartAgent();
  Settle();
  EXPECT_THAT(coordinator_.acquires, SizeIs(1)) << "asked again without a pause";
  Pass(absl::Seconds(3));
  ASSERT_EQ(coordinator_.waiting_polls(), 1u);
  coordinator_.Grant(MakeGrant(1));
  Settle();
  FakeTrainer& trainer = launcher_.last();
  trainer.Start({{0, 0}}, 1000);
  trainer.Metrics(0, 500);
  Settle();
  // The stream is refused, too. Its unacknowledged messages are sent again on the next one.
  coordinator_.acknowledge = false;
  trainer.Metrics(0, 1000);
  Settle();
  coordinator_.BreakStream(overloaded);
  coordinator_.acknowledge = true;
  Settle();
  EXPECT_FALSE(coordinator_.stream_open()) << "opened again without a pause";
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Exit(0);
  Pass(absl::Seconds(20));
  EXPECT_THAT(coordinator_.Seen("complete"), SizeIs(1));
  EXPECT_THAT(coordinator_.Seen("checkpoint"), SizeIs(1));
  EXPECT_THAT(coordinator_.failures, IsEmpty());
  EXPECT_THAT(coordinator_.releases, IsEmpty());
  EXPECT_THAT(coordinator_.registrations, SizeIs(1));
  EXPECT_GE(coordinator_.heartbeats.size(), 2u);
}

TEST_F(AgentCoordinatorFaultsTest, ACallWaitsAsLongAsARefusalAsks) {
  coordinator_.errors["AcquireLeases"] = {
      WithRetryAfter(absl::ResourceExhaustedError("overloaded"), absl::Seconds(20))};
  StartAgent();
  Pass(absl::Seconds(19));
  EXPECT_THAT(coordinator_.acquires, SizeIs(1));
  EXPECT_GE(coordinator_.heartbeats.size(), 1u) << "that is another matter";
  Pass(absl::Seconds(2));
  EXPECT_THAT(coordinator_.acquires, SizeIs(2));
}

TEST_F(AgentCoordinatorFaultsTest, ARefusedRegistrationEndsTheWorkerWithTheReason) {
  coordinator_.registration = absl::FailedPreconditionError("protocol 2 is needed, this is 1");
  StartAgent();
  EXPECT_EQ(exit_code_, 80);
  EXPECT_THAT(exit_message_, HasSubstr("protocol 2"));
}

TEST_F(AgentCoordinatorFaultsTest, ARegistrationThatIsRefusedLaterSavesWhatTheTrainersHave) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.registration = absl::FailedPreconditionError("protocol 2 is needed, this is 1");
  coordinator_.errors["Heartbeat"].push_back(absl::NotFoundError(""));
  Pass(absl::Seconds(1));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  trainer.Checkpoint(0, 30);
  trainer.End("preempted", 0, 30);
  trainer.Exit(75);
  Pass(absl::Seconds(5));
  EXPECT_EQ(exit_code_, 80);
  EXPECT_THAT(exit_message_, HasSubstr("protocol 2"));
  EXPECT_THAT(Spools(), SizeIs(1));
}

TEST_F(AgentCoordinatorFaultsTest, AGrantThatLeadsOutOfTheCheckpointFolderIsHandedBack) {
  StartAgent();
  v1::AcquireLeasesResponse grant = MakeGrant(1);
  grant.mutable_leases(0)->set_checkpoint_dir("../elsewhere");
  coordinator_.Grant(grant);
  Settle();
  EXPECT_THAT(launcher_.trainers, IsEmpty());
  EXPECT_THAT(coordinator_.Seen("release"), SizeIs(1));
}

TEST_F(AgentCoordinatorFaultsTest, GrantsThatCannotBeRunAreInvalid) {
  EXPECT_TRUE(CheckGrant(MakeGrant(3), 3).ok());
  EXPECT_FALSE(CheckGrant(MakeGrant(3), 2).ok());
  v1::AcquireLeasesResponse grant = MakeGrant(2);
  grant.mutable_leases(1)->set_seed(0);
  EXPECT_FALSE(CheckGrant(grant, 3).ok());
  grant = MakeGrant(1);
  grant.mutable_leases(0)->mutable_resume()->set_step(1001);
  EXPECT_FALSE(CheckGrant(grant, 3).ok());
  grant = MakeGrant(1);
  for (const std::string& run :
       {std::string(), std::string("[]"), std::string("{"), std::string(R"({"depth": 2})"),
        std::string(R"({"task": "dyck", "train": {"steps": 0}})"),
        std::string(R"({"task": "dyck"} , "members": [{}])"),
        absl::StrCat(R"({"task": "dyck", "x": ")", std::string(kMaxRunBytes, 'x'), R"("})")}) {
    grant.set_run_json(run);
    EXPECT_FALSE(CheckGrant(grant, 3).ok()) << run.substr(0, 60);
  }
}

}  // namespace
}  // namespace coppice::worker
