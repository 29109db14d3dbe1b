#include <gmock/gmock.h>

#include "common/base/status_macros.h"
#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class HeartbeatTest : public Harness {
 protected:
  absl::StatusOr<Worker> Drain(const std::string& worker, bool preempt, bool undo = false) {
    return Ask<Worker>([&](auto done) { c_->DrainWorker({}, worker, preempt, undo, done); });
  }
};

TEST_F(HeartbeatTest, AnUnknownWorkerIsToldToRegister) {
  EXPECT_TRUE(absl::IsNotFound(Beat("nobody", {}).status()));
  EXPECT_TRUE(absl::IsNotFound(Append("nobody", {}).status()));
}

TEST_F(HeartbeatTest, EachHeldLeaseGetsOneDirective) {
  SubmitSmall(2);
  const std::string worker = Register("w");
  const LeaseRef current = TakeOne(worker);
  const LeaseRef stale{2, 7};
  const LeaseRef unknown{99, 1};
  const auto beat = Beat(worker, {Held(current), Held(stale), Held(unknown)});
  ASSERT_TRUE(beat.ok());
  ASSERT_THAT(beat->directives, SizeIs(3));
  EXPECT_EQ(beat->directives[0].action, DirectiveAction::kContinue);
  EXPECT_EQ(beat->directives[1].action, DirectiveAction::kStop);
  EXPECT_EQ(beat->directives[2].action, DirectiveAction::kStop);
  EXPECT_THAT(beat->directives[2].reason, HasSubstr("does not exist"));
}

TEST_F(HeartbeatTest, ALeaseUnlistedTwiceIsReleasedUncharged) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  Beat(worker, {}).IgnoreError();
  const LeaseRef lease = TakeOne(worker);
  Advance(absl::Seconds(11));
  ASSERT_TRUE(Beat(worker, {}).ok());
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
  ASSERT_TRUE(Beat(worker, {}).ok());
  const JobDetails details = Details(1);
  EXPECT_EQ(details.job.state, JobState::kPending);
  EXPECT_EQ(details.job.failures, 0u);
  EXPECT_EQ(details.attempts[0].outcome, AttemptOutcome::kReleased);
  EXPECT_EQ(Beat(worker, {Held(lease)})->directives[0].action, DirectiveAction::kStop);
}

TEST_F(HeartbeatTest, ListingALeaseInBetweenForgetsTheMiss) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  Beat(worker, {}).IgnoreError();
  const LeaseRef lease = TakeOne(worker);
  Advance(absl::Seconds(11));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Beat(worker, {}).ok());
    ASSERT_TRUE(Beat(worker, {Held(lease)}).ok());
  }
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
}

TEST_F(HeartbeatTest, AGrantThatCrossedAHeartbeatIsKept) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  TakeOne(worker);
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(Beat(worker, {}).ok());  // all sent before the grant arrived
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
}

TEST_F(HeartbeatTest, AfterARegistrationOneMissIsEnough) {
  SubmitSmall(1);
  const std::string worker = Register("w", "i1");
  TakeOne(worker);
  Advance(absl::Seconds(11));
  EXPECT_EQ(Register("w", "i1"),
            worker);  // the same process, after NOT_FOUND or a lost connection
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
  ASSERT_TRUE(Beat(worker, {}).ok());
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
}

TEST_F(HeartbeatTest, AnotherProcessOfTheSameNameTakesThePlaceAndLosesWhatItDoesNotHold) {
  SubmitSmall(2);
  const std::string old_id = Register("w", "i1");
  const LeaseRef kept = TakeOne(old_id);
  const LeaseRef lost = TakeOne(old_id);
  const std::string new_id = Register("w", "i2", {Held(kept)});
  EXPECT_NE(new_id, old_id);
  EXPECT_EQ(GetJob(kept.job_id).state, JobState::kRunning);
  EXPECT_EQ(GetJob(lost.job_id).state, JobState::kPending);
  EXPECT_EQ(GetJob(lost.job_id).failures, 0u);
  EXPECT_EQ(Details(lost.job_id).attempts[0].outcome, AttemptOutcome::kExpired);
  EXPECT_TRUE(absl::IsNotFound(Beat(old_id, {Held(kept)}).status()));
  EXPECT_EQ(Beat(new_id, {Held(kept)})->directives[0].action, DirectiveAction::kContinue);
  Report(new_id, kept, 0, 10);
  EXPECT_THAT(Workers(), SizeIs(1));
}

TEST_F(HeartbeatTest, ANewProcessCannotClaimAnotherWorkersLease) {
  SubmitSmall(1);
  const LeaseRef lease = TakeOne(Register("a"));
  const std::string thief = Register("b", "i9", {Held(lease)});
  EXPECT_EQ(GetJob(1).worker, "a");
  EXPECT_EQ(Beat(thief, {Held(lease)})->directives[0].action, DirectiveAction::kStop);
  EXPECT_TRUE(absl::IsAborted(Commit(CommitOf(thief, lease, 20))));
}

