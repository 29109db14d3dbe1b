#include <gmock/gmock.h>

#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LeasesTest : public Harness {
 protected:
  // Asks for leases without waiting for the answer. On return, the request waits in the queue, or
  // was already served.
  Answer<LeaseGrant> Ask4Lease(const std::string& worker, const std::string& request,
                               uint32_t width = 1, std::function<bool()> cancelled = {}) {
    Answer<LeaseGrant> answer;
    c_->AcquireLeases({worker, request, 0, width, 300'000}, std::move(cancelled), answer.done());
    Workers();
    return answer;
  }
  std::vector<JobId> Jobs(const absl::StatusOr<LeaseGrant>& grant) {
    EXPECT_TRUE(grant.ok()) << grant.status();
    std::vector<JobId> jobs;
    if (!grant.ok()) return jobs;
    for (const Lease& lease : grant->leases) jobs.push_back(lease.ref.job_id);
    return jobs;
  }
};

TEST_F(LeasesTest, AGrantRunsUpToWidthJobsOfOneGroup) {
  ASSERT_TRUE(Submit(Spec("grid", {Group("dyck", 2, 1), Group("tense", 4, 5)}, 3)).ok());
  const std::string worker = Register("w");
  const auto grant = Acquire(worker, 10, "r");
  EXPECT_THAT(Jobs(grant), ElementsAre(4, 5, 6));
  EXPECT_THAT(grant->run_json, HasSubstr("tense"));
  EXPECT_EQ(grant->leases[1].seed, 1u);
  EXPECT_EQ(grant->leases[1].sweep, "grid");
  EXPECT_EQ(grant->leases[1].checkpoint_dir, "grid/5/attempt-1");
  EXPECT_FALSE(grant->leases[1].resume.has_value());
  const Job job = GetJob(5);
  EXPECT_EQ(job.state, JobState::kRunning);
  EXPECT_EQ(job.worker, "w");
  EXPECT_EQ(job.attempt, 1u);
  EXPECT_EQ(job.attempts, 1u);
  EXPECT_EQ(Workers()[0].running_jobs, 3u);
  EXPECT_EQ(Details(5).events.back().type, EventType::kGranted);
}

TEST_F(LeasesTest, ARequestSentAgainGetsTheSameLeases) {
  SubmitSmall(4);
  const std::string worker = Register("w");
  const auto first = Acquire(worker, 2, "r1");
  const auto again = Acquire(worker, 2, "r1");
  EXPECT_EQ(Jobs(again), Jobs(first));
  EXPECT_EQ(again->leases[0].ref, first->leases[0].ref);
  EXPECT_EQ(again->run_json, first->run_json);
  EXPECT_THAT(Jobs(Acquire(worker, 2, "r2")), ElementsAre(3, 4));
  // An ended lease is no longer part of the grant.
  ASSERT_EQ(Release(EndOf(worker, first->leases[0].ref, 0)), absl::OkStatus());
  EXPECT_THAT(Jobs(Acquire(worker, 2, "r1")), ElementsAre(2));
  // The same request id from another worker is another request.
  EXPECT_THAT(Jobs(Acquire(Register("other"), 2, "r1")), ElementsAre(1));
}

TEST_F(LeasesTest, AnInvalidRequestIsRefused) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  EXPECT_TRUE(absl::IsNotFound(Acquire("nobody", 1, "r").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Acquire(worker, 0, "r").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Acquire(worker, 1, "").status()));
}

TEST_F(LeasesTest, AWaitingRequestIsServedWhenASweepIsSubmitted) {
  const std::string worker = Register("w");
  auto answer = Ask4Lease(worker, "r");
  EXPECT_FALSE(answer.ready());
  SubmitSmall(1);
  EXPECT_THAT(Jobs(answer.Wait()), ElementsAre(1));
}

TEST_F(LeasesTest, AWaitingRequestEndsEmptyAtItsTime) {
  const std::string worker = Register("w");
  auto answer = Ask4Lease(worker, "r");
  Advance(absl::Seconds(299));
  EXPECT_FALSE(answer.ready());
  clock_.Advance(absl::Seconds(2));
  EXPECT_THAT(Jobs(answer.Wait()), IsEmpty());
}

