// The table of attempt_ending.h, an edge a test.
#include "worker/daemon/attempt_ending.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "worker/daemon/attempt_records.h"

namespace coppice::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using State = AttemptEnding::State;

class AttemptEndingTest : public ::testing::Test {
 protected:
  AttemptEnding::Hooks Hooks() {
    AttemptEnding::Hooks hooks;
    hooks.report = [this](const v1::AttemptRecord& ending) { reported_.push_back(ending); };
    hooks.verify = [this](const AttemptEnding::File& file,
                          const std::function<void(absl::Status)>& done) {
      files_.push_back(file.path);
      verdicts_.push_back(done);
    };
    hooks.path_of = [](const v1::CheckpointRecord& checkpoint) { return "/" + checkpoint.path(); };
    hooks.on_refused = [this](const std::string&) { calls_.push_back("refused"); };
    hooks.on_lost = [this](const std::string& reason) { calls_.push_back("lost: " + reason); };
    hooks.on_final = [this] { calls_.push_back("final"); };
    return hooks;
  }
  static v1::AttemptRecord Row() { return RowRecord({}); }
  void Refuse(const v1::AttemptRecord& record,
              const absl::Status& status = absl::InvalidArgumentError("wrong")) {
    ending_.OnRefused(record, status);
  }
  void AddCheckpoint(uint32_t step) {
    v1::CheckpointRecord checkpoint;
    checkpoint.set_step(step);
    checkpoint.set_path("c");
    ending_.OnCheckpoint(checkpoint);
  }
  v1::Release Preempted() {
    v1::Release cause;
    cause.mutable_preempted();
    return cause;
  }

  std::vector<v1::AttemptRecord> reported_;
  std::vector<std::string> files_;
  std::vector<std::function<void(absl::Status)>> verdicts_;
  std::vector<std::string> calls_;
  AttemptEnding ending_{{7, 3}, 5, Hooks()};
};

TEST_F(AttemptEndingTest, TheFirstEndCountsAndLaterOnesAreIgnored) {
  AddCheckpoint(20);
  ending_.Release("drain", Preempted());
  ending_.Complete(100);
  ending_.Fail(100, FailureKind::kNan, "", "");
  ASSERT_THAT(reported_, SizeIs(1));
  EXPECT_EQ(reported_[0].released().step(), 20u);
  EXPECT_EQ(ending_.state(), State::kEnding);
  ending_.OnEndingTaken();
  EXPECT_EQ(ending_.state(), State::kEnded);
  EXPECT_THAT(calls_, ElementsAre("final"));
}

TEST_F(AttemptEndingTest, AnAttemptThatFellBackToAnEarlierCheckpointNamesThatStep) {
  ending_.OnStart(2);
  EXPECT_EQ(ending_.step(), 2u);
  ending_.Release("drain", Preempted());
  ASSERT_THAT(reported_, SizeIs(1));
  EXPECT_EQ(reported_[0].released().step(), 2u);
}

TEST_F(AttemptEndingTest, ARefusedRecordFailsTheAttempt) {
  ending_.OnStep(30);
  Refuse(Row());
  ASSERT_THAT(reported_, SizeIs(1));
  EXPECT_EQ(reported_[0].failed().kind(), "internal");
  EXPECT_EQ(reported_[0].failed().step(), 30u);
  EXPECT_THAT(calls_, ElementsAre("refused"));
  ending_.Complete(100);  // the trainer did not know yet
  EXPECT_THAT(reported_, SizeIs(1));
}

TEST_F(AttemptEndingTest, ACompletionBehindARefusedRecordIsReplacedByAFailure) {
  ending_.Complete(100);
  Refuse(Row());
  ASSERT_THAT(reported_, SizeIs(2));
  EXPECT_TRUE(reported_[1].has_failed());
  EXPECT_EQ(ending_.state(), State::kEnding);
}

TEST_F(AttemptEndingTest, ARefusedFailureOrReleaseIsTheEndOfIt) {
  ending_.Fail(10, FailureKind::kNan, "", "");
  Refuse(reported_[0]);
  EXPECT_THAT(reported_, SizeIs(1));
  EXPECT_EQ(ending_.state(), State::kEnded);
  EXPECT_THAT(calls_, ElementsAre("final"));
}

