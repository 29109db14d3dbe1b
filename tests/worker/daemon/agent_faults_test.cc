// The agent under faults: of trainers, checkpoints, disks, the coordinator, and the agent itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "common/base/retry_after.h"
#include "tests/worker/daemon/agent_fixture.h"
#include "worker/daemon/grant_check.h"

namespace coppice::worker {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using AgentFaultsTest = AgentFixture;

TEST_F(AgentFaultsTest, ACrashNamesTheSignalAndBringsTheLogsTail) {
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

TEST_F(AgentFaultsTest, AnExitWithoutAnEndIsAFailure) {
  FakeTrainer& trainer = StartTraining(1);
  trainer.Exit(0);
  Settle();
  ASSERT_THAT(coordinator_.failures, SizeIs(1));
  EXPECT_EQ(coordinator_.failures[0].kind(), "crashed");
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("code 0"));
}

TEST_F(AgentFaultsTest, ARefusedRunFailsWithTheTrainersSentenceCleanedAndBounded) {
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
TEST_F(AgentFaultsTest, AnExitWithCodeTwoThatRefusesNothingIsTriedAgain) {
  StartAgent();
  coordinator_.Grant(MakeGrant(1));
  Settle();
  launcher_.last().callbacks.on_stderr("coppice-trainer: device cuda was asked for\n");
  launcher_.last().Exit(2);
  Settle();
  EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 internal"));
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("code 2"));
}

TEST_F(AgentFaultsTest, ATrainerThatWasSignalledByAnotherIsPreempted) {
  FakeTrainer& trainer = StartTraining(1);
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), SizeIs(1));
  EXPECT_THAT(coordinator_.failures, IsEmpty());
}

TEST_F(AgentFaultsTest, GarbageKillsTheTrainerAndFailsWhoIsUnfinished) {
  FakeTrainer& trainer = StartTraining(2);
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Say("Segmentation fault (core dumped)");
  trainer.Metrics(1, 10);
  Settle();
  EXPECT_THAT(trainer.signals, ElementsAre(SIGKILL));
  trainer.Die(SIGKILL);
  Settle();
  EXPECT_THAT(coordinator_.Seen("complete"), ElementsAre("complete 1:1 last 1"));
  EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 2:1 garbage"));
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("Segmentation fault"));
  EXPECT_THAT(coordinator_.Seen("row"), IsEmpty());
}

TEST_F(AgentFaultsTest, ASeedThatDivergesFailsAloneAndItsPackMatesGoOn) {
  FakeTrainer& trainer = StartTraining(2);
  trainer.Say(R"({"event":"failed","seed":0,"step":7,"kind":"nan","message":"loss is nan"})");
  Settle();
  EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 nan"));
  EXPECT_THAT(trainer.signals, IsEmpty());
  trainer.Checkpoint(1, 1000);
  trainer.End("done", 1, 1000);
  trainer.Exit(1);
  Settle();
  EXPECT_THAT(coordinator_.Seen("complete"), ElementsAre("complete 2:1 last 1"));
}

