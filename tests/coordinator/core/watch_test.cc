#include <gmock/gmock.h>

#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// Records everything that a watcher received.
class Ledger {
 public:
  std::function<void(const SweepChange&)> listener() {
    return [this](const SweepChange& change) {
      absl::MutexLock lock(&mutex_);
      changes_.push_back(change);
    };
  }
  // Waits until `enough` holds for the received changes.
  std::vector<SweepChange> WaitUntil(
      const std::function<bool(const std::vector<SweepChange>&)>& enough) {
    absl::MutexLock lock(&mutex_);
    const auto condition = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return enough(changes_); };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&condition), kPatience));
    return changes_;
  }
  std::vector<SweepChange> WaitFor(size_t count) {
    return WaitUntil([count](const auto& changes) { return changes.size() >= count; });
  }
  static size_t Summaries(const std::vector<SweepChange>& changes) {
    size_t count = 0;
    for (const SweepChange& change : changes) count += change.summary.has_value() ? 1 : 0;
    return count;
  }

 private:
  absl::Mutex mutex_;
  std::vector<SweepChange> changes_ ABSL_GUARDED_BY(mutex_);
};

class WatchTest : public Harness {
 protected:
  Ledger ledger_;
};

TEST_F(WatchTest, TheFirstCallIsTheSummaryAsOfNow) {
  SubmitSmall(2);
  const auto watch = c_->WatchSweep("small", ledger_.listener());
  ASSERT_TRUE(watch.ok());
  const auto heard = ledger_.WaitFor(1);
  ASSERT_TRUE(heard[0].summary.has_value());
  EXPECT_EQ(heard[0].summary->counts.pending, 2u);
  EXPECT_FALSE(heard[0].finished);
  EXPECT_TRUE(absl::IsNotFound(c_->WatchSweep("unknown", ledger_.listener()).status()));
}

TEST_F(WatchTest, JobsComeInCommitOrderAndTheLastCallIsTheFinalSummary) {
  SubmitSmall(1);
  const auto watch = c_->WatchSweep("small", ledger_.listener());
  ASSERT_TRUE(watch.ok());
  const std::string worker = Register("w");
  RunToEnd(worker, TakeOne(worker));
  const auto heard = ledger_.WaitUntil(
      [](const auto& changes) { return !changes.empty() && changes.back().finished; });
  std::vector<JobState> states;
  std::vector<uint32_t> steps;
  for (const SweepChange& change : heard) {
    EXPECT_NE(change.job.has_value(), change.summary.has_value());
    if (!change.job.has_value()) continue;
    states.push_back(change.job->state);
    steps.push_back(change.job->step);
  }
  EXPECT_THAT(states, ElementsAre(JobState::kRunning, JobState::kRunning, JobState::kRunning,
                                  JobState::kSucceeded));
  EXPECT_THAT(steps, ElementsAre(0, 100, 100, 100));
  EXPECT_EQ(heard.back().summary->counts.succeeded, 1u);
  EXPECT_GT(heard.back().summary->finished_ms, 0);
}

// With a slow callback, the store says "finished" long before the watcher has received the jobs'
// changes.
TEST_F(WatchTest, ASlowWatcherHearsEveryChangeBeforeTheEnd) {
  SubmitSmall(1);
  absl::Notification go;
  const auto watch = c_->WatchSweep("small", [&, listen = ledger_.listener()](const auto& change) {
    go.WaitForNotification();
    listen(change);
  });
  ASSERT_TRUE(watch.ok());
  const std::string worker = Register("w");
  RunToEnd(worker, TakeOne(worker));
  go.Notify();
  const auto heard = ledger_.WaitUntil(
      [](const auto& changes) { return !changes.empty() && changes.back().finished; });
  size_t jobs = 0;
  for (const SweepChange& change : heard) jobs += change.job.has_value() ? 1 : 0;
  EXPECT_EQ(jobs, 4u);
}

