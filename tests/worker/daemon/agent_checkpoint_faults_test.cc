// The agent under faults of checkpoints: damaged, missing, left out, of another folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/daemon/agent_fixture.h"

namespace coppice::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using AgentCheckpointFaultsTest = AgentFixture;

TEST_F(AgentCheckpointFaultsTest, AFlippedByteInACheckpointIsRejectedAndTheOneBeforeIsUsed) {
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

TEST_F(AgentCheckpointFaultsTest, WithNoCheckpointLeftTheJobStartsAtStepZero) {
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
TEST_F(AgentCheckpointFaultsTest, AResumeFileThatIsDamagedAfterItsCheckIsNotCharged) {
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
      EXPECT_TRUE(coordinator_.releases[0].has_lost());
      EXPECT_THAT(coordinator_.releases[0].reason(), HasSubstr("damaged after it was checked"));
      EXPECT_THAT(coordinator_.Seen("fail"), IsEmpty());
    } else {
      EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 checkpoint"));
      EXPECT_THAT(coordinator_.Seen("release"), IsEmpty());
    }
    KillAgent();
  }
}

TEST_F(AgentCheckpointFaultsTest, AFolderThatIsGoneGivesNoCheckpointUp) {
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

TEST_F(AgentCheckpointFaultsTest, ACheckpointThatDoesNotCountIsLeftOutAndTrainingGoesOn) {
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.errors["checkpoint"] = {absl::FailedPreconditionError("a row lacks"),
                                       absl::DataLossError("it is gone"),
                                       absl::AlreadyExistsError("another has its name")};
  for (const int step : {10, 20, 30, 40}) trainer.Checkpoint(0, step);
  Settle();
  EXPECT_THAT(coordinator_.checkpoints, SizeIs(4));
  EXPECT_THAT(coordinator_.Seen("checkpoint"), ElementsAre("checkpoint 1:1 step 40"));
  EXPECT_THAT(coordinator_.Seen("fail"), IsEmpty());
  EXPECT_THAT(trainer.signals, IsEmpty());
}

TEST_F(AgentCheckpointFaultsTest, AnUploadedFileThatIsGoneAfterARestartFailsNobody) {
  config_.pack.checkpoints = {root_ + "/scratch", false};
  std::filesystem::create_directory(root_ + "/scratch");
  FakeTrainer& trainer = StartTraining(1);
  trainer.Checkpoint(0, 10);
  trainer.Checkpoint(0, 20);
  Settle();
  EXPECT_THAT(coordinator_.Seen("upload"), SizeIs(2));
  EXPECT_THAT(coordinator_.Seen("checkpoint"), SizeIs(2));
  KillAgent();
  coordinator_.checkpoints.clear();
  coordinator_.errors["UploadCheckpoint"] = {absl::DataLossError("no such file"),
                                             absl::DataLossError("no such file")};
  StartAgent();
  Pass(absl::Seconds(1));
  EXPECT_THAT(coordinator_.Seen("fail"), IsEmpty());
  ASSERT_THAT(coordinator_.checkpoints, SizeIs(2));
  for (const v1::CheckpointRecord& checkpoint : coordinator_.checkpoints) {
    EXPECT_THAT(checkpoint.withdrawn(), HasSubstr("no such file"));
  }
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 20"));
}

// This happens after a crash of the machine: the file is not what the trainer wrote.
TEST_F(AgentCheckpointFaultsTest,
       ACompletionWhoseCheckpointWasDamagedBeforeItsCommitGoesBackUncharged) {
  FakeTrainer& trainer = StartTraining(3);
  const std::string whole =
      WriteCheckpoint("job-1/attempt-1/step-1000.safetensors", 1000, "whole").digest();
  WriteCheckpoint("job-2/attempt-1/step-1000.safetensors", 1000, "who");  // the third is gone
  coordinator_.errors["checkpoint"].assign(3, absl::FailedPreconditionError("other bytes"));
  coordinator_.errors["complete"].assign(3, absl::FailedPreconditionError("no checkpoint"));
  for (int seed = 0; seed < 3; ++seed) {
    trainer.Checkpoint(seed, 1000, whole);
    trainer.End("done", seed, 1000);
  }
  trainer.Exit(0);
  Settle();
  // The file is intact, so a setting is wrong, and another attempt would end the same way.
  EXPECT_THAT(coordinator_.Seen("fail"), ElementsAre("fail 1:1 internal"));
  ASSERT_THAT(coordinator_.releases, SizeIs(2));
  for (const v1::Release& release : coordinator_.releases) {
    EXPECT_TRUE(release.has_lost());
    EXPECT_THAT(release.reason(), HasSubstr("damaged before it was committed"));
  }
  EXPECT_THAT(Spools(), IsEmpty());
}

TEST_F(AgentCheckpointFaultsTest, TheEndOfAnEarlierAttemptTakesNoCheckpointFromTheNext) {
  config_.pack.checkpoints = {root_ + "/scratch", false};
  StartAgent();
  WriteFile("scratch/job-1/attempt-0/step-100.safetensors", "content");
  v1::AcquireLeasesResponse grant = MakeGrant(1);
  v1::Checkpoint* resume = grant.mutable_leases(0)->mutable_resume();
  resume->set_step(100);
  resume->set_path("job-1/attempt-0/step-100.safetensors");
  resume->set_digest(DigestOf("content", 7));
  coordinator_.Grant(grant);
  Settle();
  // Its records are durable, and its folder is removed.
  std::filesystem::remove_all(root_ + "/scratch/job-1/attempt-0");
  ASSERT_THAT(launcher_.trainers, SizeIs(1));
  EXPECT_EQ(*ReadFile(Spec()["members"][0]["resume"].get<std::string>()), "content");
}

TEST_F(AgentCheckpointFaultsTest, WithoutASharedFolderCheckpointsComeAndGoOverTheNetwork) {
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
  resume->set_path("job-1/attempt-0/step-100.safetensors");
  resume->set_digest(DigestOf("content", 7));
  coordinator_.Grant(grant);
  Settle();
  EXPECT_THAT(coordinator_.Seen("download"),
              ElementsAre("download 1:1 job-1/attempt-0/step-100.safetensors"));
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
  EXPECT_THAT(coordinator_.Seen("checkpoint"),
              ElementsAre("checkpoint 1:1 step 200", "checkpoint 1:1 step 300"));
  EXPECT_FALSE(FileExists(root_ + "/scratch/job-1/attempt-1/step-200.safetensors"));
  EXPECT_TRUE(FileExists(root_ + "/scratch/job-1/attempt-1/step-300.safetensors"));
  trainer.Exit(75);
  Settle();
  EXPECT_FALSE(FileExists(root_ + "/scratch/job-1/attempt-1"));
}

TEST_F(AgentCheckpointFaultsTest, ADownloadedCheckpointIsHeldAgainstItsDigestToo) {
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
  resume->set_path("job-1/attempt-0/step-100.safetensors");
  resume->set_digest(DigestOf("content", 7));
  coordinator_.Grant(grant);
  Settle();
  EXPECT_THAT(coordinator_.rejections, SizeIs(1));
}

TEST_F(AgentCheckpointFaultsTest, ACheckpointFolderOfAnotherCoordinatorIsRefused) {
  coordinator_.store_id = "another";
  StartAgent();
  EXPECT_EQ(exit_code_, 80);
  EXPECT_THAT(exit_message_, HasSubstr("another"));
  EXPECT_THAT(coordinator_.acquires, IsEmpty());
}

}  // namespace
}  // namespace coppice::worker
