// Tests of the streams through real stubs, with a mock core that controls the time of its answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "common/rpc/status.h"
#include "tests/coordinator/service/mock_coordinator.h"
#include "tests/coordinator/service/served.h"
#include "tests/testing/fake_clock.h"

namespace coppice::service {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::NiceMock;

constexpr absl::Duration kPatience = absl::Seconds(30);

// Records its destruction.
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

  // The mock core keeps the watcher's callback.
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
  Tell(1, 1);  // a late change from the core must find no watcher
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
          row.attempt = 2;
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
      EXPECT_EQ(row.attempt(), 2u);
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
      // The response may overtake the cancellation.
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
      .WillRepeatedly([&](auto, core::AttemptNumber attempt, uint64_t after, auto done) {
        core::LogPage page;
        {
          absl::MutexLock lock(&mutex);
          page.attempt = attempt != 0 ? attempt : (second.empty() ? 1 : 2);
          const std::string& text = page.attempt == 1 ? first : second;
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
  EXPECT_EQ(response.attempt(), 1u);
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
  EXPECT_EQ(response.attempt(), 2u);
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
  request.set_attempt(3);
  CallContext context;
  auto reader = served_.sweeps->GetLogs(&context, request);
  v1::GetLogsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.text(), "text");
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
}

}  // namespace
}  // namespace coppice::service