TEST_F(AgentFaultsTest, ATrainerThatCannotBeStartedChargesNobodyAndMakesTheSlotWait) {
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

TEST_F(AgentFaultsTest, AFlippedByteInACheckpointIsRejectedAndTheOneBeforeIsUsed) {
  const v1::Checkpoint newer = WriteCheckpoint("job-1/attempt-0/step-200", 200, "newer");
  const v1::Checkpoint older = WriteCheckpoint("job-1/attempt-0/step-100", 100, "older");
  WriteFile("checkpoints/job-1/attempt-0/step-200", "newfr");
  *coordinator_.reject_answer.mutable_resume() = older;
  StartAgent();
  v1::AcquireLeasesResponse grant = MakeGrant(1);
  *grant.mutable_leases(0)->mutable_resume() = newer;
  coordinator_.Grant(grant);
  Settle();
  ASSERT_THAT(coordinator_.rejections, SizeIs(1));
  EXPECT_EQ(coordinator_.rejections[0].step(), 200u);
  EXPECT_THAT(coordinator_.rejections[0].reason(), HasSubstr("digest"));
  ASSERT_THAT(launcher_.trainers, SizeIs(1));
  EXPECT_EQ(Spec()["members"][0]["resume"], root_ + "/checkpoints/job-1/attempt-0/step-100");
  launcher_.last().Start({{0, 100}}, 1000);
  Settle();
  EXPECT_THAT(launcher_.last().signals, IsEmpty());
  EXPECT_THAT(coordinator_.start_steps, ElementsAre(100u));
}

TEST_F(AgentFaultsTest, WithNoCheckpointLeftTheJobStartsAtStepZero) {
  StartAgent();
  v1::AcquireLeasesResponse grant = MakeGrant(1);
  *grant.mutable_leases(0)->mutable_resume() = WriteCheckpoint("c", 200, "x");
  std::filesystem::remove(root_ + "/checkpoints/c");
  coordinator_.Grant(grant);
  Settle();
  EXPECT_THAT(coordinator_.rejections, SizeIs(1));
  ASSERT_THAT(launcher_.trainers, SizeIs(1));
  EXPECT_FALSE(Spec()["members"][0].contains("resume"));
}

// Found by damaging files continuously: they may also change between the worker's check and the
// trainer's reading.
TEST_F(AgentFaultsTest, AResumeFileThatIsDamagedAfterItsCheckIsNotCharged) {
  for (const bool damaged : {true, false}) {
    coordinator_.seen.clear();
    StartAgent();
    v1::AcquireLeasesResponse grant = MakeGrant(1);
    *grant.mutable_leases(0)->mutable_resume() = WriteCheckpoint("c", 200, "whole");
    coordinator_.Grant(grant);
    Settle();
    if (damaged) WriteFile("checkpoints/c", "whol");
    launcher_.last().Say(
        R"({"event":"failed","seed":0,"step":0,"kind":"checkpoint","message":"cannot read it"})");
    launcher_.last().Exit(1);
    Settle();
    if (damaged) {
      EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 200"));
      ASSERT_THAT(coordinator_.releases, SizeIs(1));
      EXPECT_TRUE(coordinator_.releases[0].lost());
      EXPECT_THAT(coordinator_.releases[0].reason(), HasSubstr("damaged after it was checked"));
      EXPECT_THAT(coordinator_.Seen("fail"), IsEmpty());
    } else {
      EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 checkpoint"));
      EXPECT_THAT(coordinator_.Seen("release"), IsEmpty());
    }
    KillAgent();
  }
}

TEST_F(AgentFaultsTest, AFolderThatIsGoneGivesNoCheckpointUp) {
  StartAgent();
  v1::AcquireLeasesResponse grant = MakeGrant(1);
  *grant.mutable_leases(0)->mutable_resume() = WriteCheckpoint("c", 200, "x");
  std::filesystem::remove_all(root_ + "/checkpoints");
  coordinator_.Grant(grant);
  Settle();
  EXPECT_THAT(coordinator_.rejections, IsEmpty());
  EXPECT_THAT(launcher_.trainers, IsEmpty());
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 200"));
}

TEST_F(AgentFaultsTest, AStaleAnswerStopsTheTrainerAndDropsTheReports) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(1);
  trainer.Metrics(0, 10);
  Settle();
  v1::StreamMetricsResponse stale;
  stale.mutable_lease()->set_job_id(1);
  stale.mutable_lease()->set_attempt(1);
  stale.set_stale(true);
  coordinator_.Answer(stale);
  Settle();
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  trainer.Checkpoint(0, 20);
  trainer.End("preempted", 0, 20);
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("commit"), IsEmpty());
  EXPECT_THAT(coordinator_.Seen("release"), IsEmpty());
  EXPECT_THAT(Spools(), IsEmpty());
}

TEST_F(AgentFaultsTest, ARefusedReportFailsTheAttempt) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(1);
  v1::StreamMetricsResponse refused;
  refused.mutable_lease()->set_job_id(1);
  refused.mutable_lease()->set_attempt(1);
  refused.set_sequence(1);
  refused.set_error("not JSON");
  coordinator_.Answer(refused);
  Settle();
  ASSERT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 internal"));
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("not JSON"));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
}