TEST_F(WatchTest, AFinishedSweepIsToldAtOnce) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  RunToEnd(worker, TakeOne(worker));
  const auto watch = c_->WatchSweep("small", ledger_.listener());
  const auto heard = ledger_.WaitFor(1);
  EXPECT_TRUE(heard[0].finished);
}

TEST_F(WatchTest, SummariesComeAtMostOnceASecond) {
  SubmitSmall(1);
  const auto watch = c_->WatchSweep("small", ledger_.listener());
  ledger_.WaitFor(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  // Received before more changes follow; otherwise one summary would cover all of them.
  ledger_.WaitUntil([](const auto& changes) { return Ledger::Summaries(changes) >= 2; });
  for (uint64_t i = 1; i <= 5; ++i) {
    Append(worker, {Row(lease, i, static_cast<uint32_t>(10 * i))}).IgnoreError();
  }
  // One summary comes at the start and one for the first change. Five more job changes come before
  // the next summary, which waits for its second to pass.
  auto heard = ledger_.WaitUntil([](const auto& changes) { return changes.size() >= 8; });
  EXPECT_EQ(Ledger::Summaries(heard), 2u);
  clock_.Advance(absl::Seconds(1));
  heard = ledger_.WaitUntil([](const auto& changes) { return Ledger::Summaries(changes) >= 3; });
  EXPECT_EQ(heard.back().summary->steps_done, 50u);
}

TEST_F(WatchTest, AnEndedSubscriptionHearsNothingMore) {
  SubmitSmall(1);
  auto watch = c_->WatchSweep("small", ledger_.listener());
  ledger_.WaitFor(1);
  watch->reset();
  Ledger other;
  const auto still = c_->WatchSweep("small", other.listener());
  TakeOne(Register("w"));
  other.WaitUntil([](const auto& changes) { return changes.size() >= 2; });
  EXPECT_THAT(ledger_.WaitFor(1), SizeIs(1));
}

TEST_F(WatchTest, ACallbackMayEndItsOwnSubscription) {
  SubmitSmall(1);
  absl::Notification ended;
  absl::Mutex mutex;
  std::unique_ptr<Subscription> own;
  {
    absl::MutexLock lock(&mutex);
    auto watch = c_->WatchSweep("small", [&](const SweepChange&) {
      absl::MutexLock inner(&mutex);
      if (own == nullptr) return;
      own.reset();
      ended.Notify();
    });
    own = *std::move(watch);
  }
  TakeOne(Register("w"));
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
  absl::MutexLock lock(&mutex);  // the callback has released it
}

TEST_F(WatchTest, FollowersOfALogHearOfTextAndOfTheEnd) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  std::atomic<int> calls{0};
  absl::Notification text;
  absl::Notification end;
  const auto watch = c_->WatchLog(1, [&] { (calls.fetch_add(1) == 0 ? text : end).Notify(); });
  Append(worker, {{lease, 1, LogText{"hello\n"}}}).IgnoreError();
  ASSERT_TRUE(text.WaitForNotificationWithTimeout(kPatience));
  ASSERT_EQ(Fail(EndOf(worker, lease, 1), FailureKind::kNan), absl::OkStatus());
  ASSERT_TRUE(end.WaitForNotificationWithTimeout(kPatience));
  const auto page = Ask<LogPage>([&](auto done) { c_->GetLog({}, 1, 0, 0, done); });
  EXPECT_TRUE(page->job_ended);
  EXPECT_EQ(page->text, "hello\n");
}

TEST_F(WatchTest, ASubscriptionMayOutliveTheCoordinator) {
  SubmitSmall(1);
  auto watch = c_->WatchSweep("small", ledger_.listener());
  auto log = c_->WatchLog(1, [] {});
  ledger_.WaitFor(1);
  Close();
  log.reset();
  watch->reset();
}

}  // namespace
}  // namespace coppice::core
