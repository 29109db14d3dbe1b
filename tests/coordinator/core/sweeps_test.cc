#include <gmock/gmock.h>

#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class SweepsTest : public Harness {
 protected:
  uint64_t Cancel(const JobFilter& filter) {
    const auto count = Ask<uint64_t>([&](auto done) { c_->CancelJobs({}, filter, done); });
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(0);
  }
  uint64_t Retry(const JobFilter& filter) {
    const auto count = Ask<uint64_t>([&](auto done) { c_->RetryJobs({}, filter, done); });
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(0);
  }
  absl::StatusOr<SweepSummary> Pause(const std::string& name, bool paused) {
    return Ask<SweepSummary>([&](auto done) { c_->SetPaused({}, name, paused, done); });
  }
};

TEST_F(SweepsTest, SubmittingStoresOneJobForEachPointOfTheGrid) {
  const auto result = Submit(Spec("grid", {Group("dyck", 2), Group("tense", 4)}, 3));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->created);
  EXPECT_EQ(result->sweep.counts.pending, 6u);
  EXPECT_EQ(result->sweep.steps_total, 600u);
  EXPECT_EQ(result->plan.jobs, 6u);
  EXPECT_EQ(result->plan.packs, 2u);
  const auto page =
      Ask<JobPage>([&](auto done) { c_->ListJobs({}, Whole("grid"), 0, 0, false, done); });
  ASSERT_TRUE(page.ok());
  ASSERT_THAT(page->jobs, SizeIs(6));
  EXPECT_EQ(page->jobs[5].task, "tense");
  EXPECT_EQ(page->jobs[5].depth, 4u);
  EXPECT_EQ(page->jobs[5].seed, 2u);
  EXPECT_EQ(page->jobs[5].sweep, "grid");
  EXPECT_EQ(page->jobs[5].created_ms, clock_.NowMillis());
  EXPECT_THAT(Details(1).events, SizeIs(1));
  EXPECT_EQ(Details(1).events[0].type, EventType::kSubmitted);
}

TEST_F(SweepsTest, TheSameSpecAgainIsTheSameSweepAndAnotherSpecIsRefused) {
  const SweepSpec spec = Spec("twice", {Group("dyck", 2)}, 2);
  ASSERT_TRUE(Submit(spec).ok());
  const auto again = Submit(spec);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->created);
  EXPECT_EQ(again->sweep.counts.pending, 2u);
  SweepSpec other = spec;
  other.spec_blob = "something else";
  EXPECT_TRUE(absl::IsAlreadyExists(Submit(other).status()));
  EXPECT_EQ(Ask<std::vector<SweepSummary>>([&](auto done) { c_->ListSweeps({}, done); })->size(),
            1u);
}

TEST_F(SweepsTest, AnInvalidSpecStoresNothing) {
  SweepSpec spec = Spec("bad", {Group("dyck", 2), Group("tense", 2)}, 2);
  spec.groups[1].steps = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(spec).status()));
  EXPECT_TRUE(absl::IsNotFound(
      Ask<SweepDetails>([&](auto done) { c_->GetSweep({}, "bad", done); }).status()));
}

TEST_F(SweepsTest, CancelledJobsTakeNoMoreReportsAndTheirTrainersAreStopped) {
  SubmitSmall(3);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  EXPECT_EQ(Cancel(Whole("small")), 3u);
  EXPECT_EQ(GetJob(lease.job_id).state, JobState::kCancelled);
  EXPECT_EQ(GetJob(lease.job_id).attempt, lease.attempt);
  EXPECT_GT(Summary("small").finished_ms, 0);
  const auto answers = Append(worker, {Row(lease, 1, 10)});
  ASSERT_TRUE(answers.ok());
  EXPECT_TRUE((*answers)[0].over);
  EXPECT_TRUE(absl::IsAborted(Commit(CommitOf(worker, lease, 20))));
  const auto beat = Beat(worker, {Held(lease)});
  ASSERT_TRUE(beat.ok());
  EXPECT_EQ(beat->directives[0].action, DirectiveAction::kStop);
  EXPECT_THAT(beat->directives[0].reason, ::testing::HasSubstr("cancelled"));
  EXPECT_EQ(Details(lease.job_id).attempts[0].outcome, AttemptOutcome::kCancelled);
  EXPECT_EQ(Cancel(Whole("small")), 0u);
}