TEST_F(AgentFaultsTest, AMessageThatTheCoordinatorCannotReadFailsItsAttemptAndNoOther) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(2);
  Settle();
  coordinator_.acknowledge = true;
  // The coordinator cannot read the provenance of job 2.
  coordinator_.unreadable = "provenance 2:1";
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

TEST_F(AgentFaultsTest, ACheckpointThatDoesNotCountIsLeftOutAndTrainingGoesOn) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["CommitCheckpoint"] = {absl::FailedPreconditionError("a row lacks"),
                                             absl::DataLossError("it is gone"),
                                             absl::AlreadyExistsError("another has its name")};
  for (const int step : {10, 20, 30, 40}) trainer.Checkpoint(0, step);
  Settle();
  EXPECT_THAT(coordinator_.Seen("commit"), ElementsAre("commit 1:1 step 40"));
  EXPECT_THAT(coordinator_.Seen("fail"), IsEmpty());
  EXPECT_THAT(trainer.signals, IsEmpty());
}

TEST_F(AgentFaultsTest, AnUploadedFileThatIsGoneAfterARestartFailsNobody) {
  config_.pack.checkpoints = {root_ + "/scratch", false};
  std::filesystem::create_directory(root_ + "/scratch");
  FakeTrainer& trainer = StartTraining(1);
  trainer.Checkpoint(0, 10);
  trainer.Checkpoint(0, 20);
  Settle();
  EXPECT_THAT(coordinator_.Seen("upload"), SizeIs(2));
  KillAgent();
  coordinator_.errors["UploadCheckpoint"] = {absl::DataLossError("no such file"),
                                             absl::DataLossError("no such file")};
  StartAgent();
  Pass(absl::Seconds(1));
  EXPECT_THAT(coordinator_.Seen("fail"), IsEmpty());
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 20"));
}

TEST_F(AgentFaultsTest, ACompletionThatIsRefusedFailsTheAttempt) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["CompleteJob"].push_back(absl::FailedPreconditionError("a row lacks"));
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Exit(0);
  Settle();
  EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 internal"));
  EXPECT_THAT(Spools(), IsEmpty());
}

TEST_F(AgentFaultsTest, ACompletionThatTheCoordinatorsDiskLostGoesBackUncharged) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["CompleteJob"].push_back(absl::DataLossError("the disk has lost a row"));
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Exit(0);
  Settle();
  EXPECT_THAT(coordinator_.Seen("fail"), IsEmpty());
  ASSERT_THAT(coordinator_.releases, SizeIs(1));
  EXPECT_TRUE(coordinator_.releases[0].lost());
  EXPECT_EQ(coordinator_.releases[0].reason(), "the disk has lost a row");
  EXPECT_THAT(Spools(), IsEmpty());
}

// This happens after a crash of the machine: the file is not what the trainer wrote.
TEST_F(AgentFaultsTest, ACompletionWhoseCheckpointWasDamagedBeforeItsCommitGoesBackUncharged) {
  FakeTrainer& trainer = StartTraining(3);
  const std::string whole =
      WriteCheckpoint("job-1/attempt-1/step-1000.safetensors", 1000, "whole").digest();
  WriteCheckpoint("job-2/attempt-1/step-1000.safetensors", 1000, "who");  // the third is gone
  coordinator_.errors["CommitCheckpoint"].assign(3, absl::FailedPreconditionError("other bytes"));
  coordinator_.errors["CompleteJob"].assign(3, absl::FailedPreconditionError("no checkpoint"));
  for (int seed = 0; seed < 3; ++seed) {
    trainer.Checkpoint(seed, 1000, whole);
    trainer.End("done", seed, 1000);
  }
  trainer.Exit(0);
  Settle();
  // The file is intact, so a setting is wrong, and another attempt would end the same way.
  EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 internal"));
  ASSERT_THAT(coordinator_.releases, SizeIs(2));
  for (const v1::ReleaseLeaseRequest& release : coordinator_.releases) {
    EXPECT_TRUE(release.lost());
    EXPECT_THAT(release.reason(), HasSubstr("damaged before it was committed"));
  }
  EXPECT_THAT(Spools(), IsEmpty());
}

