// The streams through real stubs, with a mock core behind that decides when its answers come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/synchronization/notification.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/rpc/status.h"
#include "coordinator/service/checkpoint_streams.h"
#include "coordinator/service/convert.h"
#include "coordinator/service/metrics_stream.h"
#include "tests/coordinator/service/mock_coordinator.h"
#include "tests/coordinator/service/served.h"
#include "tests/testing/fake_clock.h"

namespace coppice::service {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::NiceMock;
using ::testing::Return;

constexpr absl::Duration kPatience = absl::Seconds(30);

// Tells when it is destroyed.
class CountedSubscription : public core::Subscription {
 public:
  explicit CountedSubscription(absl::Notification* gone) : gone_(gone) {}
  ~CountedSubscription() override { gone_->Notify(); }

 private:
  absl::Notification* const gone_;
};

class Streams : public ::testing::Test {
 protected:
  ~Streams() override { served_.server.reset(); }

  // The core remembers the watcher's callback.
  void ExpectWatch() {
    EXPECT_CALL(core_, WatchSweep("s", _)).WillOnce([this](auto, auto on_change) {
      on_change_ = on_change;
      watching_.Notify();
      return absl::StatusOr<std::unique_ptr<core::Subscription>>(
          std::make_unique<CountedSubscription>(&unsubscribed_));
    });
  }
  void Tell(core::JobId id, uint32_t step) {
    core::SweepChange change;
    change.job.emplace();
    change.job->id = id;
    change.job->step = step;
    on_change_(change);
  }
  void TellSummary(bool finished) {
    core::SweepChange change;
    change.summary.emplace();
    change.summary->name = "s";
    change.finished = finished;
    on_change_(change);
  }

  NiceMock<core::MockCoordinator> core_;
  testing::FakeClock clock_;
  testing::TempDir dir_;
  Served served_{&core_, &clock_, dir_.path()};
  std::function<void(const core::SweepChange&)> on_change_;
  absl::Notification watching_, unsubscribed_;
};

v1::WatchSweepRequest Watch() {
  v1::WatchSweepRequest request;
  request.set_name("s");
  return request;
}

TEST_F(Streams, WatchGoesFromTheSummaryThroughTheChangesToTheEnd) {
  ExpectWatch();
  CallContext context;
  auto reader = served_.sweeps->WatchSweep(&context, Watch());
  ASSERT_TRUE(watching_.WaitForNotificationWithTimeout(kPatience));
  v1::WatchSweepResponse response;
  TellSummary(false);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.summary().name(), "s");
  Tell(7, 10);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.job().id(), 7u);
  EXPECT_EQ(response.job().step(), 10u);
  EXPECT_FALSE(response.has_summary());
  TellSummary(true);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_TRUE(response.has_summary());
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(unsubscribed_.WaitForNotificationWithTimeout(kPatience));
}