TEST_F(LeasesTest, WaitingRequestsAreServedInTheOrderTheyCame) {
  const std::string a = Register("a");
  const std::string b = Register("b");
  auto first = Ask4Lease(a, "r1");
  auto second = Ask4Lease(b, "r2");
  auto third = Ask4Lease(a, "r3");
  SubmitSmall(2);
  EXPECT_THAT(Jobs(first.Wait()), ElementsAre(1));
  EXPECT_THAT(Jobs(second.Wait()), ElementsAre(2));
  Workers();
  EXPECT_FALSE(third.ready());
}

TEST_F(LeasesTest, ARequestSentAgainWhileItWaitsAnswersTheFirstCallEmpty) {
  const std::string worker = Register("w");
  auto first = Ask4Lease(worker, "r");
  auto second = Ask4Lease(worker, "r");
  EXPECT_THAT(Jobs(first.Wait()), IsEmpty());
  SubmitSmall(2);
  EXPECT_THAT(Jobs(second.Wait()), ElementsAre(1));
}

TEST_F(LeasesTest, ACallerThatHasGoneIsNotGrantedLeases) {
  const std::string worker = Register("w");
  auto gone = Ask4Lease(worker, "r1", 1, [] { return true; });
  auto here = Ask4Lease(worker, "r2", 1, [] { return false; });
  SubmitSmall(1);
  EXPECT_THAT(Jobs(gone.Wait()), IsEmpty());
  EXPECT_THAT(Jobs(here.Wait()), ElementsAre(1));
}

TEST_F(LeasesTest, AReleasedLeaseServesWhoWaits) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  auto answer = Ask4Lease(worker, "r2");
  EXPECT_FALSE(answer.ready());
  ASSERT_EQ(Release(EndOf(worker, lease, 0)), absl::OkStatus());
  EXPECT_THAT(Jobs(answer.Wait()), ElementsAre(1));
  const JobDetails details = Details(1);
  EXPECT_EQ(details.job.failures, 0u);
  EXPECT_EQ(details.attempts[0].outcome, AttemptOutcome::kPreempted);
  EXPECT_EQ(details.job.attempt, 2u);
}

TEST_F(LeasesTest, AnExpiredLeaseServesWhoWaitsAndIsNotCharged) {
  SubmitSmall(1);
  const std::string lost = Register("lost");
  const std::string other = Register("other");
  const LeaseRef lease = TakeOne(lost);
  auto answer = Ask4Lease(other, "r");
  Advance(absl::Seconds(59));
  EXPECT_FALSE(answer.ready());
  clock_.Advance(absl::Seconds(2));
  EXPECT_THAT(Jobs(answer.Wait()), ElementsAre(1));
  const JobDetails details = Details(1);
  EXPECT_EQ(details.job.failures, 0u);
  EXPECT_EQ(details.job.worker, "other");
  EXPECT_EQ(details.attempts[0].outcome, AttemptOutcome::kExpired);
  EXPECT_THAT(details.attempts[0].message, HasSubstr("lost"));
  // The old holder's reports are now refused.
  EXPECT_TRUE(absl::IsAborted(Commit(CommitOf(lost, lease, 20))));
  EXPECT_TRUE(absl::IsAborted(Complete(EndOf(lost, lease, 100))));
  EXPECT_TRUE(absl::IsAborted(Fail(EndOf(lost, lease, 5), FailureKind::kCrashed)));
  EXPECT_TRUE(absl::IsAborted(Release(EndOf(lost, lease, 5))));
  EXPECT_EQ(Beat(lost, {Held(lease)})->directives[0].action, DirectiveAction::kStop);
}

TEST_F(LeasesTest, HeartbeatsKeepALeaseAlive) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  for (int i = 0; i < 10; ++i) {
    Advance(absl::Seconds(50));
    const auto beat = Beat(worker, {Held(lease)});
    ASSERT_TRUE(beat.ok());
    ASSERT_EQ(beat->directives[0].action, DirectiveAction::kContinue);
  }
  EXPECT_EQ(GetJob(1).attempt, lease.attempt);
}