TEST_F(AgentFaultsTest, ACommitNamesTheReportsBeforeIt) {
  FakeTrainer& trainer = StartTraining(1);
  trainer.Checkpoint(0, 5);
  trainer.Metrics(0, 10);
  trainer.Metrics(0, 20);
  trainer.Checkpoint(0, 20);
  Settle();
  ASSERT_THAT(coordinator_.commits, SizeIs(2));
  EXPECT_EQ(coordinator_.commits[1].last_sequence() - coordinator_.commits[0].last_sequence(), 2u);
}

TEST_F(AgentFaultsTest, ACompletionNamesTheLastAcknowledgedCheckpoint) {
  FakeTrainer& trainer = StartTraining(1);
  trainer.Checkpoint(0, 900);
  Settle();
  coordinator_.errors["CommitCheckpoint"].push_back(absl::FailedPreconditionError("a row lacks"));
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Exit(0);
  Settle();
  ASSERT_THAT(coordinator_.completions, SizeIs(1));
  EXPECT_EQ(coordinator_.completions[0].checkpoint_step(), 900u);
}

TEST_F(AgentFaultsTest, AfterANewRegistrationReportsGoOverANewStream) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["Heartbeat"].push_back(absl::NotFoundError(""));
  Pass(absl::Seconds(1));
  const int streams = coordinator_.streams;
  trainer.Metrics(0, 10);
  Settle();
  EXPECT_EQ(coordinator_.streams, streams + 1);
  EXPECT_THAT(coordinator_.Seen("row"), SizeIs(1));
}

TEST_F(AgentFaultsTest, ACommitOfAnOldAttemptEndsTheLease) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["CommitCheckpoint"].push_back(absl::AbortedError("attempt 1 is over"));
  trainer.Checkpoint(0, 10);
  Settle();
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("release"), IsEmpty());
}

TEST_F(AgentFaultsTest, AForgottenWorkerRegistersAgainWithWhatItHolds) {
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

TEST_F(AgentFaultsTest, NotFoundFromACallMeansTheWorkerFirstAndTheJobThen) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["CommitCheckpoint"].push_back(absl::NotFoundError(""));
  trainer.Checkpoint(0, 10);
  Settle();
  EXPECT_THAT(coordinator_.registrations, SizeIs(2));
  EXPECT_THAT(coordinator_.Seen("commit"), SizeIs(1));
  EXPECT_THAT(trainer.signals, IsEmpty());
  coordinator_.errors["CommitCheckpoint"] = {absl::NotFoundError(""), absl::NotFoundError("")};
  trainer.Checkpoint(0, 20);
  Settle();
  EXPECT_THAT(coordinator_.Seen("commit"), SizeIs(1));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
}

TEST_F(AgentFaultsTest, ACoordinatorThatIsAwayChangesNothingAndGetsEverythingLater) {
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
    EXPECT_EQ(rows[static_cast<size_t>(i)],
              absl::StrCat("row 1:1#", i + 2, " step ", 100 * (i + 1)));
  }
  EXPECT_THAT(coordinator_.Seen("commit"),
              ElementsAre("commit 1:1 step 900", "commit 1:1 step 1000"));
  EXPECT_EQ(coordinator_.seen.back(), "complete 1:1 last 11");
  EXPECT_THAT(Spools(), IsEmpty());
}

