#include <gmock/gmock.h>

#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using RestartTest = Harness;

TEST_F(RestartTest, ARunningLeaseGoesOnWithAFullTerm) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  Report(worker, lease, 0, 20);
  Advance(absl::Seconds(55));
  const std::string store_id = c_->server_info().store_id;
  Close();
  clock_.Advance(absl::Hours(10));  // lease terms do not run while the coordinator is down
  Open();
  EXPECT_EQ(c_->server_info().store_id, store_id);
  Advance(absl::Seconds(59));
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
  EXPECT_EQ(Beat(worker, {Held(lease)})->directives[0].action, DirectiveAction::kContinue);
  // The worker continues without registering again.
  const auto answers = Append(worker, {Row(lease, 2, 20), Row(lease, 3, 30)});
  EXPECT_EQ((*answers)[0].number, 3u);
  EXPECT_THAT(Steps(1), ElementsAre(10, 20, 30));
}

TEST_F(RestartTest, ALeaseThatNobodyPresentsExpiresAfterTheTerm) {
  SubmitSmall(1);
  TakeOne(Register("w"));
  Restart();
  Advance(absl::Seconds(61));
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
  EXPECT_EQ(GetJob(1).failures, 0u);
}

TEST_F(RestartTest, ARequestSentAgainAfterTheRestartGetsItsLeases) {
  SubmitSmall(3);
  const std::string worker = Register("w");
  const auto before = Acquire(worker, 2, "r");
  Restart();
  const auto after = Acquire(worker, 2, "r");
  ASSERT_TRUE(after.ok()) << after.status();
  ASSERT_THAT(after->leases, SizeIs(2));
  EXPECT_EQ(after->leases[0].ref, before->leases[0].ref);
  EXPECT_EQ(after->leases[1].ref, before->leases[1].ref);
}

TEST_F(RestartTest, PendingJobsKeepTheirOrderStepAndBackoff) {
  ASSERT_TRUE(Submit(Spec("small", {Group("dyck", 2, 1), Group("tense", 4, 5)}, 1)).ok());
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  ASSERT_EQ(lease.job_id, 2u);
  Report(worker, lease, 0, 20);
  ASSERT_EQ(Commit(CommitOf(worker, lease, 20)), absl::OkStatus());
  ASSERT_EQ(Fail(EndOf(worker, lease, 25), FailureKind::kCrashed), absl::OkStatus());
  Restart();
  EXPECT_EQ(TakeOne(worker).job_id, 1u);  // the longer one still waits
  EXPECT_THAT(Acquire(worker, 1, "r")->leases, IsEmpty());
  Advance(absl::Seconds(3));
  const auto grant = Acquire(worker, 1, "r2");
  ASSERT_THAT(grant->leases, SizeIs(1));
  EXPECT_EQ(grant->leases[0].resume->step, 20u);
  EXPECT_EQ(grant->leases[0].ref.attempt, 2u);
}

TEST_F(RestartTest, AWallClockSetBackDoesNotStretchABackoff) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  ASSERT_EQ(Fail(EndOf(worker, TakeOne(worker), 5), FailureKind::kCrashed), absl::OkStatus());
  Close();
  clock_.JumpWallTime(-absl::Hours(1));
  Open();
  Advance(absl::Seconds(3));
  EXPECT_THAT(Acquire(worker, 1, "r")->leases, SizeIs(1));
}

TEST_F(RestartTest, PausesAndDrainsStay) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  Ask<SweepSummary>([&](auto done) { c_->SetPaused({}, "small", true, done); }).IgnoreError();
  Restart();
  EXPECT_THAT(Acquire(worker, 1, "r")->leases, IsEmpty());
  EXPECT_TRUE(GetJob(1).sweep_paused);
  Ask<SweepSummary>([&](auto done) { c_->SetPaused({}, "small", false, done); }).IgnoreError();
  Ask<Worker>([&](auto done) { c_->DrainWorker({}, "w", false, false, done); }).IgnoreError();
  Restart();
  EXPECT_THAT(Acquire(worker, 1, "r2")->leases, IsEmpty());
  EXPECT_TRUE(Beat(worker, {})->drain);
}

TEST_F(RestartTest, CountsSurvive) {
  SubmitSmall(5);
  const std::string worker = Register("w");
  RunToEnd(worker, TakeOne(worker));
  ASSERT_EQ(Fail(EndOf(worker, TakeOne(worker), 5), FailureKind::kNan), absl::OkStatus());
  JobFilter third;
  third.job_ids = {3};
  Ask<uint64_t>([&](auto done) { c_->CancelJobs({}, third, done); }).IgnoreError();
  TakeOne(worker);
  const SweepSummary before = Summary("small");
  Restart();
  const SweepSummary after = Summary("small");
  EXPECT_EQ(after.counts.pending, 1u);
  EXPECT_EQ(after.counts.running, 1u);
  EXPECT_EQ(after.counts.succeeded, 1u);
  EXPECT_EQ(after.counts.failed, 1u);
  EXPECT_EQ(after.counts.cancelled, 1u);
  EXPECT_EQ(after.steps_done, before.steps_done);
}

TEST_F(RestartTest, AStaleAttemptIsRefusedByTheNextCoordinatorToo) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef first = TakeOne(worker);
  ASSERT_EQ(Release(EndOf(worker, first, 0)), absl::OkStatus());
  const LeaseRef second = TakeOne(worker);
  Restart();
  EXPECT_TRUE((*Append(worker, {Row(first, 1, 10)}))[0].over);
  EXPECT_FALSE((*Append(worker, {Row(second, 1, 10)}))[0].over);
  EXPECT_TRUE(absl::IsAborted(Commit(CommitOf(worker, first, 0))));
}

TEST_F(RestartTest, EverythingRunsToTheEndAcrossManyRestarts) {
  SubmitSmall(3);
  const std::string worker = Register("w");
  for (int job = 0; job < 3; ++job) {
    const LeaseRef lease = TakeOne(worker);
    Restart();
    uint64_t last = Report(worker, lease, 0, 50);
    Restart();
    last = Report(worker, lease, 50, 100, last + 1);
    Restart();
    ASSERT_EQ(Commit(CommitOf(worker, lease, 100)), absl::OkStatus());
    Restart();
    ASSERT_EQ(Complete(EndOf(worker, lease, 100)), absl::OkStatus());
    Restart();
  }
  EXPECT_EQ(Summary("small").counts.succeeded, 3u);
  EXPECT_THAT(Metrics(Whole("small")), SizeIs(30));
}

TEST_F(RestartTest, ABadOptionIsRefused) {
  Close();
  auto store = store::OpenSqliteStore({dir_ / "coppice.db", 1, 0});
  ASSERT_TRUE(store.ok());
  CoordinatorOptions options = options_;
  options.heartbeat_interval = options.lease;
  EXPECT_TRUE(absl::IsInvalidArgument(Coordinator::Open(store->get(), &clock_, options).status()));
}

}  // namespace
}  // namespace coppice::core