TEST_F(LeasesTest, AJumpOfWallTimeEndsNoLease) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  clock_.JumpWallTime(absl::Hours(24));
  Advance(absl::Seconds(1));
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
  EXPECT_EQ(Beat(worker, {Held(lease)})->directives[0].action, DirectiveAction::kContinue);
}

TEST_F(LeasesTest, GrantingArchivesRowsPastTheCheckpoint) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef first = TakeOne(worker);
  Report(worker, first, 0, 50);
  ASSERT_EQ(Commit(CommitOf(worker, first, 20)), absl::OkStatus());
  ASSERT_EQ(Release(EndOf(worker, first, 20)), absl::OkStatus());
  EXPECT_THAT(Steps(1), ElementsAre(10, 20, 30, 40, 50));
  const LeaseRef second = TakeOne(worker);
  EXPECT_THAT(Steps(1), ElementsAre(10, 20));
  EXPECT_THAT(Steps(1, true), ElementsAre(30, 40, 50));
  EXPECT_EQ(GetJob(1).step, 20u);
  EXPECT_EQ(Summary("small").steps_done, 20u);
  RunToEnd(worker, second, 20);
  EXPECT_THAT(Steps(1), ElementsAre(10, 20, 30, 40, 50, 60, 70, 80, 90, 100));
  EXPECT_THAT(Steps(1, true), ElementsAre(30, 40, 50));
}

TEST_F(LeasesTest, JobsPreemptedTogetherArePackedTogether) {
  SubmitSmall(4);
  const std::string worker = Register("w");
  const auto grant = Acquire(worker, 2, "r1");
  for (const Lease& lease : grant->leases) {
    Report(worker, lease.ref, 0, 20);
    ASSERT_EQ(Commit(CommitOf(worker, lease.ref, 20)), absl::OkStatus());
    ASSERT_EQ(Release(EndOf(worker, lease.ref, 20)), absl::OkStatus());
  }
  const auto resumed = Acquire(worker, 2, "r2");
  EXPECT_THAT(Jobs(resumed), ElementsAre(1, 2));
  EXPECT_EQ(resumed->leases[0].resume->step, 20u);
  EXPECT_EQ(resumed->leases[0].resume->path, "small/1/attempt-1/step-20");
  EXPECT_EQ(resumed->leases[0].resume->digest, std::string(32, 'a'));
}

TEST_F(LeasesTest, AFailedJobWaitsItsBackoffBeforeItIsGrantedAgain) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  ASSERT_EQ(Fail(EndOf(worker, lease, 5), FailureKind::kCrashed), absl::OkStatus());
  auto answer = Ask4Lease(worker, "r2");
  Advance(absl::Milliseconds(1900));
  EXPECT_FALSE(answer.ready());
  clock_.Advance(absl::Milliseconds(200));
  EXPECT_THAT(Jobs(answer.Wait()), ElementsAre(1));
}

TEST_F(LeasesTest, CheckLeaseTellsCurrentFromStale) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const std::string other = Register("other");
  const LeaseRef lease = TakeOne(worker);
  const auto check = [&](const std::string& id, LeaseRef ref) {
    return Do([&](auto done) { c_->CheckLease(id, ref, done); });
  };
  EXPECT_EQ(check(worker, lease), absl::OkStatus());
  EXPECT_TRUE(absl::IsAborted(check(other, lease)));
  EXPECT_TRUE(absl::IsAborted(check(worker, {lease.job_id, lease.attempt + 1})));
  EXPECT_TRUE(absl::IsAborted(check(worker, {99, 1})));
  EXPECT_TRUE(absl::IsNotFound(check("nobody", lease)));
}

TEST_F(LeasesTest, ShutdownAnswersWhoWaitsAndRefusesWhatComesAfter) {
  const std::string worker = Register("w");
  auto answer = Ask4Lease(worker, "r");
  c_->Shutdown();
  EXPECT_THAT(Jobs(answer.Wait()), IsEmpty());
  EXPECT_TRUE(absl::IsUnavailable(Acquire(worker, 1, "r2").status()));
  EXPECT_TRUE(
      absl::IsUnavailable(Ask<JobDetails>([&](auto done) { c_->GetJob({}, 1, done); }).status()));
}

}  // namespace
}  // namespace coppice::core