TEST_F(AgentFaultsTest, ABrokenStreamIsReplacedAndTheUnacknowledgedSentAgainInOrder) {
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

TEST_F(AgentFaultsTest, AStreamThatAcknowledgesNothingIsGivenUp) {
  coordinator_.acknowledge = false;
  StartTraining(1);
  Pass(absl::Seconds(65));
  EXPECT_THAT(coordinator_.Seen("provenance"), SizeIs(2));
}

TEST_F(AgentFaultsTest, ARequestForWorkIsResentUntilItIsAnswered) {
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

TEST_F(AgentFaultsTest, AnOverloadedCoordinatorIsAskedAgainLaterAndNoJobFailsForIt) {
  const absl::Status overloaded = absl::ResourceExhaustedError("overloaded; try again later");
  coordinator_.errors["AcquireLeases"] = {overloaded, overloaded};
  coordinator_.errors["Heartbeat"] = {overloaded, overloaded, overloaded};
  coordinator_.errors["CommitCheckpoint"] = {overloaded, overloaded, overloaded};
  coordinator_.errors["CompleteJob"] = {overloaded, overloaded};
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
  EXPECT_THAT(coordinator_.Seen("commit"), SizeIs(1));
  EXPECT_THAT(coordinator_.failures, IsEmpty());
  EXPECT_THAT(coordinator_.releases, IsEmpty());
  EXPECT_THAT(coordinator_.registrations, SizeIs(1));
  EXPECT_GE(coordinator_.heartbeats.size(), 2u);
}

TEST_F(AgentFaultsTest, WhoIsToldWhenToAskAgainAsksThen) {
  coordinator_.errors["AcquireLeases"] = {
      WithRetryAfter(absl::ResourceExhaustedError("overloaded"), absl::Seconds(20))};
  StartAgent();
  Pass(absl::Seconds(19));
  EXPECT_THAT(coordinator_.acquires, SizeIs(1));
  EXPECT_GE(coordinator_.heartbeats.size(), 1u) << "that is another matter";
  Pass(absl::Seconds(2));
  EXPECT_THAT(coordinator_.acquires, SizeIs(2));
}

TEST_F(AgentFaultsTest, WhatAKilledWorkerLeftIsResentAndReleasedByTheNext) {
  FakeTrainer& trainer = StartTraining(2);
  coordinator_.GoDown();
  trainer.Metrics(0, 100);
  trainer.Checkpoint(0, 100);
  trainer.Metrics(0, 200);
  Settle();
  KillAgent();
  coordinator_.down = false;
  coordinator_.seen.clear();
  StartAgent();
  ASSERT_EQ(coordinator_.registrations.back().held_size(), 2);
  Pass(absl::Seconds(1));
  EXPECT_THAT(coordinator_.Seen("row 1:1"),
              ElementsAre("row 1:1#2 step 100", "row 1:1#3 step 200"));
  EXPECT_THAT(coordinator_.Seen("commit"), ElementsAre("commit 1:1 step 100"));
  EXPECT_THAT(coordinator_.Seen("release"),
              ::testing::UnorderedElementsAre("release 1:1 step 100", "release 2:1 step 0"));
  EXPECT_THAT(Spools(), IsEmpty());
  EXPECT_THAT(launcher_.trainers, SizeIs(1));
}

// Found by flipping a bit. The lost part of the spool had been sent, so the coordinator
// acknowledged more than this process knew of. The process then waited forever for a number it
// knew.
TEST_F(AgentFaultsTest, ASpoolDamagedBeforeReportsThatWereTakenGivesItsLeaseBack) {
  FakeTrainer& trainer = StartTraining(1);
  trainer.Metrics(0, 100);
  trainer.Metrics(0, 200);
  Settle();
  KillAgent();
  const std::string spool = JoinPath(config_.spool_dir, Spools().at(0));
  std::string bytes = *ReadFile(spool);
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(spool, bytes).ok());
  coordinator_.acknowledge = false;
  coordinator_.seen.clear();
  StartAgent();
  Pass(absl::Seconds(1));
  ASSERT_THAT(coordinator_.Seen("provenance"), SizeIs(1));
  coordinator_.Acknowledge(1, 3);
  Pass(absl::Seconds(1));
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 0"));
  EXPECT_THAT(Spools(), IsEmpty());
}

// The simulation found this one. A full disk refused the rest of the spool. The file is whole, and
// later records were reported from memory.
TEST_F(AgentFaultsTest, ASpoolThatEndsBeforeReportsThatWereTakenGivesItsLeaseBack) {
  FakeTrainer& trainer = StartTraining(1);
  trainer.Metrics(0, 100);
  Settle();
  const std::string spool = JoinPath(config_.spool_dir, Spools().at(0));
  const auto until_then = std::filesystem::file_size(spool);
  trainer.Metrics(0, 200);
  Settle();
  KillAgent();
  ASSERT_GT(std::filesystem::file_size(spool), until_then);
  std::filesystem::resize_file(spool, until_then);
  coordinator_.acknowledge = false;
  StartAgent();
  Pass(absl::Seconds(1));
  coordinator_.Acknowledge(1, 3);
  Pass(absl::Seconds(1));
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 0"));
  EXPECT_THAT(Spools(), IsEmpty());
}

TEST_F(AgentFaultsTest, AnEndThatWasNotToldYetIsToldByTheNextWorkerAsItWas) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.GoDown();
  trainer.Metrics(0, 1000);
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Exit(0);
  Settle();
  agent_->Stop("SIGTERM");
  Pass(absl::Seconds(5));
  EXPECT_EQ(exit_code_, 0);
  KillAgent();
  coordinator_.down = false;
  StartAgent();
  Pass(absl::Seconds(1));
  EXPECT_THAT(coordinator_.Seen("complete"), ElementsAre("complete 1:1 last 2"));
  EXPECT_THAT(coordinator_.Seen("release"), IsEmpty());
}

