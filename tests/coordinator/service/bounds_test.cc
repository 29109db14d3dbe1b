// The server bounds what clients can make it hold, and accepts later what it refused at a bound.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/base/limits.h"
#include "common/rpc/status.h"
#include "coordinator/service/checkpoint_files.h"
#include "coordinator/service/convert.h"
#include "tests/coordinator/service/mock_coordinator.h"
#include "tests/coordinator/service/records.h"
#include "tests/coordinator/service/served.h"
#include "tests/testing/fake_clock.h"

namespace coppice::service {
namespace {

using ::testing::_;
using ::testing::NiceMock;

constexpr absl::Duration kPatience = absl::Seconds(30);

TEST(CheckpointFiles, OnlySoManyTransfersRunAtATime) {
  testing::TempDir dir;
  CheckpointFiles files(dir.path(), 2);
  EXPECT_TRUE(files.Claim("a").ok());
  EXPECT_TRUE(files.Claim("b").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(files.Claim("c")));
  files.Unclaim("a");
  EXPECT_TRUE(files.Claim("c").ok());
  EXPECT_TRUE(files.BeginRead().ok()) << "uploads and downloads are counted apart";
  EXPECT_TRUE(files.BeginRead().ok());
  EXPECT_TRUE(absl::IsResourceExhausted(files.BeginRead()));
  files.EndRead();
  EXPECT_TRUE(files.BeginRead().ok());
}

class Bounds : public ::testing::Test {
 protected:
  ~Bounds() override { served_.reset(); }
  void Serve(size_t max_streams, size_t max_report_bytes) {
    ServerOptions options;
    options.max_streams = max_streams;
    options.max_report_bytes = max_report_bytes;
    served_ = std::make_unique<Served>(&core_, &clock_, dir_.path(), options);
  }

  NiceMock<core::MockCoordinator> core_;
  testing::FakeClock clock_;
  testing::TempDir dir_;
  std::unique_ptr<Served> served_;
};

TEST_F(Bounds, AStreamTooManyIsRefusedAndOneThatEndsMakesRoom) {
  ON_CALL(core_, Append).WillByDefault([](auto, const auto& records, auto done) {
    done(std::vector<core::AttemptAnswer>{{records.back().lease, records.back().number}});
  });
  Serve(1, LiveStreams::kMaxReportBytes);
  const auto report = MessageOf("w", LeaseOf(1), 1, {LogRecord("l")});
  v1::StreamRecordsResponse ack;
  CallContext first_context;
  auto first = served_->workers->StreamRecords(&first_context);
  ASSERT_TRUE(first->Write(report));
  ASSERT_TRUE(first->Read(&ack));  // it is now open on the server's side too
  CallContext second_context;
  auto second = served_->workers->StreamRecords(&second_context);
  EXPECT_FALSE(second->Read(&ack));
  EXPECT_TRUE(absl::IsResourceExhausted(rpc::FromGrpc(second->Finish())));
  first->WritesDone();
  EXPECT_TRUE(first->Finish().ok());
  // The server removes a stream shortly after its client has seen the end.
  absl::Status status;
  do {
    CallContext context;
    auto third = served_->workers->StreamRecords(&context);
    third->Write(report);
    third->WritesDone();
    while (third->Read(&ack)) {  // Finish would block while a response is unread
    }
    status = rpc::FromGrpc(third->Finish());
  } while (absl::IsResourceExhausted(status));
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(Bounds, AllStreamsTogetherReadNoFurtherThanTheirBudgetAndLoseNothing) {
  constexpr size_t kBytes = 50 << 10;
  constexpr uint64_t kReports = 40;
  constexpr size_t kStreams = 3;
  // The first batch of each stream is answered only after all streams have sent as much as they
  // can.
  absl::Notification release;
  absl::Mutex mutex;
  size_t begun = 0;
  size_t largest = 0;  // largest batch after the first
  std::vector<std::thread> answering;
  ON_CALL(core_, Append).WillByDefault([&](auto, const auto& records, auto done) {
    const std::vector<core::AttemptAnswer> acks = {{records.back().lease, records.back().number}};
    if (records.front().number > 1) {
      {
        absl::MutexLock lock(&mutex);
        largest = std::max(largest, records.size());
      }
      return done(acks);  // the stream's next batch may follow at once
    }
    absl::MutexLock lock(&mutex);
    ++begun;
    answering.emplace_back([&release, acks, done] {
      release.WaitForNotification();
      done(acks);
    });
  });
  Serve(100, 2 * kBytes);
  std::vector<std::thread> workers;
  std::atomic<uint64_t> acknowledged{0};
  for (size_t i = 0; i < kStreams; ++i) {
    workers.emplace_back([&, i] {
      CallContext context;
      auto stream = served_->workers->StreamRecords(&context);
      std::thread writer([&] {
        const v1::AttemptRecord log = LogRecord(std::string(kBytes, 'l'));
        for (uint64_t number = 1; number <= kReports; ++number) {
          stream->Write(MessageOf(absl::StrCat("w", i), LeaseOf(i + 1), number, {log}));
        }
        stream->WritesDone();
      });
      uint64_t last = 0;
      for (v1::StreamRecordsResponse ack; stream->Read(&ack);) last = ack.answers(0).number();
      writer.join();
      EXPECT_TRUE(stream->Finish().ok());
      acknowledged += last;
    });
  }
  {
    absl::MutexLock lock(&mutex);
    const auto all = [&] { return begun == kStreams; };
    ASSERT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&all), kPatience));
  }
  release.Notify();
  for (std::thread& worker : workers) worker.join();
  for (std::thread& thread : answering) thread.join();
  EXPECT_EQ(acknowledged, kStreams * kReports);
  // Two messages fit into the budget, and one more may exceed it.
  EXPECT_LE(largest, 3u);
}

TEST_F(Bounds, AMessageThatNoWorkerWouldSendEndsTheStream) {
  Serve(100, LiveStreams::kMaxReportBytes);
  EXPECT_CALL(core_, Append).Times(0);
  const v1::AttemptRecord long_log = LogRecord(std::string(kMaxRecordMessageBytes + 1, 'l'));
  const std::vector<v1::AttemptRecord> many(kMaxRecordsInMessage + 1, LogRecord("l"));
  for (const auto& records : {std::vector<v1::AttemptRecord>{long_log}, many}) {
    CallContext context;
    auto stream = served_->workers->StreamRecords(&context);
    stream->Write(MessageOf("w", LeaseOf(1), 1, records));
    EXPECT_TRUE(absl::IsInvalidArgument(rpc::FromGrpc(stream->Finish())));
  }
}

}  // namespace
}  // namespace coppice::service
