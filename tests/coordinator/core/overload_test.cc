// An overloaded coordinator refuses calls with RESOURCE_EXHAUSTED, holds no more than its bounds
// allow, and accepts work again once it has caught up.
#include <gmock/gmock.h>

#include "common/base/retry_after.h"
#include "coordinator/core/dispatch/waiters.h"
#include "coordinator/core/refusal_pacer.h"
#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

class OverloadTest : public Harness {
 protected:
  // Opens the coordinator with `options_` on a store whose transactions wait for `gate_`.
  void OpenBehindGate() {
    Close();
    auto store = store::OpenSqliteStore({dir_ / "coppice.db", 2, 0});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    faulty_ = std::make_unique<FaultyStore>(store_.get());
    faulty_->gate = &gate_;
    c_ = *Coordinator::Open(faulty_.get(), &clock_, options_);
  }
  void Reopen() {
    Close();
    Open();
  }
  // Starts a request without waiting for its answer.
  Answer<LeaseGrant> StartAcquire(const std::string& worker, const std::string& request) {
    Answer<LeaseGrant> answer;
    c_->AcquireLeases({worker, request, 0, 1, 60'000}, {}, answer.done());
    return answer;
  }
  absl::Notification gate_;
};

TEST_F(OverloadTest, CommandsAreRefusedAtTheBoundOfTheirBytesAndTakenWhenTheyHaveDrained) {
  options_.max_queued_bytes = 1 << 20;
  OpenBehindGate();
  const Record record{{1, 1}, 1, LogText{std::string(64 << 10, 'l')}};
  const std::vector<Record> four(4, record);
  std::vector<Answer<std::vector<AttemptAnswer>>> answers(100);
  for (auto& answer : answers) c_->Append("nobody", four, answer.done());
  // Refusals come at once, while the store hangs and no other call is answered.
  size_t refused = 0;
  for (auto& answer : answers) refused += answer.ready() ? 1 : 0;
  EXPECT_EQ(refused, 97u) << "three times 256 KiB and a little fit into 1 MiB";
  EXPECT_TRUE(absl::IsResourceExhausted(answers.back().Wait().status()));
  EXPECT_FALSE(answers.front().ready());
  gate_.Notify();
  EXPECT_TRUE(absl::IsNotFound(answers.front().Wait().status()));
  Workers();  // after the others: their bytes are given back
  EXPECT_TRUE(absl::IsNotFound(Append("nobody", four).status()));
}

TEST_F(OverloadTest, CommandsCountUntilTheyAreAnsweredAndThenNoMore) {
  options_.max_queued_commands = 10;
  OpenBehindGate();
  std::vector<Answer<std::vector<Worker>>> answers(30);
  for (auto& answer : answers) c_->ListWorkers({}, answer.done());
  size_t refused = 0;
  for (auto& answer : answers) refused += answer.ready() ? 1 : 0;
  // This includes commands that the writer has already taken out of the queue.
  EXPECT_EQ(refused, 20u);
  gate_.Notify();
  for (size_t i = 0; i < 10; ++i) EXPECT_TRUE(answers[i].Wait().ok());
  // Sends many times the bound, one after the other: answered commands no longer count. The last
  // answer of a batch comes a moment before the batch's bytes are given back.
  for (int i = 0; i < 50; ++i) {
    absl::Status status;
    do {
      status = Ask<std::vector<Worker>>([&](auto done) { c_->ListWorkers({}, done); }).status();
    } while (absl::IsResourceExhausted(status));
    EXPECT_TRUE(status.ok());
  }
}

TEST_F(OverloadTest, OneCommandThatIsLargerThanTheBoundGetsItsTurn) {
  options_.max_queued_bytes = 100;
  Reopen();
  EXPECT_TRUE(Submit(Spec("large", {Group("dyck", 2)}, 1000)).ok());
}

TEST_F(OverloadTest, QueriesAreRefusedAtTheirBoundAndTakenAfterwards) {
  options_.max_queued_reads = 5;
  options_.reader_threads = 1;
  Reopen();
  SubmitSmall(1);
  absl::Notification entered, release;
  // The answer to the first query blocks the reader.
  c_->GetJob({}, 1, [&](const absl::StatusOr<JobDetails>&) {
    entered.Notify();
    release.WaitForNotification();
  });
  ASSERT_TRUE(entered.WaitForNotificationWithTimeout(kPatience));
  std::vector<Answer<JobDetails>> answers(20);
  for (size_t i = 0; i < answers.size(); ++i) {
    c_->GetJob({absl::StrCat("peer ", i), "", nullptr}, 1, answers[i].done());
  }
  size_t refused = 0;
  for (auto& answer : answers) refused += answer.ready() ? 1 : 0;
  EXPECT_EQ(refused, 16u);
  EXPECT_TRUE(absl::IsResourceExhausted(answers.back().Wait().status()));
  release.Notify();
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(answers[i].Wait().ok());
  EXPECT_EQ(GetJob(1).id, 1u);
}

TEST_F(OverloadTest, RequestsThatWaitForWorkAreBoundedAndServedWhenThereIsSome) {
  options_.max_waiting_requests = 3;
  Reopen();
  std::vector<Answer<LeaseGrant>> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(StartAcquire(Register(absl::StrCat("w", i)), "r"));
    Workers();
  }
  const std::string late = Register("late");
  const auto refused = Acquire(late, 1, "r", 60'000);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_GT(RetryAfter(refused.status()), absl::ZeroDuration());
  SubmitSmall(4);
  for (auto& answer : waiting) EXPECT_EQ(answer.Wait()->leases.size(), 1u);
  EXPECT_EQ(Acquire(late, 1, "r")->leases.size(), 1u);
}

TEST_F(OverloadTest, AWorkerMayNotWaitWithMoreRequestsThanItsSlotsCanMean) {
  const std::string worker = Register("w");  // one slot
  auto first = StartAcquire(worker, "a");
  Workers();
  auto second = StartAcquire(worker, "b");
  Workers();
  EXPECT_TRUE(absl::IsResourceExhausted(Acquire(worker, 1, "c", 60'000).status()));
  // A repeated request is the same request. The earlier caller gets an empty grant.
  auto again = StartAcquire(worker, "b");
  Workers();
  EXPECT_TRUE(second.Wait()->leases.empty());
  Advance(absl::Seconds(61));
  EXPECT_TRUE(first.Wait()->leases.empty());
  EXPECT_TRUE(again.Wait()->leases.empty());
  EXPECT_TRUE(Acquire(worker, 1, "c").ok());
}

TEST_F(OverloadTest, AGrantSharesTheCommitOfTheCommandsBesideIt) {
  SubmitSmall(2);
  const std::string worker = Register("w");
  OpenBehindGate();
  // The first transaction hangs at the gate. The commands that arrive meanwhile form one batch.
  Answer<std::vector<Worker>> first;
  c_->ListWorkers({}, first.done());
  ASSERT_TRUE(faulty_->at_gate.WaitForNotificationWithTimeout(kPatience));
  Answer<SweepSummary> paused;
  auto lease = StartAcquire(worker, "r");
  c_->SetPaused({}, "small", true, paused.done());
  gate_.Notify();
  // Both succeed: the request came first.
  EXPECT_EQ(lease.Wait()->leases.size(), 1u);
  EXPECT_TRUE(paused.Wait()->paused);
  EXPECT_TRUE(first.Wait().ok());
  EXPECT_LE(faulty_->transactions, 4);
}

// Running work must end before more begins, however many requests for work come.
TEST_F(OverloadTest, ATurnGrantsHalfAsManyJobsAsItTakesReports) {
  constexpr uint32_t kWidth = 50;
  constexpr size_t kRequests = 10, kReports = 400;
  SubmitSmall(kRequests * kWidth);
  std::vector<std::string> workers;
  for (size_t i = 0; i < kRequests; ++i) workers.push_back(Register(absl::StrCat("w", i)));
  OpenBehindGate();
  // The first transaction hangs at the gate. The commands that arrive meanwhile form one batch.
  Answer<std::vector<Worker>> first;
  c_->ListWorkers({}, first.done());
  ASSERT_TRUE(faulty_->at_gate.WaitForNotificationWithTimeout(kPatience));
  size_t granted = 0;  // changed by the reply thread
  std::vector<Answer<LeaseGrant>> leases(kRequests);
  for (size_t i = 0; i < kRequests; ++i) {
    c_->AcquireLeases({workers[i], "r", 0, kWidth, 60'000}, {},
                      [&granted, done = leases[i].done()](absl::StatusOr<LeaseGrant> grant) {
                        if (grant.ok()) granted += grant->leases.size();
                        done(std::move(grant));
                      });
  }
  const Record record{{1, 1}, 1, LogText{"text"}};
  Answer<size_t> beside_reports;
  for (size_t i = 1; i < kReports; ++i) c_->Append("nobody", {record}, [](const auto&) {});
  c_->Append("nobody", {record},
             [&granted, done = beside_reports.done()](const auto&) { done(granted); });
  gate_.Notify();
  EXPECT_EQ(*beside_reports.Wait(), kReports / 2);
  for (auto& lease : leases) EXPECT_EQ(lease.Wait()->leases.size(), kWidth);
}

// An overloaded coordinator must not expire a worker whose heartbeats it has not read yet: every
// job of it would begin again elsewhere.
TEST_F(OverloadTest, ALeaseWhoseRenewalWaitsDoesNotExpire) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  OpenBehindGate();
  Answer<std::vector<Worker>> first;
  c_->ListWorkers({}, first.done());
  ASSERT_TRUE(faulty_->at_gate.WaitForNotificationWithTimeout(kPatience));
  const Record record{{1, 1}, 1, LogText{"text"}};
  for (int i = 0; i < 1200; ++i) c_->Append("nobody", {record}, [](const auto&) {});
  Answer<HeartbeatResult> beat;
  c_->Heartbeat(worker, {{lease, 0, 0, 0}}, {}, beat.done());
  clock_.Advance(options_.lease + absl::Seconds(1));
  gate_.Notify();
  const auto answer = beat.Wait();
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->directives.size(), 1u);
  EXPECT_EQ(answer->directives[0].action, DirectiveAction::kContinue);
  EXPECT_EQ(GetJob(lease.job_id).state, JobState::kRunning);
  // The lease of a worker that is really gone ends.
  clock_.Advance(options_.lease + absl::Seconds(1));
  Workers();
  EXPECT_EQ(GetJob(lease.job_id).state, JobState::kPending);
}

// Workers whose heartbeats come late, as they do when calls wait in queues.
class LateHeartbeatsTest : public OverloadTest {
 protected:
  void SetUp() override {
    OverloadTest::SetUp();
    SubmitSmall(kJobs);
    for (size_t i = 0; i < kWorkers; ++i) workers_.push_back(Register(absl::StrCat("w", i)));
  }
  void Beat(size_t i, std::vector<HeldLease> held = {}) {
    Answer<HeartbeatResult> beat;
    c_->Heartbeat(workers_[i], std::move(held), {}, beat.done());
    ASSERT_TRUE(beat.Wait().ok());
  }
  // The first worker holds `held`.
  void AllAreLate(const std::vector<HeldLease>& held = {}) {
    clock_.Advance(options_.heartbeat_interval + absl::Seconds(3));
    Beat(0, held);
    for (size_t i = 1; i < kWorkers; ++i) Beat(i);
  }
  static constexpr size_t kWorkers = 64;
  static constexpr size_t kJobs = 400;
  std::vector<std::string> workers_;
};

TEST_F(LateHeartbeatsTest, NoMoreWorkIsBegunThanEndsBesideALittle) {
  AllAreLate();
  // From here on leases count, and none ends.
  EXPECT_TRUE(Acquire(workers_[0], 1, "first", 0)->leases.empty());
  auto waits = StartAcquire(workers_[1], "second");
  Workers();
  EXPECT_FALSE(waits.ready());
  clock_.Advance(absl::Seconds(1));
  Beat(2);
  ASSERT_TRUE(waits.Wait().ok());
  EXPECT_EQ(waits.Wait()->leases.size(), 1u);
  // Heartbeats are on time again, so every request is granted.
  for (int round = 0; round < 2; ++round) {
    clock_.Advance(options_.heartbeat_interval);
    for (size_t i = 0; i < kWorkers; ++i) Beat(i);
  }
  EXPECT_EQ(Acquire(workers_[0], 300, "third", 0)->leases.size(), 300u);
}

// The coordinator was restarted with a shorter interval. Workers keep their old one.
TEST_F(LateHeartbeatsTest, WorkersThatWereToldALongerIntervalAreNotLate) {
  const absl::Duration told = options_.heartbeat_interval;
  options_.heartbeat_interval = told / 5;
  Reopen();
  for (int round = 0; round < 4; ++round) {
    clock_.Advance(told);
    for (size_t i = 0; i < kWorkers; ++i) Beat(i);
  }
  EXPECT_EQ(Acquire(workers_[0], 1, "first", 0)->leases.size(), 1u);
  // They can still be late.
  clock_.Advance(told + absl::Seconds(3));
  for (size_t i = 0; i < kWorkers; ++i) Beat(i);
  EXPECT_TRUE(Acquire(workers_[0], 1, "second", 0)->leases.empty());
}

TEST_F(LateHeartbeatsTest, ALeaseOutlivesOneMissingTermButNotTwo) {
  const LeaseRef lease = TakeOne(workers_[0]);
  AllAreLate({{lease, 0, 0, 0}});
  clock_.Advance(options_.lease + absl::Milliseconds(1));
  Workers();
  EXPECT_EQ(GetJob(lease.job_id).state, JobState::kRunning);
  clock_.Advance(options_.lease);
  Workers();
  EXPECT_EQ(GetJob(lease.job_id).state, JobState::kPending);
}

TEST(RefusalPacer, SpreadsThoseWhoComeAgain) {
  RefusalPacer pacer;
  const absl::Duration start = absl::Seconds(1000);
  EXPECT_EQ(pacer.Next(start), RefusalPacer::kShortest);
  for (int i = 1; i < 1000; ++i) {
    EXPECT_EQ(pacer.Next(start), RefusalPacer::kShortest + i * RefusalPacer::kInterval);
  }
  // A second later half of the callers have returned. The next one gets a place after the others.
  EXPECT_EQ(pacer.Next(start + absl::Seconds(1)),
            RefusalPacer::kShortest + 1000 * RefusalPacer::kInterval - absl::Seconds(1));
  for (int i = 0; i < 100'000; ++i) pacer.Next(start);
  EXPECT_EQ(pacer.Next(start), RefusalPacer::kLongest);
  EXPECT_EQ(pacer.Next(start + absl::Hours(1)), RefusalPacer::kShortest) << "that is over";
}

Waiter MakeWaiter(const std::string& worker, const std::string& request, int deadline) {
  Waiter waiter;
  waiter.worker = worker;
  waiter.request.request_id = request;
  waiter.deadline = absl::Seconds(deadline);
  return waiter;
}

TEST(Waiters, KeepTheirOrderTheirDeadlinesAndTheirCountsWhateverIsTakenOut) {
  Waiters waiters;
  waiters.Add(MakeWaiter("a", "1", 30));
  waiters.Add(MakeWaiter("a", "2", 10));
  waiters.Add(MakeWaiter("b", "1", 20));
  EXPECT_TRUE(waiters.TakeReplaced().empty());
  EXPECT_EQ(waiters.NextDeadline(), absl::Seconds(10));
  // A request repeated with another deadline keeps its place.
  waiters.Add(MakeWaiter("a", "1", 5));
  const auto replaced = waiters.TakeReplaced();
  ASSERT_EQ(replaced.size(), 1u);
  EXPECT_EQ(replaced[0].deadline, absl::Seconds(30));
  EXPECT_EQ(waiters.NextDeadline(), absl::Seconds(5));
  EXPECT_EQ(waiters.size(), 3u);
  EXPECT_EQ(waiters.CountOf("a"), 2u);
  auto it = waiters.begin();
  EXPECT_EQ(it->request.request_id, "1");
  EXPECT_EQ(waiters.Take(it).deadline, absl::Seconds(5));
  EXPECT_EQ(it->request.request_id, "2");
  EXPECT_EQ(waiters.CountOf("a"), 1u);
  EXPECT_FALSE(waiters.Has("a", "1"));
  EXPECT_EQ(waiters.TakeOverdue(absl::Seconds(15)).size(), 1u);
  EXPECT_EQ(waiters.CountOf("a"), 0u);
  EXPECT_EQ(waiters.NextDeadline(), absl::Seconds(20));
  EXPECT_EQ(waiters.TakeAll().size(), 1u);
  EXPECT_EQ(waiters.size(), 0u);
  EXPECT_FALSE(waiters.NextDeadline().has_value());
}

}  // namespace
}  // namespace coppice::core