TEST_F(AgentFaultsTest, ASpoolThatTakesNothingDoesNotKeepReportsBack) {
  std::filesystem::remove_all(config_.spool_dir);
  std::filesystem::create_directory(config_.spool_dir);
  StartAgent();
  std::filesystem::remove_all(config_.spool_dir);
  coordinator_.Grant(MakeGrant(1));
  Settle();
  FakeTrainer& trainer = launcher_.last();
  trainer.Start({{0, 0}}, 1000);
  trainer.Checkpoint(0, 1000);
  trainer.End("done", 0, 1000);
  trainer.Exit(0);
  Settle();
  EXPECT_THAT(coordinator_.Seen("complete"), ElementsAre("complete 1:1 last 1"));
}

TEST_F(AgentFaultsTest, ARefusedRegistrationEndsTheWorkerWithTheReason) {
  coordinator_.registration = absl::FailedPreconditionError("protocol 2 is needed, this is 1");
  StartAgent();
  EXPECT_EQ(exit_code_, 1);
  EXPECT_THAT(exit_message_, HasSubstr("protocol 2"));
}

TEST_F(AgentFaultsTest, ARegistrationThatIsRefusedLaterSavesWhatTheTrainersHave) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.registration = absl::FailedPreconditionError("protocol 2 is needed, this is 1");
  coordinator_.errors["Heartbeat"].push_back(absl::NotFoundError(""));
  Pass(absl::Seconds(1));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  trainer.Checkpoint(0, 30);
  trainer.End("preempted", 0, 30);
  trainer.Exit(75);
  Pass(absl::Seconds(5));
  EXPECT_EQ(exit_code_, 1);
  EXPECT_THAT(exit_message_, HasSubstr("protocol 2"));
  EXPECT_THAT(Spools(), SizeIs(1));
}

TEST_F(AgentFaultsTest, ACheckpointFolderOfAnotherCoordinatorIsRefused) {
  coordinator_.store_id = "another";
  StartAgent();
  EXPECT_EQ(exit_code_, 1);
  EXPECT_THAT(exit_message_, HasSubstr("another"));
  EXPECT_THAT(coordinator_.acquires, IsEmpty());
}

TEST_F(AgentFaultsTest, AGrantThatLeadsOutOfTheCheckpointFolderIsHandedBack) {
  StartAgent();
  v1::AcquireLeasesResponse grant = MakeGrant(1);
  grant.mutable_leases(0)->set_checkpoint_dir("../elsewhere");
  coordinator_.Grant(grant);
  Settle();
  EXPECT_THAT(launcher_.trainers, IsEmpty());
  EXPECT_THAT(coordinator_.Seen("release"), SizeIs(1));
}