TEST_F(HeartbeatTest, AWaitingRequestOfAReplacedProcessIsToldToRegister) {
  const std::string old_id = Register("w", "i1");
  Answer<LeaseGrant> answer;
  c_->AcquireLeases({old_id, "r", 0, 1, 60'000}, {}, answer.done());
  Workers();
  Register("w", "i2");
  SubmitSmall(1);
  EXPECT_TRUE(absl::IsNotFound(answer.Wait().status()));
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
}

TEST_F(HeartbeatTest, BadRegistrationsAreRefused) {
  const auto attempt = [&](const std::string& name, const std::string& instance) {
    WorkerInfo info;
    info.name = name;
    info.instance = instance;
    return Ask<Registration>([&](auto done) { c_->Register(info, {}, done); }).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(attempt("", "i")));
  EXPECT_TRUE(absl::IsInvalidArgument(attempt("two words", "i")));
  EXPECT_TRUE(absl::IsInvalidArgument(attempt("w", "")));
  EXPECT_TRUE(absl::IsInvalidArgument(attempt(std::string(300, 'w'), "i")));
}

TEST_F(HeartbeatTest, ADrainingWorkerTakesNothingNewAndKeepsWhatRuns) {
  SubmitSmall(2);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  const auto drained = Drain("w", false);
  ASSERT_TRUE(drained.ok());
  EXPECT_TRUE(drained->draining);
  EXPECT_EQ(drained->running_jobs, 1u);
  EXPECT_THAT(Acquire(worker, 1, "r2")->leases, IsEmpty());
  const auto beat = Beat(worker, {Held(lease)});
  EXPECT_TRUE(beat->drain);
  EXPECT_EQ(beat->directives[0].action, DirectiveAction::kContinue);
  // The drain stays with the name when the process changes, and ends with undo.
  const std::string next = Register("w", "i2", {Held(lease)});
  EXPECT_TRUE(Beat(next, {Held(lease)})->drain);
  ASSERT_TRUE(Drain(next, false, true).ok());
  EXPECT_FALSE(Beat(next, {Held(lease)})->drain);
  EXPECT_THAT(Acquire(next, 1, "r3")->leases, SizeIs(1));
  EXPECT_TRUE(absl::IsNotFound(Drain("nobody", false).status()));
}

TEST_F(HeartbeatTest, ADrainWithPreemptAsksForWhatRuns) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  ASSERT_TRUE(Drain("w", true).ok());
  EXPECT_EQ(Beat(worker, {Held(lease)})->directives[0].action, DirectiveAction::kPreempt);
}

TEST_F(HeartbeatTest, AWorkerThatSaysItLeavesGetsNothingMore) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  ASSERT_TRUE(Beat(worker, {}, true).ok());
  EXPECT_TRUE(Workers()[0].draining);
  EXPECT_THAT(Acquire(worker, 1, "r")->leases, IsEmpty());
  ASSERT_TRUE(Beat(worker, {}, false).ok());
  EXPECT_THAT(Acquire(worker, 1, "r2")->leases, SizeIs(1));
}

TEST_F(HeartbeatTest, AWorkerIsConnectedWhileItIsHeardOf) {
  const std::string worker = Register("w");
  EXPECT_TRUE(Workers()[0].connected);
  Advance(absl::Seconds(61));
  EXPECT_FALSE(Workers()[0].connected);
  ASSERT_TRUE(Beat(worker, {}).ok());
  EXPECT_TRUE(Workers()[0].connected);
  EXPECT_EQ(Workers()[0].last_seen_ms, clock_.NowMillis());
}

// A worker's token lets it register under any number of names.
TEST_F(HeartbeatTest, NamesOfWorkersAreNotRememberedWithoutEnd) {
  ASSERT_TRUE(store_
                  ->RunInTransaction([&](WriteTransaction& tx) -> absl::Status {
                    for (int i = 0; i < 20'000; ++i) {
                      WorkerRow row;
                      row.info.name = absl::StrCat("known", i);
                      row.id = absl::StrCat("id", i);
                      row.info.instance = "i";
                      COPPICE_RETURN_IF_ERROR(tx.PutWorker(row));
                    }
                    return absl::OkStatus();
                  })
                  .ok());
  Restart();
  EXPECT_THAT(Register("known7", "new"), Not(HasSubstr("RESOURCE_EXHAUSTED")));
  // The first registration deletes a thousand workers that were last seen long ago.
  for (int i = 0; i < 1000; ++i) Register(absl::StrCat("fresh", i));
  EXPECT_THAT(Register("another"), HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(Register("fresh5"), Not(HasSubstr("RESOURCE_EXHAUSTED")));
}

}  // namespace
}  // namespace coppice::core
