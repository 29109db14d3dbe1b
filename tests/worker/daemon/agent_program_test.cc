// The agent with a program of the user's own: its checkpoints become files, and its faults are
// charged to the job and never to the worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "tests/worker/daemon/agent_fixture.h"

namespace coppice::worker {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class AgentProgramTest : public AgentFixture {
 protected:
  AgentProgramTest() { config_.programs = true; }

  v1::AcquireLeasesResponse ProgramGrant(int members,
                                         nlohmann::json program = nlohmann::json::object()) {
    v1::AcquireLeasesResponse grant = MakeGrant(members);
    nlohmann::json all = {{"command", {"./train"}}, {"directory", root_}, {"pack", 3}};
    all.update(program);
    const nlohmann::json run = {
        {"train", {{"steps", 100}}}, {"report", {{"every", 50}}}, {"program", all}};
    grant.set_run_json(run.dump());
    return grant;
  }
  FakeTrainer& Start(const v1::AcquireLeasesResponse& grant) {
    StartAgent();
    coordinator_.Grant(grant);
    Settle();
    EXPECT_EQ(launcher_.trainers.size(), 1u);
    return launcher_.last();
  }
  FakeTrainer& StartProgram(nlohmann::json program = nlohmann::json::object()) {
    FakeTrainer& trainer = Start(ProgramGrant(1, std::move(program)));
    trainer.Start({{0, 0}}, 100);
    Settle();
    return trainer;
  }
  std::string Attempt(int job) const {
    return absl::StrCat(root_, "/checkpoints/job-", job, "/attempt-1");
  }
  void Save(const std::string& name) {
    WriteFile("checkpoints/job-1/attempt-1/work/" + name, "weights");
  }
  static void Name(FakeTrainer& trainer, int step, const std::string& path) {
    trainer.Say(absl::StrCat(R"({"event":"checkpoint","seed":0,"step":)", step, R"(,"path":")",
                             path, R"("})"));
  }
  std::string SpecPath() const {
    for (const auto& [name, value] : launcher_.trainers.back()->command.environment) {
      if (name == "COPPICE_RUN_SPEC") return value;
    }
    return "";
  }
};

