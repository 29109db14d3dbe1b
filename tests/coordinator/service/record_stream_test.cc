// The stream of records through real stubs, with a mock core that controls the time of its answers.
#include "coordinator/service/record_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "absl/synchronization/notification.h"
#include "common/rpc/status.h"
#include "tests/coordinator/service/mock_coordinator.h"
#include "tests/coordinator/service/records.h"
#include "tests/coordinator/service/served.h"
#include "tests/testing/fake_clock.h"

namespace coppice::service {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::NiceMock;
using ::testing::SizeIs;

constexpr absl::Duration kPatience = absl::Seconds(30);
using Answers = std::vector<core::AttemptAnswer>;

// Takes every record, as a core without faults does.
Answers TakeAll(const std::vector<core::Record>& records) {
  Answers answers;
  for (const core::Record& record : records) {
    const auto of_attempt = [&](const core::AttemptAnswer& a) { return a.lease == record.lease; };
    auto it = std::find_if(answers.begin(), answers.end(), of_attempt);
    if (it == answers.end()) it = answers.insert(it, core::AttemptAnswer{record.lease});
    it->number = record.number;
    const auto* checkpoint = std::get_if<core::CheckpointRecord>(&record.content);
    if (checkpoint != nullptr && !checkpoint->left_out.empty()) {
      it->omissions.push_back({record.number, checkpoint->left_out});
    }
  }
  return answers;
}

v1::AttemptRecord CheckpointAt(const std::string& path) {
  v1::AttemptRecord record;
  v1::CheckpointRecord* checkpoint = record.mutable_checkpoint();
  checkpoint->set_step(10);
  checkpoint->set_path(path);
  checkpoint->set_digest(std::string(32, 'a'));
  checkpoint->set_bytes(7);
  return record;
}

class RecordStreams : public ::testing::Test {
 protected:
  ~RecordStreams() override { served_.server.reset(); }
  void CoreTakesAll() {
    ON_CALL(core_, Append)
        .WillByDefault([](auto, const std::vector<core::Record>& records, auto done) {
          done(TakeAll(records));
        });
  }
  // The core knows nothing that would end a check before its time.
  void CoreKnowsTheLease() {
    ON_CALL(core_, CheckLease).WillByDefault([](auto, auto, auto done) { done(absl::OkStatus()); });
    ON_CALL(core_, GetJob(_, _)).WillByDefault([](auto, auto done) { done(core::JobDetails()); });
  }
  std::unique_ptr<grpc::ClientReaderWriter<v1::StreamRecordsRequest, v1::StreamRecordsResponse>>
  Open() {
    return served_.workers->StreamRecords(&context_);
  }

