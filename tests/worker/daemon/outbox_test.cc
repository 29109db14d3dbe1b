// The outbox alone: a queue, a disk that is real, and answers that the test gives.
#include "worker/daemon/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/files.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon/fake_coordinator.h"
#include "tests/worker/daemon/fakes.h"
#include "worker/daemon/attempt_records.h"

namespace coppice::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class OutboxTest : public ::testing::Test {
 protected:
  OutboxTest() {
    environment_.clock = &clock_;
    environment_.coordinator = &coordinator_;
    environment_.main = [this](std::function<void()> work) {
      return sequence_.Add(std::move(work));
    };
    environment_.background = [this](std::function<void()> work) {
      return disk_.Add(std::move(work));
    };
    session_ = std::make_unique<Session>(
        &environment_, v1::RegisterRequest(),
        Session::Hooks{[] { return std::vector<v1::HeldLease>(); }, [] { return false; },
                       [] { return 0u; },
                       [](const v1::RegisterResponse&) { return absl::OkStatus(); },
                       [](const v1::HeartbeatResponse&) {}, [](const absl::Status&) {},
                       [](const v1::Superseded&) {}});
    session_->Start();
    Settle();
  }

  static v1::Lease Lease() {
    v1::Lease lease;
    lease.mutable_lease()->set_job_id(7);
    lease.mutable_lease()->set_attempt(3);
    lease.set_checkpoint_dir("job-7/attempt-3");
    return lease;
  }
  Outbox::Hooks Hooks() {
    return {[this] { ++sendable_; }, [this] { events_.push_back("taken"); },
            [this](const std::string&) { events_.push_back("over"); },
            [this](const v1::AttemptRecord& record, const absl::Status&) {
              events_.push_back(absl::StrCat("refused ", record.number()));
            }};
  }
  Outbox::Place Place() { return {folder_.path(), {folder_.path() + "/files", shared_}}; }
  void Open() {
    outbox_ = std::make_unique<Outbox>(&environment_, session_.get(), Place(), Lease(), Hooks());
    Settle();
  }
  // As after a crash: what was written is there, and nothing else.
  void Reopen() {
    outbox_.reset();
    SpoolContents contents = *Spool::Read(SpoolPath());
    outbox_ = std::make_unique<Outbox>(&environment_, session_.get(), Place(), std::move(contents),
                                       Hooks());
    Settle();
  }
  std::string SpoolPath() { return folder_.path() + "/" + SpoolFileName(Lease().lease()); }
  void Settle() {
    for (int i = 0; i < 3; ++i) {
      sequence_.RunAll();
      disk_.RunAll();
    }
  }
  void AddRow(uint32_t step) {
    v1::MetricRow row;
    row.set_step(step);
    outbox_->Add(RowRecord(std::move(row)));
  }
  void AddCheckpoint(uint32_t step) {
    v1::CheckpointRecord checkpoint;
    checkpoint.set_step(step);
    checkpoint.set_path(absl::StrCat("job-7/attempt-3/step-", step, ".safetensors"));
    outbox_->Add(CheckpointRecordOf(std::move(checkpoint)));
  }
  void AddRelease() { outbox_->Add(ReleaseRecord(0, "because", v1::Release())); }
  // Sends all that may be sent, and returns the numbers.
  std::vector<uint64_t> Send() {
    std::vector<uint64_t> numbers;
    while (const v1::AttemptRecord* next = outbox_->NextToSend()) {
      sent_.push_back(*next);
      numbers.push_back(next->number());
      outbox_->MarkSent();
    }
    return numbers;
  }
  void Answer(uint64_t number, bool over = false) {
    v1::AttemptAnswer answer;
    answer.set_number(number);
    answer.set_over(over);
    outbox_->OnAnswer(answer);
    Settle();
  }
  void Refuse(uint64_t after) {
    v1::AttemptAnswer answer;
    answer.set_number(after);
    answer.mutable_refusal()->set_code(static_cast<uint32_t>(absl::StatusCode::kInvalidArgument));
    outbox_->OnAnswer(answer);
    Settle();
  }

  testing::TempDir folder_;
  testing::FakeClock clock_;
  ManualSequence sequence_;
  ManualSequence disk_;
  FakeCoordinator coordinator_;
  Environment environment_;
  std::unique_ptr<Session> session_;
  bool shared_ = true;
  int sendable_ = 0;
  std::vector<std::string> events_;
  std::vector<v1::AttemptRecord> sent_;
  std::unique_ptr<Outbox> outbox_;
};

TEST_F(OutboxTest, NothingIsSentBeforeItIsOnDisk) {
  Open();
  AddRow(10);
  sequence_.RunAll();
  EXPECT_EQ(outbox_->NextToSend(), nullptr);
  Settle();
  EXPECT_GT(sendable_, 0);
  EXPECT_THAT(Spool::Read(SpoolPath())->records, SizeIs(1));
  EXPECT_THAT(Send(), ElementsAre(1));
}