TEST_F(Streams, AWatcherThatDoesNotReadMissesStepsButNotTheLastOne) {
  ExpectWatch();
  CallContext context;
  auto reader = served_.sweeps->WatchSweep(&context, Watch());
  ASSERT_TRUE(watching_.WaitForNotificationWithTimeout(kPatience));
  constexpr uint32_t kSteps = 200'000;
  for (uint32_t step = 1; step <= kSteps; ++step) Tell(7, step);
  TellSummary(true);
  v1::WatchSweepResponse response;
  uint32_t messages = 0, last = 0;
  while (reader->Read(&response)) {
    if (!response.has_job()) continue;
    ++messages;
    EXPECT_GT(response.job().step(), last);
    last = response.job().step();
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(last, kSteps);
  EXPECT_LT(messages, kSteps) << "nothing was coalesced";
}

TEST_F(Streams, AWatchOfAnUnknownSweepSaysNotFound) {
  EXPECT_CALL(core_, WatchSweep).WillOnce([](auto, auto) {
    return absl::StatusOr<std::unique_ptr<core::Subscription>>(absl::NotFoundError("no sweep s"));
  });
  CallContext context;
  EXPECT_EQ(rpc::FromGrpc(served_.sweeps->WatchSweep(&context, Watch())->Finish()),
            absl::NotFoundError("no sweep s"));
}

TEST_F(Streams, ACancelledWatchEndsItsSubscription) {
  ExpectWatch();
  CallContext context;
  auto reader = served_.sweeps->WatchSweep(&context, Watch());
  ASSERT_TRUE(watching_.WaitForNotificationWithTimeout(kPatience));
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  ASSERT_TRUE(unsubscribed_.WaitForNotificationWithTimeout(kPatience));
  Tell(1, 1);  // a core that is late to notice must find nobody
}

TEST_F(Streams, ChangesThatRaceWithCancellationHarmNobody) {
  for (int round = 0; round < 50; ++round) {
    absl::Notification gone, subscribed;
    std::function<void(const core::SweepChange&)> on_change;
    EXPECT_CALL(core_, WatchSweep).WillOnce([&](auto, auto callback) {
      on_change = callback;
      subscribed.Notify();
      return absl::StatusOr<std::unique_ptr<core::Subscription>>(
          std::make_unique<CountedSubscription>(&gone));
    });
    CallContext context;
    auto reader = served_.sweeps->WatchSweep(&context, Watch());
    ASSERT_TRUE(subscribed.WaitForNotificationWithTimeout(kPatience));
    std::thread teller([&] {
      core::SweepChange change;
      change.job.emplace();
      while (!gone.HasBeenNotified()) {
        change.job->id = change.job->id % 100 + 1;
        on_change(change);
      }
    });
    v1::WatchSweepResponse response;
    for (int i = 0; i < round; ++i) reader->Read(&response);
    context.TryCancel();
    EXPECT_FALSE(reader->Finish().ok());
    teller.join();
  }
}

TEST_F(Streams, ClosingTheServerTellsWatchersThatItIsUnavailable) {
  ExpectWatch();
  CallContext context;
  auto reader = served_.sweeps->WatchSweep(&context, Watch());
  ASSERT_TRUE(watching_.WaitForNotificationWithTimeout(kPatience));
  served_.server->CloseStreams();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  CallContext late;
  EXPECT_EQ(served_.sweeps->WatchSweep(&late, Watch())->Finish().error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Streams, MetricsComePageByPageAndNoFasterThanTheyAreRead) {
  constexpr uint32_t kPages = 400;
  std::atomic<uint32_t> fetched = 0;
  EXPECT_CALL(core_, GetMetrics)
      .Times(kPages)
      .WillRepeatedly([&](const core::MetricsQuery& query, const core::MetricsCursor& after,
                          uint32_t limit, auto done) {
        EXPECT_EQ(query.from_step, 5u);
        EXPECT_TRUE(query.include_archived);
        EXPECT_THAT(query.names, ElementsAre("val_loss"));
        EXPECT_EQ(after.begun, fetched != 0);
        EXPECT_EQ(after.step, fetched.load());
        core::MetricsPage page;
        for (uint32_t i = 0; i < limit; ++i) {
          core::JobMetrics row;
          row.job_id = 1;
          row.task = "dyck";
          row.row.step = fetched * limit + i;
          row.row.values = {{"val_loss", 0.25}};
          row.archived = true;
          row.epoch = 2;
          page.rows.push_back(row);
        }
        ++fetched;
        page.next = {1, fetched.load(), 2, true};
        page.end = fetched == kPages;
        done(page);
      });
  v1::GetMetricsRequest request;
  request.mutable_filter()->set_sweep("s");
  request.add_names("val_loss");
  request.set_from_step(5);
  request.set_include_archived(true);
  CallContext context;
  auto reader = served_.sweeps->GetMetrics(&context, request);
  v1::GetMetricsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_LT(fetched, kPages) << "pages were fetched ahead of a reader that took one";
  uint32_t rows = 0;
  do {
    for (const v1::JobMetrics& row : response.rows()) {
      ASSERT_EQ(row.row().step(), rows++);
      EXPECT_EQ(row.row().values(0).value(), 0.25);
      EXPECT_TRUE(row.archived());
      EXPECT_EQ(row.epoch(), 2u);
    }
  } while (reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_GT(rows, kPages);
}

TEST_F(Streams, AFailingMetricsPageEndsTheStreamWithItsError) {
  EXPECT_CALL(core_, GetMetrics).WillOnce([](auto, auto, auto, auto done) {
    done(absl::InternalError("disk"));
  });
  v1::GetMetricsRequest request;
  request.mutable_filter()->set_sweep("s");
  CallContext context;
  EXPECT_EQ(rpc::FromGrpc(served_.sweeps->GetMetrics(&context, request)->Finish()),
            absl::InternalError("disk"));
}

TEST_F(Streams, ACancelledMetricsQueryEndsAlthoughTheCoreAnswersLater) {
  absl::Notification asked;
  core::Coordinator::Done<core::MetricsPage> answer;
  EXPECT_CALL(core_, GetMetrics)
      .WillOnce([&](auto, auto, auto, auto done) {
        answer = done;
        asked.Notify();
      })
      // The answer may overtake the cancellation on its way here.
      .WillRepeatedly([](auto, auto, auto, auto done) { done(core::MetricsPage()); });
  v1::GetMetricsRequest request;
  request.mutable_filter()->set_sweep("s");
  CallContext context;
  auto reader = served_.sweeps->GetMetrics(&context, request);
  ASSERT_TRUE(asked.WaitForNotificationWithTimeout(kPatience));
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  core::MetricsPage page;
  page.rows.emplace_back();
  answer(page);
  served_.server.reset();  // waits for the call
}

TEST_F(Streams, APageOfHugeRowsIsSplitIntoMessagesThatFit) {
  EXPECT_CALL(core_, GetMetrics).WillOnce([](auto, auto, uint32_t limit, auto done) {
    core::MetricsPage page;
    page.end = true;
    for (uint32_t i = 0; i < limit; ++i) {
      page.rows.emplace_back().row.step = i;
      page.rows.back().row.values.assign(1000, {std::string(128, 'm'), 1});
    }
    done(page);
  });
  v1::GetMetricsRequest request;
  request.mutable_filter()->set_sweep("s");
  CallContext context;
  auto reader = served_.sweeps->GetMetrics(&context, request);
  v1::GetMetricsResponse response;
  uint32_t rows = 0, messages = 0;
  for (; reader->Read(&response); ++messages) {
    for (const v1::JobMetrics& row : response.rows()) EXPECT_EQ(row.row().step(), rows++);
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(rows, 500u);
  EXPECT_GT(messages, 1u);
}

TEST_F(Streams, FollowedLogsGoOnIntoTheNextAttemptUntilTheJobEnds) {
  absl::Mutex mutex;
  std::string first = "one", second;
  bool ended = false;
  std::function<void()> on_change;
  absl::Notification subscribed, gone;
  EXPECT_CALL(core_, WatchLog(4, _)).WillOnce([&](auto, auto callback) {
    on_change = callback;
    return std::make_unique<CountedSubscription>(&gone);
  });
  EXPECT_CALL(core_, GetLog(4, _, _, _))
      .WillRepeatedly([&](auto, core::Epoch epoch, uint64_t after, auto done) {
        core::LogPage page;
        {
          absl::MutexLock lock(&mutex);
          page.epoch = epoch != 0 ? epoch : (second.empty() ? 1 : 2);
          const std::string& text = page.epoch == 1 ? first : second;
          page.text = text.substr(std::min<size_t>(after, text.size()));
          page.next = text.size();
          page.job_ended = ended;
        }
        done(page);
      });
  v1::GetLogsRequest request;
  request.set_job_id(4);
  request.set_follow(true);
  CallContext context;
  auto reader = served_.sweeps->GetLogs(&context, request);
  v1::GetLogsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.epoch(), 1u);
  EXPECT_EQ(response.text(), "one");
  {
    absl::MutexLock lock(&mutex);
    first += " more";
  }
  on_change();
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.text(), " more");
  {
    absl::MutexLock lock(&mutex);
    second = "again";
  }
  on_change();
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.epoch(), 2u);
  EXPECT_EQ(response.text(), "again");
  {
    absl::MutexLock lock(&mutex);
    ended = true;
  }
  on_change();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(gone.WaitForNotificationWithTimeout(kPatience));
}

TEST_F(Streams, LogsWithoutFollowEndWhereTheLogEnds) {
  EXPECT_CALL(core_, WatchLog).Times(0);
  EXPECT_CALL(core_, GetLog(4, 3, 0, _)).WillOnce([](auto, auto, auto, auto done) {
    done(core::LogPage{3, "text", 4, false});
  });
  EXPECT_CALL(core_, GetLog(4, 3, 4, _)).WillOnce([](auto, auto, auto, auto done) {
    done(core::LogPage{3, "", 4, false});
  });
  v1::GetLogsRequest request;
  request.set_job_id(4);
  request.set_epoch(3);
  CallContext context;
  auto reader = served_.sweeps->GetLogs(&context, request);
  v1::GetLogsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.text(), "text");
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
}

