// The pump: batches, turns, the window, and what it does with streams that break.
#include "worker/daemon/record_pump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "tests/worker/daemon/agent_fixture.h"

namespace coppice::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// The pump inside of an agent whose trainers report what the test wants.
class RecordPumpTest : public AgentFixture {
 protected:
  RecordPumpTest() { config_.pack_width = 8; }
  const v1::StreamRecordsRequest& last() { return coordinator_.messages.back(); }
  static std::vector<std::string> Numbers(const v1::StreamRecordsRequest& message) {
    std::vector<std::string> numbers;
    for (const v1::AttemptRecord& record : message.records()) {
      numbers.push_back(absl::StrCat(record.lease().job_id(), "#", record.number()));
    }
    return numbers;
  }
  // Breaks the stream, so that what comes now gathers until the next one opens.
  void Gather() {
    coordinator_.BreakStream(absl::UnavailableError("reset"));
    Settle();
    coordinator_.messages.clear();
  }
  void Open() { Pass(absl::Seconds(1)); }
};

TEST_F(RecordPumpTest, RecordsThatAreReadyTogetherTravelTogetherAndTheAttemptsTakeTurns) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(3);
  EXPECT_THAT(coordinator_.messages, SizeIs(1));
  EXPECT_THAT(Numbers(last()), ElementsAre("1#1", "2#1", "3#1"));
  for (const uint64_t job : {1, 2, 3}) coordinator_.Acknowledge(job, 1);
  Gather();
  for (const int step : {10, 20, 30}) trainer.Metrics(0, step);
  trainer.Metrics(1, 10);
  Open();
  ASSERT_THAT(coordinator_.messages, SizeIs(1));
  EXPECT_THAT(Numbers(last()), ElementsAre("1#2", "2#2", "1#3", "1#4"));
}

TEST_F(RecordPumpTest, OnlyTheFirstMessageOfAStreamNamesTheWorker) {
  FakeTrainer& trainer = StartTraining(1);
  trainer.Metrics(0, 10);
  Settle();
  ASSERT_THAT(coordinator_.messages, SizeIs(2));
  EXPECT_EQ(coordinator_.messages[0].worker_id(), "w1");
  EXPECT_EQ(coordinator_.messages[1].worker_id(), "");
  Gather();
  trainer.Metrics(0, 20);
  Open();
  EXPECT_EQ(last().worker_id(), "w1");
}

TEST_F(RecordPumpTest, AMessageHasAtMostItsNumberOfRecords) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(1);
  coordinator_.Acknowledge(1, 1);
  Gather();
  for (int step = 1; step <= 1000; ++step) trainer.Metrics(0, step);
  Open();
  ASSERT_THAT(coordinator_.messages, SizeIs(2));
  for (const auto& message : coordinator_.messages) {
    EXPECT_EQ(message.records_size(), kMaxRecordsInMessage);
  }
}

TEST_F(RecordPumpTest, AMessageHasAtMostItsNumberOfBytesAndEachAttemptKeepsItsOrder) {
  FakeTrainer& trainer = StartTraining(8);
  Gather();
  // A pack's log goes to each of its members: 1.5 MiB in all.
  for (int i = 0; i < 12; ++i) {
    trainer.callbacks.on_stderr(std::string(16 << 10, 'x'));
    Settle();
  }
  for (int seed = 0; seed < 8; ++seed) trainer.Metrics(seed, 1);
  Open();
  EXPECT_THAT(coordinator_.messages, SizeIs(2));
  std::map<uint64_t, uint64_t> last;
  for (const auto& message : coordinator_.messages) {
    EXPECT_LE(message.ByteSizeLong(), size_t{1} << 20);
    for (const v1::AttemptRecord& record : message.records()) {
      EXPECT_EQ(record.number(), ++last.try_emplace(record.lease().job_id(), 1).first->second);
    }
  }
  for (const auto& [job, number] : last) EXPECT_EQ(number, 14u) << job;
}

TEST_F(RecordPumpTest, WhatLiesBehindAnUnansweredCheckpointLeavesRoomForOtherAttempts) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(2);
  for (const uint64_t job : {1, 2}) coordinator_.Acknowledge(job, 1);
  Settle();
  coordinator_.messages.clear();
  trainer.Checkpoint(0, 10);
  for (int step = 1; step <= 600; ++step) trainer.Metrics(0, step);
  trainer.Metrics(1, 10);
  Settle();
  uint64_t of_first = 0;
  uint64_t of_second = 0;
  for (const auto& message : coordinator_.messages) {
    for (const v1::AttemptRecord& record : message.records()) {
      ++(record.lease().job_id() == 1 ? of_first : of_second);
    }
  }
  EXPECT_EQ(of_first, 1 + Outbox::kBehindCheckpoint);
  EXPECT_EQ(of_second, 1u);
  // The answer lets the rest go.
  coordinator_.messages.clear();
  coordinator_.Acknowledge(1, 2 + Outbox::kBehindCheckpoint);
  Settle();
  EXPECT_THAT(coordinator_.messages, Not(IsEmpty()));
}

TEST_F(RecordPumpTest, ARefusalOpensANewStreamSoThatLateAnswersMeanNoOtherRecord) {
  coordinator_.acknowledge = false;
  FakeTrainer& trainer = StartTraining(1);
  for (const int step : {10, 20, 30}) trainer.Metrics(0, step);
  Settle();
  const int streams = coordinator_.streams;
  v1::AttemptAnswer refused = FakeCoordinator::AnswerOf(1, 1);
  refused.mutable_refusal()->set_code(static_cast<uint32_t>(absl::StatusCode::kInvalidArgument));
  coordinator_.Answer(refused);
  coordinator_.Answer(refused);  // to the record behind the refused one
  Settle();
  EXPECT_EQ(coordinator_.streams, streams + 1);
  EXPECT_THAT(Numbers(last()), ElementsAre("1#2"));
  ASSERT_THAT(coordinator_.failures, SizeIs(1));
  v1::AttemptAnswer taken = FakeCoordinator::AnswerOf(1, 2);
  taken.set_over(true);
  coordinator_.Answer(taken);
  trainer.Exit(75);
  Settle();
  EXPECT_THAT(Spools(), IsEmpty());
}

}  // namespace
}  // namespace coppice::worker