TEST_F(AgentProgramTest, ItIsStartedAsTheSweepSaysWithAPrivateSpec) {
  FakeTrainer& trainer = Start(ProgramGrant(2, {{"settings", {{"width", 64}}}}));
  EXPECT_THAT(trainer.command.argv, ElementsAre("./train"));
  ASSERT_TRUE(trainer.command.foreign.has_value());
  EXPECT_EQ(trainer.command.foreign->directory, root_);
  struct stat info;
  ASSERT_EQ(::stat(SpecPath().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto spec = nlohmann::json::parse(*ReadFile(SpecPath()));
  EXPECT_EQ(spec["run"]["settings"]["width"], 64);
  EXPECT_EQ(spec["members"].size(), 2u);
  EXPECT_EQ(spec["members"][0]["checkpoint_dir"], Attempt(1) + "/work");
  EXPECT_TRUE(FileExists(Attempt(2) + "/work"));
}

TEST_F(AgentProgramTest, AWholeRunReportsDurableCheckpointsAndLeavesNothingElse) {
  FakeTrainer& trainer = StartProgram();
  trainer.Metrics(0, 50);
  Save("model.pt");
  Name(trainer, 50, "model.pt");
  Save("folder/a");
  Save("junk");
  trainer.Metrics(0, 100);
  Name(trainer, 100, Attempt(1) + "/work/folder");
  trainer.End("done", 0, 100);
  Settle();
  trainer.Exit(0);
  Settle();
  EXPECT_THAT(coordinator_.Seen("row"), SizeIs(2));
  ASSERT_THAT(coordinator_.checkpoints, SizeIs(2));
  EXPECT_EQ(coordinator_.checkpoints[0].path(), "job-1/attempt-1/step-000000050.file.pt");
  EXPECT_EQ(coordinator_.checkpoints[0].digest(), DigestOf("weights", 7));
  EXPECT_EQ(coordinator_.checkpoints[0].bytes(), 7u);
  EXPECT_EQ(coordinator_.checkpoints[1].path(), "job-1/attempt-1/step-000000100.tar");
  EXPECT_THAT(coordinator_.Seen("complete"), ElementsAre("complete 1:1 step 100"));
  EXPECT_THAT(*ListDirectory(Attempt(1)),
              ElementsAre("step-000000050.file.pt", "step-000000100.tar"));
}

TEST_F(AgentProgramTest, EventsBehindACheckpointWaitForItsFile) {
  FakeTrainer& trainer = StartProgram();
  trainer.Metrics(0, 50);
  Save("model.pt");
  // One piece of output, as a pipe delivers it.
  trainer.callbacks.on_stdout(
      "{\"event\":\"checkpoint\",\"seed\":0,\"step\":50,\"path\":\"model.pt\"}\n"
      "{\"event\":\"preempted\",\"seed\":0,\"step\":50}\n");
  Settle();
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("checkpoint"), SizeIs(1));
  ASSERT_THAT(coordinator_.releases, SizeIs(1));
  EXPECT_EQ(coordinator_.releases[0].step(), 50u);
}

TEST_F(AgentProgramTest, AnArchiveIsUnpackedForTheProgramAndAFileIsGivenAsItIs) {
  std::filesystem::create_directories(root_ + "/checkpoints/job-1/attempt-0/work/saved");
  WriteFile("checkpoints/job-1/attempt-0/work/saved/a", "weights");
  const auto taken = TakeCheckpoint(root_ + "/checkpoints/job-1/attempt-0", "saved", 50);
  ASSERT_TRUE(taken.ok()) << taken.status();
  v1::AcquireLeasesResponse grant = ProgramGrant(2);
  v1::Checkpoint* resume = grant.mutable_leases(0)->mutable_resume();
  resume->set_step(50);
  resume->set_path("job-1/attempt-0/" + taken->file);
  resume->set_digest(taken->digest);
  resume->set_bytes(taken->bytes);
  *grant.mutable_leases(1)->mutable_resume() =
      WriteCheckpoint("job-2/attempt-0/step-000000070.file.pt", 70, "file");
  Start(grant);
  const auto spec = nlohmann::json::parse(*ReadFile(SpecPath()));
  const std::string folder = spec["members"][0]["resume"];
  EXPECT_THAT(folder, HasSubstr(Attempt(1) + "/work/"));
  EXPECT_EQ(*ReadFile(folder + "/a"), "weights");
  EXPECT_EQ(spec["members"][0]["resume_step"], 50);
  EXPECT_EQ(spec["members"][1]["resume"],
            root_ + "/checkpoints/job-2/attempt-0/step-000000070.file.pt");
}

TEST_F(AgentProgramTest, WithoutTheFlagItIsReleasedUntrained) {
  config_.programs = false;
  StartAgent();
  EXPECT_FALSE(coordinator_.registrations[0].programs());
  coordinator_.Grant(ProgramGrant(1));
  Settle();
  EXPECT_THAT(launcher_.trainers, IsEmpty());
  ASSERT_THAT(coordinator_.releases, SizeIs(1));
  EXPECT_TRUE(coordinator_.releases[0].has_untrained());
  EXPECT_THAT(coordinator_.releases[0].reason(), HasSubstr("--programs"));
}

TEST_F(AgentProgramTest, AProgramThatIsNotThereIsChargedOnceWithItsReason) {
  FakeTrainer& trainer = Start(ProgramGrant(1));
  trainer.DoNotStart(absl::NotFoundError("cannot start ./train in /gone: No such file"));
  Settle();
  ASSERT_THAT(coordinator_.failures, SizeIs(1));
  EXPECT_EQ(coordinator_.failures[0].kind(), "internal");
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("cannot start ./train"));
  EXPECT_FALSE(exit_code_.has_value());
}

TEST_F(AgentProgramTest, ACheckpointThatIsNoneIsGarbage) {
  FakeTrainer& trainer = StartProgram();
  std::filesystem::create_symlink("/etc/passwd", Attempt(1) + "/work/link");
  Name(trainer, 10, "link");
  Settle();
  EXPECT_THAT(trainer.signals, ElementsAre(SIGKILL));
  trainer.Die(SIGKILL);
  Settle();
  ASSERT_THAT(coordinator_.failures, SizeIs(1));
  EXPECT_EQ(coordinator_.failures[0].kind(), "garbage");
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("is a symbolic link"));
  EXPECT_THAT(coordinator_.checkpoints, IsEmpty());
}