v1::StreamMetricsRequest Log(uint64_t sequence, size_t bytes) {
  v1::StreamMetricsRequest request;
  request.set_worker_id("w");
  request.mutable_lease()->set_job_id(1);
  request.mutable_lease()->set_epoch(1);
  request.set_sequence(sequence);
  request.set_log(std::string(bytes, 'l'));
  return request;
}

core::RecordAck AckOf(const std::vector<core::Record>& records) {
  return {records.back().lease, records.back().sequence, false, ""};
}

TEST_F(Streams, WhileACommitTakesLongTheWorkerIsHeldBackAndNothingIsLost) {
  constexpr uint64_t kRecords = 2000;  // of 32 KiB: far more than a connection buffers
  absl::Notification first_batch, release;
  uint64_t expected = 1;
  EXPECT_CALL(core_, Append("w", _, _))
      .WillRepeatedly([&](auto, const std::vector<core::Record>& records, auto done) {
        size_t bytes = 0;
        for (const core::Record& record : records) {
          EXPECT_EQ(record.sequence, expected++);
          bytes += record.log->size();
        }
        EXPECT_LE(records.size(), kMaxPendingRecords);
        EXPECT_LE(bytes, kMaxPendingBytes + (64 << 10));
        if (records.front().sequence == 1) {
          // As a commit on a slow disk: the answer comes later, from another thread.
          std::thread([&, ack = AckOf(records), done] {
            first_batch.Notify();
            release.WaitForNotification();
            done(std::vector<core::RecordAck>{ack});
          }).detach();
        } else {
          done(std::vector<core::RecordAck>{AckOf(records)});
        }
      });
  CallContext context(std::chrono::seconds(100));
  auto stream = served_.workers->StreamMetrics(&context);
  absl::Notification all_written;
  std::thread writer([&] {
    for (uint64_t sequence = 1; sequence <= kRecords; ++sequence) {
      ASSERT_TRUE(stream->Write(Log(sequence, 32 << 10)));
    }
    all_written.Notify();
    stream->WritesDone();
  });
  ASSERT_TRUE(first_batch.WaitForNotificationWithTimeout(kPatience));
  EXPECT_FALSE(all_written.WaitForNotificationWithTimeout(absl::Seconds(1)))
      << "the server kept reading although nothing was durable";
  release.Notify();
  v1::StreamMetricsResponse ack;
  uint64_t last = 0;
  while (stream->Read(&ack)) {
    EXPECT_GT(ack.sequence(), last);
    EXPECT_EQ(ack.error(), "");
    last = ack.sequence();
  }
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(last, kRecords);
}