TEST_F(AgentFaultsTest, GrantsThatCannotBeRunAreInvalid) {
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

TEST_F(AgentFaultsTest, TheEndOfAnEarlierAttemptTakesNoCheckpointFromTheNext) {
  config_.pack.checkpoints = {root_ + "/scratch", false};
  StartAgent();
  WriteFile("scratch/job-1/attempt-0/step-100", "content");
  v1::AcquireLeasesResponse grant = MakeGrant(1);
  v1::Checkpoint* resume = grant.mutable_leases(0)->mutable_resume();
  resume->set_step(100);
  resume->set_path("job-1/attempt-0/step-100");
  resume->set_digest(DigestOf("content", 7));
  coordinator_.Grant(grant);
  Settle();
  // Its reports are answered, and its folder is removed.
  std::filesystem::remove_all(root_ + "/scratch/job-1/attempt-0");
  ASSERT_THAT(launcher_.trainers, SizeIs(1));
  EXPECT_EQ(*ReadFile(Spec()["members"][0]["resume"].get<std::string>()), "content");
}

TEST_F(AgentFaultsTest, WithoutASharedFolderCheckpointsComeAndGoOverTheNetwork) {
  config_.pack.checkpoints = {root_ + "/scratch", false};
  WriteFile("scratch/old/attempt-3/step-7.safetensors", "x");
  coordinator_.on_download = [](const std::string& file) {
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file) << "content";
    return absl::OkStatus();
  };
  StartAgent();
  EXPECT_FALSE(FileExists(root_ + "/scratch/old"));
  v1::AcquireLeasesResponse grant = MakeGrant(1);
  v1::Checkpoint* resume = grant.mutable_leases(0)->mutable_resume();
  resume->set_step(100);
  resume->set_path("job-1/attempt-0/step-100");
  resume->set_digest(DigestOf("content", 7));
  coordinator_.Grant(grant);
  Settle();
  EXPECT_THAT(coordinator_.Seen("download"), ElementsAre("download 1:1 job-1/attempt-0/step-100"));
  ASSERT_THAT(launcher_.trainers, SizeIs(1));
  EXPECT_EQ(Spec()["members"][0]["resume"],
            root_ + "/scratch/job-1/attempt-1/resume-attempt-0-step-100.safetensors");
  FakeTrainer& trainer = launcher_.last();
  trainer.Start({{0, 100}}, 1000);
  for (const int step : {200, 300}) {
    WriteFile(absl::StrCat("scratch/job-1/attempt-1/step-", step, ".safetensors"), "c");
    trainer.Checkpoint(0, step);
  }
  Settle();
  EXPECT_THAT(coordinator_.Seen("upload"),
              ElementsAre("upload 1:1 step 200", "upload 1:1 step 300"));
  EXPECT_THAT(coordinator_.Seen("commit"), IsEmpty());
  EXPECT_FALSE(FileExists(root_ + "/scratch/job-1/attempt-1/step-200.safetensors"));
  EXPECT_TRUE(FileExists(root_ + "/scratch/job-1/attempt-1/step-300.safetensors"));
  trainer.Exit(75);
  Settle();
  EXPECT_FALSE(FileExists(root_ + "/scratch/job-1/attempt-1"));
}

TEST_F(AgentFaultsTest, ADownloadedCheckpointIsHeldAgainstItsDigestToo) {
  config_.pack.checkpoints = {root_ + "/scratch", false};
  std::filesystem::create_directory(root_ + "/scratch");
  coordinator_.on_download = [](const std::string& file) {
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file) << "cont3nt";
    return absl::OkStatus();
  };
  StartAgent();
  v1::AcquireLeasesResponse grant = MakeGrant(1);
  v1::Checkpoint* resume = grant.mutable_leases(0)->mutable_resume();
  resume->set_step(100);
  resume->set_path("job-1/attempt-0/step-100");
  resume->set_digest(DigestOf("content", 7));
  coordinator_.Grant(grant);
  Settle();
  EXPECT_THAT(coordinator_.rejections, SizeIs(1));
}

}  // namespace
}  // namespace coppice::worker
