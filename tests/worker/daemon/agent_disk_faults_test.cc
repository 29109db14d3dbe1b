// The agent under faults of its own disk and process: spools that are left, torn, damaged or
// refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/worker/daemon/agent_fixture.h"

namespace coppice::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AgentDiskFaultsTest : public AgentFixture {
 protected:
  // The coordinator has more records of job 1 than the spool. The lease goes back under the number
  // after them.
  void ExpectReleaseBehind(uint64_t taken) {
    coordinator_.Acknowledge(1, taken);
    Settle();
    ASSERT_FALSE(coordinator_.messages.empty());
    const v1::AttemptRecord last = *coordinator_.messages.back().records().rbegin();
    EXPECT_TRUE(last.released().has_lost()) << last.ShortDebugString();
    EXPECT_EQ(last.number(), taken + 1);
    EXPECT_THAT(Spools(), SizeIs(1));
    v1::AttemptAnswer answer = FakeCoordinator::AnswerOf(1, taken + 1);
    answer.set_over(true);
    coordinator_.Answer(answer);
    Settle();
    EXPECT_THAT(Spools(), IsEmpty());
  }
};

TEST_F(AgentDiskFaultsTest, WhatAKilledWorkerLeftIsResentAndReleasedByTheNext) {
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
              ElementsAre("row 1:1#2 step 100", "row 1:1#4 step 200"));
  EXPECT_THAT(coordinator_.Seen("checkpoint"), ElementsAre("checkpoint 1:1 step 100"));
  EXPECT_THAT(coordinator_.Seen("release"),
              ::testing::UnorderedElementsAre("release 1:1 step 100", "release 2:1 step 0"));
  EXPECT_THAT(Spools(), IsEmpty());
  EXPECT_THAT(launcher_.trainers, SizeIs(1));
}

// Found by flipping a bit. The lost part of the spool had been sent, so the coordinator
// acknowledged more than this process knew of. The process then waited forever for a number that
// it knew.
TEST_F(AgentDiskFaultsTest, ASpoolDamagedBeforeRecordsThatWereTakenGivesItsLeaseBack) {
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
  ASSERT_THAT(coordinator_.Seen("start"), SizeIs(1));
  ExpectReleaseBehind(3);
}

// The simulation found this one. A full disk refused the rest of the spool. The file is whole, and
// later records were reported from memory.
TEST_F(AgentDiskFaultsTest, ASpoolThatEndsBeforeRecordsThatWereTakenGivesItsLeaseBack) {
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
  ExpectReleaseBehind(3);
}

TEST_F(AgentDiskFaultsTest, AnEndingThatWasNotTakenYetIsSentByTheNextWorkerAsItWas) {
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
  EXPECT_THAT(coordinator_.Seen("complete"), ElementsAre("complete 1:1 step 1000"));
  EXPECT_THAT(coordinator_.Seen("release"), IsEmpty());
}

TEST_F(AgentDiskFaultsTest, ASpoolThatTakesNothingDoesNotKeepRecordsBack) {
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
  EXPECT_THAT(coordinator_.Seen("complete"), ElementsAre("complete 1:1 step 1000"));
}

// The version before wrote other records.
TEST_F(AgentDiskFaultsTest, ASpoolOfTheVersionBeforeGivesItsLeaseBackAndNothingOfItIsRead) {
  FakeTrainer& trainer = StartTraining(1);
  trainer.Metrics(0, 100);
  Settle();
  KillAgent();
  const std::string spool = JoinPath(config_.spool_dir, Spools().at(0));
  std::string bytes = *ReadFile(spool);
  bytes.replace(0, 8, "CPSPOOL1");
  ASSERT_TRUE(WriteFileAtomically(spool, bytes).ok());
  coordinator_.seen.clear();
  coordinator_.acknowledge = false;
  StartAgent();
  Pass(absl::Seconds(1));
  EXPECT_THAT(coordinator_.seen, ElementsAre("release 1:1 step 0"));
  EXPECT_TRUE(coordinator_.releases[0].has_lost());
  ExpectReleaseBehind(2);
}

}  // namespace
}  // namespace coppice::worker