TEST_F(AttemptEndingTest, AResumeFileThatIsIntactMakesItAFailure) {
  ending_.FailUnlessDamaged({"/f", "d"}, 5, "cannot read it", "tail");
  EXPECT_EQ(ending_.state(), State::kVerifying);
  EXPECT_FALSE(ending_.open());
  ASSERT_THAT(files_, ElementsAre("/f"));
  verdicts_[0](absl::OkStatus());
  ASSERT_THAT(reported_, SizeIs(1));
  EXPECT_EQ(reported_[0].failed().kind(), "checkpoint");
  EXPECT_THAT(calls_, IsEmpty());
}

TEST_F(AttemptEndingTest, AResumeFileThatIsDamagedReleasesTheLeaseAsLost) {
  ending_.FailUnlessDamaged({"/f", "d"}, 5, "cannot read it", "tail");
  verdicts_[0](absl::DataLossError("other digest"));
  ASSERT_THAT(reported_, SizeIs(1));
  EXPECT_TRUE(reported_[0].released().has_lost());
  EXPECT_THAT(reported_[0].released().reason(), HasSubstr("after it was checked: other digest"));
}

// Two ends were reported here once.
TEST_F(AttemptEndingTest, AVerdictThatCameTooLateIsIgnored) {
  ending_.FailUnlessDamaged({"/f", "d"}, 5, "cannot read it", "tail");
  Refuse(Row());
  ASSERT_THAT(reported_, SizeIs(1));
  verdicts_[0](absl::OkStatus());
  EXPECT_THAT(reported_, SizeIs(1));
}

TEST_F(AttemptEndingTest, ARefusedCompletionIsReleasedAsLostIfItsCheckpointIsDamaged) {
  AddCheckpoint(100);
  ending_.Complete(100);
  Refuse(reported_[0], absl::FailedPreconditionError("no checkpoint"));
  EXPECT_EQ(ending_.state(), State::kVerifying);
  ASSERT_THAT(files_, ElementsAre("/c"));
  verdicts_[0](absl::NotFoundError("gone"));
  ASSERT_THAT(reported_, SizeIs(2));
  EXPECT_TRUE(reported_[1].released().has_lost());
  EXPECT_THAT(calls_, IsEmpty());
}

TEST_F(AttemptEndingTest, ARefusedCompletionFailsIfItsCheckpointIsIntact) {
  AddCheckpoint(100);
  ending_.Complete(100);
  Refuse(reported_[0], absl::FailedPreconditionError("no checkpoint"));
  verdicts_[0](absl::OkStatus());
  ASSERT_THAT(reported_, SizeIs(2));
  EXPECT_EQ(reported_[1].failed().kind(), "internal");
  EXPECT_THAT(calls_, ElementsAre("refused"));
}

TEST_F(AttemptEndingTest, ARefusedCompletionWithoutAnyCheckpointOfItsStepFailsAtOnce) {
  AddCheckpoint(50);
  ending_.Complete(100);
  Refuse(reported_[0], absl::FailedPreconditionError("no checkpoint"));
  EXPECT_THAT(files_, IsEmpty());
  EXPECT_TRUE(reported_.back().has_failed());
}

TEST_F(AttemptEndingTest, ALeaseThatIsOverIsLostInEveryStateAndStaysLost) {
  ending_.OnOver("another has it");
  EXPECT_EQ(ending_.state(), State::kLost);
  EXPECT_THAT(calls_, ElementsAre("lost: another has it", "final"));
  ending_.OnOver("again");
  ending_.Abandon();
  ending_.OnEndingTaken();
  Refuse(Row());
  ending_.Complete(100);
  EXPECT_THAT(calls_, SizeIs(2));
  EXPECT_THAT(reported_, IsEmpty());
}

TEST_F(AttemptEndingTest, AnAbandonedAttemptEndsWithoutAWord) {
  ending_.FailUnlessDamaged({"/f", "d"}, 5, "", "");
  ending_.Abandon();
  verdicts_[0](absl::OkStatus());
  EXPECT_EQ(ending_.state(), State::kLost);
  EXPECT_THAT(calls_, ElementsAre("final"));
  EXPECT_THAT(reported_, IsEmpty());
}

}  // namespace
}  // namespace coppice::worker