TEST_F(Streams, AStaleEpochIsAcknowledgedAsStale) {
  EXPECT_CALL(core_, Append)
      .WillOnce([](auto, const std::vector<core::Record>& records, auto done) {
        done(std::vector<core::RecordAck>{{records[0].lease, 0, true, ""}});
      });
  CallContext context;
  auto stream = served_.workers->StreamMetrics(&context);
  ASSERT_TRUE(stream->Write(Log(1, 10)));
  v1::StreamMetricsResponse ack;
  ASSERT_TRUE(stream->Read(&ack));
  EXPECT_TRUE(ack.stale());
  EXPECT_EQ(ack.lease().job_id(), 1u);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(Streams, ARefusedRecordIsAcknowledgedWithItsError) {
  EXPECT_CALL(core_, Append)
      .WillOnce([](auto, const std::vector<core::Record>& records, auto done) {
        done(std::vector<core::RecordAck>{{records[0].lease, 0, false, "not finite"}});
      });
  CallContext context;
  auto stream = served_.workers->StreamMetrics(&context);
  ASSERT_TRUE(stream->Write(Log(1, 10)));
  stream->WritesDone();
  v1::StreamMetricsResponse ack;
  ASSERT_TRUE(stream->Read(&ack));
  EXPECT_EQ(ack.error(), "not finite");
  EXPECT_EQ(ack.sequence(), 0u);
  EXPECT_FALSE(ack.stale());
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(Streams, AStreamThatChangesItsWorkerIsRefused) {
  EXPECT_CALL(core_, Append)
      .WillRepeatedly([](auto, const std::vector<core::Record>& records, auto done) {
        done(std::vector<core::RecordAck>{AckOf(records)});
      });
  CallContext context;
  auto stream = served_.workers->StreamMetrics(&context);
  ASSERT_TRUE(stream->Write(Log(1, 10)));
  v1::StreamMetricsRequest other = Log(2, 10);
  other.set_worker_id("another");
  stream->Write(other);
  v1::StreamMetricsResponse ack;
  while (stream->Read(&ack)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(Streams, AFailedAppendEndsTheStreamAndAcknowledgesNothing) {
  EXPECT_CALL(core_, Append).WillOnce([](auto, auto, auto done) {
    done(absl::NotFoundError("register first"));
  });
  CallContext context;
  auto stream = served_.workers->StreamMetrics(&context);
  ASSERT_TRUE(stream->Write(Log(1, 10)));
  v1::StreamMetricsResponse ack;
  EXPECT_FALSE(stream->Read(&ack));
  EXPECT_EQ(rpc::FromGrpc(stream->Finish()), absl::NotFoundError("register first"));
}

// ---- checkpoints

constexpr char kPath[] = "s/job-1/epoch-1/step-000000010.safetensors";

class Checkpoints : public Streams {
 protected:
  v1::UploadCheckpointRequest Header(const std::string& content) {
    v1::UploadCheckpointRequest request;
    v1::CommitCheckpointRequest* header = request.mutable_header();
    header->set_worker_id("w");
    header->mutable_lease()->set_job_id(1);
    header->mutable_lease()->set_epoch(1);
    header->set_step(10);
    header->set_path(kPath);
    header->set_digest(DigestOf(content.data(), content.size()));
    header->set_bytes(content.size());
    return request;
  }
  absl::Status Upload(const v1::UploadCheckpointRequest& header, const std::string& content,
                      size_t chunk = kCheckpointChunkBytes) {
    CallContext context;
    v1::UploadCheckpointResponse response;
    auto writer = served_.workers->UploadCheckpoint(&context, &response);
    writer->Write(header);
    for (size_t at = 0; at < content.size(); at += chunk) {
      v1::UploadCheckpointRequest part;
      part.set_data(content.substr(at, chunk));
      if (!writer->Write(part)) break;
    }
    writer->WritesDone();
    return rpc::FromGrpc(writer->Finish());
  }
  core::JobDetails JobWith(const v1::UploadCheckpointRequest& header) {
    core::JobDetails details;
    details.checkpoints.resize(1);
    details.checkpoints[0].path = header.header().path();
    details.checkpoints[0].digest = header.header().digest();
    return details;
  }
  void AllowLease() {
    ON_CALL(core_, CheckLease).WillByDefault([](auto, auto, auto done) { done(absl::OkStatus()); });
  }
  void ExpectCommits(const absl::Status& status) {
    EXPECT_CALL(core_, CommitCheckpoint).WillRepeatedly([status](auto, auto done) {
      done(status);
    });
  }
  // Files (not folders) anywhere under the root.
  std::vector<std::string> Files() {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
      if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(dir_.path()));
    }
    return files;
  }
};

TEST_F(Checkpoints, AnUploadIsDurableBeforeTheCoreHearsOfIt) {
  AllowLease();
  const std::string content(5'000'000, 'c');
  EXPECT_CALL(core_, CommitCheckpoint)
      .WillOnce([&](const core::CheckpointCommit& commit, auto done) {
        EXPECT_EQ(commit.path, kPath);
        EXPECT_EQ(commit.bytes, content.size());
        EXPECT_EQ(commit.step, 10u);
        EXPECT_EQ(ReadFile(dir_.Join(commit.path)).value(), content);
        done(absl::OkStatus());
      });
  EXPECT_EQ(Upload(Header(content), content), absl::OkStatus());
  EXPECT_THAT(Files(), ElementsAre(kPath));
}

TEST_F(Checkpoints, WhatIsNotAsAnnouncedLeavesNoFileAndIsNotCommitted) {
  AllowLease();
  EXPECT_CALL(core_, CommitCheckpoint).Times(0);
  const std::string content(1000, 'c');
  v1::UploadCheckpointRequest header = Header(content);
  std::string flipped = content;
  flipped[500] ^= 1;
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, flipped)));
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, content.substr(1))));
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, content + "x")));
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, std::string(2 << 20, 'c'), 2 << 20)));
  for (const char* path : {"../escape", "/tmp/escape", "a/../../escape", ""}) {
    header.mutable_header()->set_path(path);
    EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, content))) << path;
  }
  header = Header(content);
  header.mutable_header()->set_bytes(kMaxCheckpointBytes + 1);
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, content)));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(Checkpoints, AnUploadWithoutAHeaderOrWithTwoIsRefused) {
  AllowLease();
  const std::string content(10, 'c');
  v1::UploadCheckpointRequest data;
  data.set_data(content);
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(data, "")));
  CallContext context;
  v1::UploadCheckpointResponse response;
  auto writer = served_.workers->UploadCheckpoint(&context, &response);
  writer->Write(Header(content));
  writer->Write(Header(content));
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  CallContext empty;
  auto nothing = served_.workers->UploadCheckpoint(&empty, &response);
  nothing->WritesDone();
  EXPECT_EQ(nothing->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(Checkpoints, AStaleLeaseIsRefusedBeforeTheFirstByte) {
  EXPECT_CALL(core_, CheckLease("w", core::LeaseRef{1, 1}, _)).WillOnce([](auto, auto, auto done) {
    done(absl::AbortedError("stale"));
  });
  const std::string content(1000, 'c');
  EXPECT_TRUE(absl::IsAborted(Upload(Header(content), content)));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(Checkpoints, ACommitThatTheCoreRefusesTakesTheFileAway) {
  AllowLease();
  ExpectCommits(absl::AbortedError("stale"));
  const std::string content(1000, 'c');
  EXPECT_TRUE(absl::IsAborted(Upload(Header(content), content)));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(Checkpoints, AResentUploadKeepsTheFileThatMayBeCommitted) {
  AllowLease();
  const std::string content(1000, 'c');
  ExpectCommits(absl::OkStatus());
  EXPECT_TRUE(Upload(Header(content), content).ok());
  EXPECT_TRUE(Upload(Header(content), content).ok());
  ::testing::Mock::VerifyAndClearExpectations(&core_);
  AllowLease();
  ExpectCommits(absl::AbortedError("stale"));
  EXPECT_TRUE(absl::IsAborted(Upload(Header(content), content)));
  EXPECT_EQ(ReadFile(dir_.Join(kPath)).value(), content);
  EXPECT_THAT(Files(), ElementsAre(kPath));
}

TEST_F(Checkpoints, ACommittedCheckpointIsNeverOverwrittenByAnother) {
  AllowLease();
  const std::string content(1000, 'c'), other(1000, 'd');
  ExpectCommits(absl::OkStatus());
  EXPECT_TRUE(Upload(Header(content), content).ok());
  EXPECT_CALL(core_, GetJob(1, _)).WillOnce([&](auto, auto done) {
    done(JobWith(Header(content)));
  });
  EXPECT_TRUE(absl::IsAlreadyExists(Upload(Header(other), other)));
  EXPECT_EQ(ReadFile(dir_.Join(kPath)).value(), content);
  EXPECT_THAT(Files(), ElementsAre(kPath));
}

// Found by cutting a file between its commit and the answer that was lost.
TEST_F(Checkpoints, ADamagedFileIsMendedByTheUploadThatComesAgain) {
  AllowLease();
  const std::string content(1000, 'c');
  ExpectCommits(absl::OkStatus());
  EXPECT_TRUE(Upload(Header(content), content).ok());
  EXPECT_CALL(core_, GetJob(1, _)).WillOnce([&](auto, auto done) {
    done(JobWith(Header(content)));
  });
  std::filesystem::resize_file(dir_.Join(kPath), 300);
  EXPECT_TRUE(Upload(Header(content), content).ok());
  EXPECT_EQ(ReadFile(dir_.Join(kPath)).value(), content);
  EXPECT_THAT(Files(), ElementsAre(kPath));
}

TEST_F(Checkpoints, ACancelledUploadLeavesNoFile) {
  AllowLease();
  EXPECT_CALL(core_, CommitCheckpoint).Times(0);
  const std::string content(1000, 'c');
  CallContext context;
  v1::UploadCheckpointResponse response;
  auto writer = served_.workers->UploadCheckpoint(&context, &response);
  ASSERT_TRUE(writer->Write(Header(content)));
  v1::UploadCheckpointRequest part;
  part.set_data(content.substr(0, 500));
  ASSERT_TRUE(writer->Write(part));
  context.TryCancel();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  served_.server.reset();  // waits for the call to be gone on this side too
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(Checkpoints, AnUploadThatTakesForEverIsGivenUp) {
  absl::Notification begun;
  ON_CALL(core_, CheckLease).WillByDefault([&](auto, auto, auto done) {
    done(absl::OkStatus());
    begun.Notify();
  });
  const std::string content(1000, 'c');
  CallContext context;
  v1::UploadCheckpointResponse response;
  auto writer = served_.workers->UploadCheckpoint(&context, &response);
  ASSERT_TRUE(writer->Write(Header(content)));
  ASSERT_TRUE(begun.WaitForNotificationWithTimeout(kPatience));
  clock_.Advance(kTransferLimit);
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(clock_.pending_timers(), 0u);
}

v1::DownloadCheckpointRequest Download(const std::string& path) {
  v1::DownloadCheckpointRequest request;
  request.set_worker_id("w");
  request.mutable_lease()->set_job_id(1);
  request.mutable_lease()->set_epoch(2);
  request.set_step(10);
  request.set_path(path);
  return request;
}

TEST_F(Checkpoints, ADownloadReturnsTheBytesOfThisJobsCheckpointsOnly) {
  AllowLease();
  ON_CALL(core_, GetJob(1, _)).WillByDefault([](auto, auto done) {
    core::JobDetails details;
    details.checkpoints.push_back({1, 1, 10, kPath, "", 0, 0});
    details.checkpoints.push_back({1, 1, 5, "s/job-1/gone", "", 0, 0});
    done(details);
  });
  std::string content;
  for (int i = 0; i < 3'000'000; ++i) content.push_back(static_cast<char>(i * 7));
  ASSERT_TRUE(MakeDirectories(dir_.Join("s/job-1/epoch-1")).ok());
  ASSERT_TRUE(WriteFileAtomically(dir_.Join(kPath), content).ok());
  ASSERT_TRUE(WriteFileAtomically(dir_.Join("secret"), "other").ok());
  const auto download = [&](const std::string& path, std::string* out) {
    CallContext context;
    auto reader = served_.workers->DownloadCheckpoint(&context, Download(path));
    v1::DownloadCheckpointResponse part;
    while (reader->Read(&part)) *out += part.data();
    return rpc::FromGrpc(reader->Finish());
  };
  std::string received, nothing;
  EXPECT_EQ(download(kPath, &received), absl::OkStatus());
  EXPECT_EQ(received, content);
  EXPECT_TRUE(absl::IsNotFound(download("secret", &nothing)));
  EXPECT_TRUE(absl::IsNotFound(download("s/job-1/gone", &nothing)));
  EXPECT_TRUE(absl::IsInvalidArgument(download("../secret", &nothing)));
  EXPECT_EQ(nothing, "");
}

TEST_F(Checkpoints, ADownloadForAStaleLeaseIsRefused) {
  EXPECT_CALL(core_, CheckLease).WillOnce([](auto, auto, auto done) {
    done(absl::AbortedError("stale"));
  });
  CallContext context;
  EXPECT_EQ(served_.workers->DownloadCheckpoint(&context, Download(kPath))->Finish().error_code(),
            grpc::StatusCode::ABORTED);
}

// ---- checkpoints for clients

class Fetches : public Checkpoints {
 protected:
  // What a client got: the header, the bytes, how it ended.
  struct Fetched {
    absl::Status status;
    int headers = 0;
    v1::Checkpoint header;
    std::string data;
  };

  Fetches() {
    for (int i = 0; i < 3'000'000; ++i) content_.push_back(static_cast<char>(i * 7));
    EXPECT_TRUE(MakeDirectories(dir_.Join("s/job-1/epoch-1")).ok());
    Put(kPath, content_);
    Put(kOlder, "older");
    // The job's own: nothing else is to be had.
    checkpoints_ = {Of(20, kPath, content_), Of(10, kOlder, "older")};
    ON_CALL(core_, GetJob(1, _)).WillByDefault([this](auto, auto done) {
      core::JobDetails details;
      details.checkpoints = checkpoints_;
      done(details);
    });
  }
  void Put(const std::string& path, const std::string& content) {
    ASSERT_TRUE(WriteFileAtomically(dir_.Join(path), content).ok());
  }
  static core::Checkpoint Of(uint32_t step, const std::string& path, const std::string& content) {
    return {1, 1, step, path, DigestOf(content.data(), content.size()), content.size(), 123};
  }
  Fetched Fetch(std::optional<uint32_t> step, uint64_t job = 1) {
    v1::FetchCheckpointRequest request;
    request.set_job_id(job);
    if (step.has_value()) request.set_step(*step);
    CallContext context;
    auto reader = served_.sweeps->FetchCheckpoint(&context, request);
    Fetched fetched;
    v1::FetchCheckpointResponse part;
    while (reader->Read(&part)) {
      if (part.has_header()) {
        EXPECT_EQ(fetched.data, "") << "the header comes first";
        ++fetched.headers;
        fetched.header = part.header();
      }
      EXPECT_LE(part.data().size(), kCheckpointChunkBytes);
      fetched.data += part.data();
    }
    fetched.status = rpc::FromGrpc(reader->Finish());
    return fetched;
  }

  static constexpr char kOlder[] = "s/job-1/epoch-1/step-000000005.safetensors";
  std::string content_;
  std::vector<core::Checkpoint> checkpoints_;
};

TEST_F(Fetches, TheCurrentOneAndAnOlderOneComeWithTheirDescription) {
  const Fetched current = Fetch(std::nullopt);
  EXPECT_EQ(current.status, absl::OkStatus());
  EXPECT_EQ(current.headers, 1);
  EXPECT_EQ(current.header.step(), 20u);
  EXPECT_EQ(current.header.bytes(), content_.size());
  EXPECT_EQ(current.header.digest(), DigestOf(content_.data(), content_.size()));
  EXPECT_EQ(current.header.committed_ms(), 123);
  EXPECT_EQ(current.data, content_);
  const Fetched older = Fetch(10);
  EXPECT_EQ(older.status, absl::OkStatus());
  EXPECT_EQ(older.data, "older");
}

TEST_F(Fetches, AStepThatIsNotThereIsNotFoundAndSaysWhatIs) {
  const Fetched absent = Fetch(0);
  EXPECT_TRUE(absl::IsNotFound(absent.status)) << "step 0 is a step, not the current one";
  EXPECT_THAT(std::string(absent.status.message()), ::testing::HasSubstr("it has those of 20, 10"));
  EXPECT_EQ(absent.headers, 0);
  checkpoints_.clear();
  EXPECT_THAT(std::string(Fetch(std::nullopt).status.message()),
              ::testing::HasSubstr("no committed checkpoint yet"));
  EXPECT_TRUE(absl::IsInvalidArgument(Fetch(std::nullopt, 0).status));
}

TEST_F(Fetches, AFileThatIsGoneOrIsNotWhatWasCommittedIsDataLoss) {
  std::string flipped = content_;
  flipped[1'500'000] ^= 1;
  Put(kPath, flipped);
  const Fetched bad = Fetch(std::nullopt);
  EXPECT_TRUE(absl::IsDataLoss(bad.status)) << bad.status;
  EXPECT_THAT(std::string(bad.status.message()), ::testing::HasSubstr("digest"));
  Put(kPath, content_.substr(1));
  const Fetched cut = Fetch(std::nullopt);
  EXPECT_TRUE(absl::IsDataLoss(cut.status)) << cut.status;
  EXPECT_EQ(cut.headers, 0) << "a size that does not fit is known before the first byte";
  ASSERT_TRUE(RemoveFile(dir_.Join(kPath)).ok());
  const Fetched gone = Fetch(std::nullopt);
  EXPECT_TRUE(absl::IsDataLoss(gone.status)) << gone.status;
  EXPECT_THAT(std::string(gone.status.message()), ::testing::HasSubstr("is gone"));
  EXPECT_EQ(Fetch(10).status, absl::OkStatus()) << "the others are not touched by that";
}

TEST_F(Fetches, AClientThatTakesForEverOrGoesAwayHoldsNothing) {
  v1::FetchCheckpointRequest request;
  request.set_job_id(1);
  {
    CallContext context;
    auto reader = served_.sweeps->FetchCheckpoint(&context, request);
    v1::FetchCheckpointResponse part;
    ASSERT_TRUE(reader->Read(&part));
    context.TryCancel();
    while (reader->Read(&part)) {
    }
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  absl::Notification asked;
  core::Coordinator::Done<core::JobDetails> answer;
  EXPECT_CALL(core_, GetJob).WillOnce([&](auto, auto done) {
    answer = done;
    asked.Notify();
  });
  CallContext context;
  auto reader = served_.sweeps->FetchCheckpoint(&context, request);
  ASSERT_TRUE(asked.WaitForNotificationWithTimeout(kPatience));
  clock_.Advance(kTransferLimit);
  answer(core::JobDetails{
      .job = {}, .run_json = "", .attempts = {}, .events = {}, .checkpoints = checkpoints_});
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

}  // namespace
}  // namespace coppice::service