TEST_F(SweepsTest, ACancelFilterHitsOnlyWhatItNames) {
  ASSERT_TRUE(Submit(Spec("grid", {Group("dyck", 2), Group("tense", 4)}, 3)).ok());
  JobFilter filter = Whole("grid");
  filter.tasks = {"tense"};
  filter.seeds = {0, 2};
  EXPECT_EQ(Cancel(filter), 2u);
  EXPECT_EQ(GetJob(4).state, JobState::kCancelled);
  EXPECT_EQ(GetJob(5).state, JobState::kPending);
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
  JobFilter by_id;
  by_id.job_ids = {1, 4};
  EXPECT_EQ(Cancel(by_id), 1u);  // 4 is cancelled already
  by_id.job_ids = {99};
  EXPECT_TRUE(absl::IsNotFound(
      Ask<uint64_t>([&](auto done) { c_->CancelJobs({}, by_id, done); }).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Ask<uint64_t>([&](auto done) { c_->CancelJobs({}, {}, done); }).status()));
  EXPECT_TRUE(absl::IsNotFound(
      Ask<uint64_t>([&](auto done) { c_->CancelJobs({}, Whole("no"), done); }).status()));
}

TEST_F(SweepsTest, MoreJobsThanOnePartAreAllCancelledAndRetried) {
  SubmitSmall(4500);
  EXPECT_EQ(Cancel(Whole("small")), 4500u);
  EXPECT_EQ(Summary("small").counts.cancelled, 4500u);
  EXPECT_EQ(Retry(Whole("small")), 4500u);
  EXPECT_EQ(Summary("small").counts.pending, 4500u);
  EXPECT_EQ(Summary("small").finished_ms, 0);
}

TEST_F(SweepsTest, ARetriedJobGoesOnFromItsCheckpointWithAClearRecord) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  Report(worker, lease, 0, 30);
  ASSERT_EQ(Commit(CommitOf(worker, lease, 20)), absl::OkStatus());
  ASSERT_EQ(Fail(EndOf(worker, lease, 35), FailureKind::kNan), absl::OkStatus());
  ASSERT_EQ(GetJob(1).state, JobState::kFailed);
  EXPECT_EQ(Retry(Whole("small")), 1u);
  EXPECT_EQ(GetJob(1).failures, 0u);
  const auto grant = Acquire(worker, 1, "again");
  ASSERT_TRUE(grant.ok());
  ASSERT_THAT(grant->leases, SizeIs(1));
  EXPECT_EQ(grant->leases[0].ref.attempt, lease.attempt + 1);
  ASSERT_TRUE(grant->leases[0].resume.has_value());
  EXPECT_EQ(grant->leases[0].resume->step, 20u);
}

TEST_F(SweepsTest, ARetryBringsBackOnlyFailedAndCancelledJobsOfWhatItNames) {
  ASSERT_TRUE(Submit(Spec("small", {Group("dyck", 2), Group("tense", 4)}, 3)).ok());
  EXPECT_EQ(Retry(Whole("small")), 0u);  // nothing has ended
  const std::string worker = Register("w");
  const LeaseRef failed = TakeOne(worker);
  ASSERT_EQ(Fail(EndOf(worker, failed, 7), FailureKind::kNan), absl::OkStatus());
  const LeaseRef done = TakeOne(worker);
  RunToEnd(worker, done);
  const LeaseRef running = TakeOne(worker);
  JobFilter last;
  last.job_ids = {6};
  EXPECT_EQ(Cancel(last), 1u);

  JobFilter filter = Whole("small");
  filter.states = {JobState::kRunning};
  EXPECT_EQ(Retry(filter), 0u);
  filter.states = {JobState::kCancelled};
  filter.tasks = {"dyck"};
  EXPECT_EQ(Retry(filter), 0u);
  filter.tasks = {"tense"};
  filter.depths = {4};
  filter.seeds = {2};
  EXPECT_EQ(Retry(filter), 1u);
  EXPECT_EQ(GetJob(failed.job_id).state, JobState::kFailed);
  EXPECT_EQ(Retry(Whole("small")), 1u);
  EXPECT_EQ(GetJob(failed.job_id).state, JobState::kPending);
  EXPECT_EQ(GetJob(done.job_id).state, JobState::kSucceeded);
  EXPECT_EQ(GetJob(running.job_id).state, JobState::kRunning);
  EXPECT_EQ(Retry(Whole("small")), 0u);
}

TEST_F(SweepsTest, APausedSweepGrantsNothingAndPreemptsWhatRuns) {
  SubmitSmall(2);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  const auto paused = Pause("small", true);
  ASSERT_TRUE(paused.ok());
  EXPECT_TRUE(paused->paused);
  EXPECT_TRUE(Acquire(worker, 1, "r2")->leases.empty());
  const auto beat = Beat(worker, {Held(lease)});
  EXPECT_EQ(beat->directives[0].action, DirectiveAction::kPreempt);
  EXPECT_TRUE(GetJob(lease.job_id).sweep_paused);
  ASSERT_EQ(Release(EndOf(worker, lease, 0)), absl::OkStatus());
  EXPECT_TRUE(Acquire(worker, 1, "r3")->leases.empty());
  ASSERT_TRUE(Pause("small", false).ok());
  EXPECT_THAT(Acquire(worker, 2, "r4")->leases, SizeIs(2));
  EXPECT_TRUE(absl::IsNotFound(Pause("unknown", true).status()));
}