TEST_F(OutboxTest, ALostStreamSendsAgainWhatIsNotDurableAndNothingElse) {
  Open();
  for (const uint32_t step : {10, 20, 30}) AddRow(step);
  Settle();
  EXPECT_THAT(Send(), ElementsAre(1, 2, 3));
  Answer(1);
  EXPECT_THAT(Send(), IsEmpty());
  outbox_->OnStreamLost();
  EXPECT_THAT(Send(), ElementsAre(2, 3));
  // An answer of before the loss, and one that makes no sense.
  Answer(2);
  Answer(99);
  outbox_->OnStreamLost();
  EXPECT_THAT(Send(), ElementsAre(3));
}

TEST_F(OutboxTest, ARefusedRecordAndAllBehindItGoAndTheNextHasItsNumber) {
  Open();
  for (const uint32_t step : {10, 20, 30}) AddRow(step);
  Settle();
  Send();
  AddRow(40);  // on its way to the disk
  Refuse(1);
  EXPECT_THAT(events_, ElementsAre("refused 2"));
  AddRelease();
  Settle();
  EXPECT_THAT(Send(), ElementsAre(2));
  EXPECT_TRUE(sent_.back().has_released());
  // A crash now: the file has the refused records, too, and its end replaces them.
  Reopen();
  EXPECT_THAT(Send(), ElementsAre(1, 2));
  EXPECT_TRUE(sent_.back().has_released());
}

TEST_F(OutboxTest, AnEndingIsTakenOnlyIfTheAttemptIsOverWithIt) {
  Open();
  AddRow(10);
  AddRelease();
  Settle();
  Send();
  Answer(1, true);
  EXPECT_THAT(events_, ElementsAre("over"));
  Answer(2, true);
  EXPECT_THAT(events_, ElementsAre("over", "taken"));
}

TEST_F(OutboxTest, AnEndingWhoseNumberIsUsedUpGetsTheNextOne) {
  Open();
  AddRow(10);
  Settle();
  Reopen();
  AddRelease();
  Settle();
  EXPECT_THAT(Send(), ElementsAre(1, 2));
  // An earlier process had sent more than the spool kept.
  Answer(5);
  EXPECT_THAT(events_, IsEmpty());
  EXPECT_THAT(Send(), ElementsAre(6));
  Answer(6, true);
  EXPECT_THAT(events_, ElementsAre("taken"));
}

TEST_F(OutboxTest, ACheckpointIsUploadedFirstAndTheRecordsBehindItWait) {
  shared_ = false;
  Open();
  AddRow(10);
  AddCheckpoint(10);
  AddRow(20);
  Settle();
  EXPECT_THAT(Send(), ElementsAre(1));
  EXPECT_THAT(coordinator_.uploads, IsEmpty());
  coordinator_.errors["UploadCheckpoint"].push_back(absl::UnavailableError("busy"));
  Answer(1);
  EXPECT_THAT(Send(), IsEmpty());
  clock_.Advance(absl::Seconds(10));
  Settle();
  EXPECT_THAT(coordinator_.uploads, SizeIs(2));
  EXPECT_THAT(Send(), ElementsAre(2, 3));
  EXPECT_THAT(sent_[1].checkpoint().withdrawn(), IsEmpty());
  // A new stream needs no second upload.
  outbox_->OnStreamLost();
  EXPECT_THAT(Send(), ElementsAre(2, 3));
  EXPECT_THAT(coordinator_.uploads, SizeIs(2));
}

TEST_F(OutboxTest, ACheckpointThatCannotBeUploadedIsWithdrawnAndKeepsItsNumber) {
  shared_ = false;
  Open();
  coordinator_.errors["UploadCheckpoint"].push_back(absl::DataLossError("no such file"));
  AddCheckpoint(10);
  AddRow(20);
  Settle();
  EXPECT_THAT(Send(), ElementsAre(1, 2));
  EXPECT_THAT(sent_[0].checkpoint().withdrawn(), ::testing::HasSubstr("no such file"));
  EXPECT_THAT(events_, IsEmpty());
}

TEST_F(OutboxTest, AnUploadForALeaseThatIsOverEndsTheAttempt) {
  shared_ = false;
  Open();
  coordinator_.errors["UploadCheckpoint"].push_back(absl::AbortedError("attempt 3 is over"));
  AddCheckpoint(10);
  Settle();
  EXPECT_THAT(events_, ElementsAre("over"));
}

TEST_F(OutboxTest, ADiskThatRefusesTheSpoolKeepsNoRecordBack) {
  Open();
  std::filesystem::remove_all(folder_.path());
  outbox_.reset();
  Open();
  AddRow(10);
  Settle();
  EXPECT_THAT(Send(), ElementsAre(1));
}

TEST_F(OutboxTest, CloseRemovesTheSpoolAfterAWriteThatIsInFlight) {
  Open();
  AddRow(10);
  sequence_.RunAll();
  bool closed = false;
  outbox_->Close([&] { closed = true; });
  EXPECT_FALSE(closed);
  Settle();
  EXPECT_TRUE(closed);
  EXPECT_FALSE(FileExists(SpoolPath()));
  EXPECT_EQ(outbox_->NextToSend(), nullptr);
}

}  // namespace
}  // namespace coppice::worker