  NiceMock<core::MockCoordinator> core_;
  testing::FakeClock clock_;
  testing::TempDir dir_;
  Served served_{&core_, &clock_, dir_.path()};
  CallContext context_{std::chrono::seconds(100)};
};

v1::StreamRecordsRequest Log(uint64_t number, size_t bytes) {
  return MessageOf("w", LeaseOf(1), number, {LogRecord(std::string(bytes, 'l'))});
}

TEST_F(RecordStreams, WhileACommitTakesLongTheWorkerIsHeldBackAndNothingIsLost) {
  constexpr uint64_t kRecords = 2000;  // 32 KiB each: far more than a connection buffers
  absl::Notification first_batch, release;
  uint64_t expected = 1;
  EXPECT_CALL(core_, Append("w", _, _))
      .WillRepeatedly([&](auto, const std::vector<core::Record>& records, auto done) {
        size_t bytes = 0;
        for (const core::Record& record : records) {
          EXPECT_EQ(record.number, expected++);
          bytes += std::get<core::LogText>(record.content).text.size();
        }
        EXPECT_LE(records.size(), kMaxPendingRecords);
        EXPECT_LE(bytes, kMaxPendingBytes + (64 << 10));
        if (records.front().number > 1) return done(TakeAll(records));
        // Like a commit on a slow disk: the answer comes later, from another thread.
        std::thread([&, answers = TakeAll(records), done] {
          first_batch.Notify();
          release.WaitForNotification();
          done(answers);
        }).detach();
      });
  auto stream = Open();
  absl::Notification all_written;
  std::thread writer([&] {
    for (uint64_t number = 1; number <= kRecords; ++number) {
      ASSERT_TRUE(stream->Write(Log(number, 32 << 10)));
    }
    all_written.Notify();
    stream->WritesDone();
  });
  ASSERT_TRUE(first_batch.WaitForNotificationWithTimeout(kPatience));
  EXPECT_FALSE(all_written.WaitForNotificationWithTimeout(absl::Seconds(1)))
      << "the server kept reading although nothing was durable";
  release.Notify();
  v1::StreamRecordsResponse response;
  uint64_t last = 0;
  while (stream->Read(&response)) {
    ASSERT_EQ(response.answers_size(), 1);
    EXPECT_GT(response.answers(0).number(), last);
    EXPECT_FALSE(response.answers(0).has_refusal());
    last = response.answers(0).number();
  }
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(last, kRecords);
}

TEST_F(RecordStreams, AMessageOfManyAttemptsIsOneCallAndOneAnswer) {
  v1::StreamRecordsRequest message;
  message.set_worker_id("w");
  for (uint64_t job = 1; job <= 10; ++job) {
    AddRecords(LeaseOf(job), 1, {RowRecord(10, 1), LogRecord("l"), CompletionRecord(10)}, &message);
  }
  EXPECT_CALL(core_, Append("w", SizeIs(30), _)).WillOnce([](auto, const auto& records, auto done) {
    done(TakeAll(records));
  });
  auto stream = Open();
  ASSERT_TRUE(stream->Write(message));
  stream->WritesDone();
  v1::StreamRecordsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.answers_size(), 10);
  for (const v1::AttemptAnswer& answer : response.answers()) EXPECT_EQ(answer.number(), 3u);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(RecordStreams, ACheckpointWaitsForItsFileWhileAnotherAttemptGoesOn) {
  CoreTakesAll();
  CoreKnowsTheLease();
  auto stream = Open();
  v1::StreamRecordsRequest message;
  message.set_worker_id("w");
  AddRecords(LeaseOf(1), 1, {RowRecord(10, 1), CheckpointAt("late"), RowRecord(20, 1)}, &message);
  AddRecords(LeaseOf(2), 1, {RowRecord(10, 1)}, &message);
  ASSERT_TRUE(stream->Write(message));
  v1::StreamRecordsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(response.answers_size(), 2);
  for (const v1::AttemptAnswer& answer : response.answers()) EXPECT_EQ(answer.number(), 1u);
  ASSERT_TRUE(clock_.AwaitTimers(1, kPatience));  // the file is not there yet
  ASSERT_TRUE(stream->Write(MessageOf("", LeaseOf(2), 2, {RowRecord(20, 1)})));
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(response.answers_size(), 1);
  EXPECT_EQ(response.answers(0).lease().job_id(), 2u);
  EXPECT_EQ(response.answers(0).number(), 2u);

  std::ofstream(dir_.Join("late")) << "weights";
  clock_.Advance(absl::Milliseconds(250));
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(response.answers_size(), 1);
  EXPECT_EQ(response.answers(0).lease().job_id(), 1u);
  EXPECT_EQ(response.answers(0).number(), 3u) << "the row behind it follows";
  EXPECT_EQ(response.answers(0).omissions_size(), 0);
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(RecordStreams, ACheckpointWithoutAFileIsLeftOutAndTheStreamEndsOnlyThen) {
  CoreTakesAll();
  CoreKnowsTheLease();
  auto stream = Open();
  ASSERT_TRUE(
      stream->Write(MessageOf("w", LeaseOf(1), 1, {CheckpointAt("absent"), LogRecord("l")})));
  stream->WritesDone();
  for (const int64_t ms : {250, 1000, 2000}) {
    ASSERT_TRUE(clock_.AwaitTimers(1, kPatience));
    clock_.Advance(absl::Milliseconds(ms));
  }
  v1::StreamRecordsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.answers(0).number(), 2u);
  ASSERT_EQ(response.answers(0).omissions_size(), 1);
  EXPECT_EQ(response.answers(0).omissions(0).number(), 1u);
  EXPECT_THAT(response.answers(0).omissions(0).reason(), HasSubstr("--checkpoint-dir"));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(RecordStreams, AStreamThatEndsDuringACheckLeavesNothingBehind) {
  CoreKnowsTheLease();
  EXPECT_CALL(core_, Append).Times(0);
  auto stream = Open();
  ASSERT_TRUE(stream->Write(MessageOf("w", LeaseOf(1), 1, {CheckpointAt("absent")})));
  ASSERT_TRUE(clock_.AwaitTimers(1, kPatience));
  served_.server->CloseStreams();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  served_.server.reset();
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(clock_.pending_timers(), 0u);
}

TEST_F(RecordStreams, AnAttemptThatIsOverIsAnsweredSo) {
  EXPECT_CALL(core_, Append)
      .WillOnce([](auto, const std::vector<core::Record>& records, auto done) {
        core::AttemptAnswer over{records[0].lease};
        over.over = true;
        done(Answers{over});
      });
  auto stream = Open();
  ASSERT_TRUE(stream->Write(Log(1, 10)));
  v1::StreamRecordsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_TRUE(response.answers(0).over());
  EXPECT_EQ(response.answers(0).lease().job_id(), 1u);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(RecordStreams, ARefusedRecordIsAnsweredOnceAndAnotherMayTakeItsPlace) {
  std::vector<uint64_t> seen;
  EXPECT_CALL(core_, Append)
      .WillOnce([&](auto, const std::vector<core::Record>& records, auto done) {
        core::AttemptAnswer refused{records[0].lease};
        refused.refusal = absl::InvalidArgumentError("not finite");
        done(Answers{refused});
      })
      .WillRepeatedly([&](auto, const std::vector<core::Record>& records, auto done) {
        for (const core::Record& record : records) seen.push_back(record.number);
        done(TakeAll(records));
      });
  auto stream = Open();
  ASSERT_TRUE(stream->Write(Log(1, 10)));
  v1::StreamRecordsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.answers(0).refusal().message(), "not finite");
  EXPECT_EQ(response.answers(0).number(), 0u);
  EXPECT_FALSE(response.answers(0).over());
  ASSERT_TRUE(stream->Write(Log(2, 10)));  // was on its way
  ASSERT_TRUE(stream->Write(MessageOf("w", LeaseOf(1), 1, {FailureRecord(1, "internal", "m")})));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.answers(0).number(), 1u);
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_THAT(seen, ElementsAre(1u));
}

TEST_F(RecordStreams, AStreamThatChangesItsWorkerIsRefused) {
  CoreTakesAll();
  auto stream = Open();
  ASSERT_TRUE(stream->Write(Log(1, 10)));
  stream->Write(MessageOf("another", LeaseOf(1), 2, {LogRecord("l")}));
  v1::StreamRecordsResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(RecordStreams, AStreamWithoutItsWorkerIsRefused) {
  EXPECT_CALL(core_, Append).Times(0);
  auto stream = Open();
  stream->Write(MessageOf("", LeaseOf(1), 1, {LogRecord("l")}));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(RecordStreams, AFailedAppendEndsTheStreamAndAcknowledgesNothing) {
  EXPECT_CALL(core_, Append).WillOnce([](auto, auto, auto done) {
    done(absl::NotFoundError("register first"));
  });
  auto stream = Open();
  ASSERT_TRUE(stream->Write(Log(1, 10)));
  v1::StreamRecordsResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(rpc::FromGrpc(stream->Finish()), absl::NotFoundError("register first"));
}

}  // namespace
}  // namespace coppice::service