TEST_F(SweepsTest, ProgressRateAndTimeLeftComeFromHeartbeats) {
  ASSERT_TRUE(Submit(Spec("small", {Group("dyck", 2, 4.0)}, 2)).ok());
  const std::string worker = Register("w");
  const auto grant = Acquire(worker, 2, "r");
  EXPECT_EQ(Summary("small").eta_seconds, -1);
  const LeaseRef a = grant->leases[0].ref;
  const LeaseRef b = grant->leases[1].ref;
  Report(worker, a, 0, 10);
  ASSERT_TRUE(Beat(worker, {Held(a, 15, 2.0), Held(b, 5, 3.0)}).ok());
  const SweepSummary summary = Summary("small");
  EXPECT_EQ(summary.steps_done, 20u);
  EXPECT_DOUBLE_EQ(summary.seed_steps_per_second, 5.0);
  EXPECT_DOUBLE_EQ(summary.eta_seconds, (200 - 20) / 5.0);
  EXPECT_EQ(summary.workers, 1u);
  EXPECT_EQ(GetJob(a.job_id).step, 15u);
}

TEST_F(SweepsTest, ASweepIsFinishedWhenItsLastJobEnds) {
  SubmitSmall(2);
  const std::string worker = Register("w");
  RunToEnd(worker, TakeOne(worker));
  EXPECT_EQ(Summary("small").finished_ms, 0);
  RunToEnd(worker, TakeOne(worker));
  const SweepSummary summary = Summary("small");
  EXPECT_EQ(summary.finished_ms, clock_.NowMillis());
  EXPECT_EQ(summary.counts.succeeded, 2u);
  EXPECT_EQ(summary.steps_done, 200u);
  EXPECT_EQ(summary.eta_seconds, 0);
}

TEST_F(SweepsTest, WhoAskedForWhatIsKeptWithTheSweepAndItsJobs) {
  const Caller ana{"ipv4:10.0.0.7:4242", "ana", nullptr};
  const Caller ben{"ipv4:10.0.0.8:1", "ben", nullptr};
  ASSERT_TRUE(Ask<SubmitResult>([&](auto done) {
                c_->SubmitSweep(ana, Spec("small", {Group("dyck", 2)}, 4), 0, done);
              }).ok());
  ASSERT_TRUE(Ask<SweepSummary>([&](auto done) { c_->SetPaused(ben, "small", true, done); }).ok());
  // Already paused: nothing changed.
  ASSERT_TRUE(Ask<SweepSummary>([&](auto done) { c_->SetPaused(ana, "small", true, done); }).ok());
  JobFilter some = Whole("small");
  some.seeds = {1, 3};
  EXPECT_EQ(*Ask<uint64_t>([&](auto done) { c_->CancelJobs(ben, some, done); }), 2u);
  EXPECT_EQ(*Ask<uint64_t>([&](auto done) { c_->CancelJobs(ana, some, done); }), 0u);
  EXPECT_EQ(*Ask<uint64_t>([&](auto done) { c_->RetryJobs(ana, Whole("small"), done); }), 2u);
  Restart();
  const auto details = Ask<SweepDetails>([&](auto done) { c_->GetSweep({}, "small", done); });
  std::vector<std::string> lines;
  for (const Operation& operation : details->operations) {
    lines.push_back(absl::StrCat(operation.action, " [", operation.detail, "] ", operation.who));
  }
  EXPECT_THAT(lines, ElementsAre("submitted [4 jobs] ana at ipv4:10.0.0.7:4242",
                                 "paused [] ben at ipv4:10.0.0.8:1",
                                 "cancelled jobs [seeds 1, 3] ben at ipv4:10.0.0.8:1",
                                 "retried jobs [all] ana at ipv4:10.0.0.7:4242"));
  std::vector<std::string> events;
  for (const JobEvent& event : Details(2).events) events.push_back(event.message);
  EXPECT_THAT(events, ElementsAre("", "cancelled on request of ben at ipv4:10.0.0.8:1",
                                  "retried on request of ana at ipv4:10.0.0.7:4242"));
}

TEST_F(SweepsTest, TheRecordOfOperationsIsBounded) {
  SubmitSmall(1);
  for (int i = 0; i < 1100; ++i) {
    ASSERT_TRUE(
        Ask<SweepSummary>([&](auto done) { c_->SetPaused({}, "small", i % 2 == 0, done); }).ok());
  }
  std::vector<Operation> kept;
  ASSERT_TRUE(store_
                  ->Read([&](ReadTransaction& read) -> absl::Status {
                    kept = *read.ListOperations(1, 1'000'000);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_THAT(kept, SizeIs(1000));
  EXPECT_EQ(kept.back().action, "resumed");
}

}  // namespace
}  // namespace coppice::core