TEST_F(AgentProgramTest, OutputThatIsNoEventIsGarbage) {
  FakeTrainer& trainer = StartProgram();
  trainer.Say("round 1: loss 0.5");
  trainer.Die(SIGKILL);
  Settle();
  ASSERT_THAT(coordinator_.failures, SizeIs(1));
  EXPECT_EQ(coordinator_.failures[0].kind(), "garbage");
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("program's output"));
}

TEST_F(AgentProgramTest, WhoseTimeIsUpIsAskedToEndThenKilledAndCharged) {
  FakeTrainer& trainer = StartProgram({{"time_limit", 60}});
  Pass(absl::Seconds(59));
  EXPECT_THAT(trainer.signals, IsEmpty());
  Pass(absl::Seconds(2));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM));
  Pass(config_.pack.grace);
  EXPECT_THAT(trainer.signals, ElementsAre(SIGTERM, SIGKILL));
  trainer.Die(SIGKILL);
  Settle();
  ASSERT_THAT(coordinator_.failures, SizeIs(1));
  EXPECT_EQ(coordinator_.failures[0].kind(), "time_limit");
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("may run for 1m"));
}

TEST_F(AgentProgramTest, WhatItSavesWhenItsTimeIsUpCounts) {
  FakeTrainer& trainer = StartProgram({{"time_limit", 60}});
  Pass(absl::Seconds(61));
  Save("model");
  Name(trainer, 30, "model");
  trainer.End("preempted", 0, 30);
  Settle();
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(coordinator_.Seen("checkpoint"), SizeIs(1));
  ASSERT_THAT(coordinator_.failures, SizeIs(1));
  EXPECT_EQ(coordinator_.failures[0].kind(), "time_limit");
  EXPECT_EQ(coordinator_.failures[0].step(), 30u);
  EXPECT_THAT(coordinator_.releases, IsEmpty());
}

// Otherwise a program that always ends so would be tried for ever.
TEST_F(AgentProgramTest, ThatSaysPreemptedByItsCodeAloneWithoutBeingAskedIsCharged) {
  FakeTrainer& trainer = StartProgram();
  trainer.Exit(75);
  Settle();
  ASSERT_THAT(coordinator_.failures, SizeIs(1));
  EXPECT_EQ(coordinator_.failures[0].kind(), "crashed");
}

TEST_F(AgentProgramTest, ThatIsSilentForHalfAnHourHasStalled) {
  FakeTrainer& trainer = StartProgram();
  const auto pass = [this](absl::Duration time) {
    for (absl::Duration done; done < time; done += absl::Seconds(1)) {
      clock_.Advance(absl::Seconds(1));
      Settle();
    }
  };
  pass(absl::Minutes(29));
  EXPECT_THAT(trainer.signals, IsEmpty());
  pass(absl::Minutes(2));
  EXPECT_THAT(trainer.signals, ElementsAre(SIGKILL));
  trainer.Die(SIGKILL);
  Settle();
  ASSERT_THAT(coordinator_.failures, SizeIs(1));
  EXPECT_EQ(coordinator_.failures[0].kind(), "stalled");
  EXPECT_THAT(coordinator_.failures[0].message(), HasSubstr("the limit for programs"));
}

TEST_F(AgentProgramTest, ItsPacksAreNotMeasuredAndNeverWiderThanItSays) {
  config_.measure = PackWidthsConfig();
  FakeTrainer& trainer = Start(ProgramGrant(2));
  EXPECT_TRUE(trainer.command.foreign.has_value()) << "it was measured";
  trainer.Exit(1);
  Settle();
  Pass(absl::Seconds(70));
  v1::AcquireLeasesResponse wide = ProgramGrant(3, {{"pack", 2}});
  for (v1::Lease& lease : *wide.mutable_leases()) lease.mutable_lease()->set_attempt(2);
  coordinator_.Grant(wide);
  Settle();
  EXPECT_THAT(launcher_.trainers, SizeIs(1));
  ASSERT_THAT(coordinator_.releases, SizeIs(3));
  EXPECT_THAT(coordinator_.releases[0].reason(), HasSubstr("3 leases for a program that takes 2"));
}

}  // namespace
}  // namespace coppice::worker
