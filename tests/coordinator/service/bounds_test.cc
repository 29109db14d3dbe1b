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
#include "common/rpc/status.h"
#include "coordinator/service/checkpoint_files.h"
#include "coordinator/service/metrics_stream.h"
#include "tests/coordinator/service/mock_coordinator.h"
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
    done(std::vector<core::RecordAck>{{records.back().lease, records.back().sequence, false, ""}});
  });
  Serve(1, LiveStreams::kMaxReportBytes);
  v1::StreamMetricsRequest report;
  report.set_worker_id("w");
  report.mutable_lease()->set_job_id(1);
  report.mutable_lease()->set_attempt(1);
  report.set_sequence(1);
  report.set_log("l");
  v1::StreamMetricsResponse ack;
  CallContext first_context;
  auto first = served_->workers->StreamMetrics(&first_context);
  ASSERT_TRUE(first->Write(report));
  ASSERT_TRUE(first->Read(&ack));  // it is now open on the server's side too
  CallContext second_context;
  auto second = served_->workers->StreamMetrics(&second_context);
  EXPECT_FALSE(second->Read(&ack));
  EXPECT_TRUE(absl::IsResourceExhausted(rpc::FromGrpc(second->Finish())));
  first->WritesDone();
  EXPECT_TRUE(first->Finish().ok());
  // The server removes a stream shortly after its client has seen the end.
  absl::Status status;
  do {
    CallContext context;
    auto third = served_->workers->StreamMetrics(&context);
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
    const std::vector<core::RecordAck> acks = {
        {records.back().lease, records.back().sequence, false, ""}};
    if (records.front().sequence > 1) {
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
      auto stream = served_->workers->StreamMetrics(&context);
      std::thread writer([&] {
        v1::StreamMetricsRequest report;
        report.set_worker_id(absl::StrCat("w", i));
        report.mutable_lease()->set_job_id(i + 1);
        report.mutable_lease()->set_attempt(1);
        report.set_log(std::string(kBytes, 'l'));
        for (uint64_t sequence = 1; sequence <= kReports; ++sequence) {
          report.set_sequence(sequence);
          stream->Write(report);
        }
        stream->WritesDone();
      });
      uint64_t last = 0;
      for (v1::StreamMetricsResponse ack; stream->Read(&ack);) last = ack.sequence();
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

TEST_F(Bounds, AReportThatNoWorkerWouldSendEndsTheStream) {
  Serve(100, LiveStreams::kMaxReportBytes);
  CallContext context;
  auto stream = served_->workers->StreamMetrics(&context);
  v1::StreamMetricsRequest report;
  report.set_worker_id("w");
  report.mutable_lease()->set_job_id(1);
  report.mutable_lease()->set_attempt(1);
  report.set_sequence(1);
  report.set_log(std::string(kMaxReportMessageBytes + 1, 'l'));
  stream->Write(report);
  EXPECT_TRUE(absl::IsInvalidArgument(rpc::FromGrpc(stream->Finish())));
}

}  // namespace
}  // namespace coppice::service
