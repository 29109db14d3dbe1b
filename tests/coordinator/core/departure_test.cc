// The goodbye of a worker, and workers that are forgotten.
#include <gmock/gmock.h>

#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::HasSubstr;

using DepartureTest = Harness;

TEST_F(DepartureTest, AWorkerThatSaysGoodbyeIsGoneAtOnceAndItsJobsGoOnUncharged) {
  SubmitSmall(2);
  const std::string w = Register("w");
  const LeaseRef first = TakeOne(w);
  const std::string other = Register("other");
  ASSERT_EQ(Leave(w, ExitReason::kPreempted, "SIGTERM"), absl::OkStatus());

  const JobDetails details = Details(first.job_id);
  EXPECT_EQ(details.job.state, JobState::kPending);
  EXPECT_EQ(details.job.failures, 0u);
  ASSERT_EQ(details.attempts.size(), 1u);
  EXPECT_EQ(details.attempts[0].outcome, AttemptOutcome::kPreempted);
  EXPECT_THAT(details.attempts[0].message, HasSubstr("worker w has left (preempted: SIGTERM)"));
  EXPECT_EQ(Acquire(other, 2, "r")->leases.size(), 2u);  // no lease term passes

  const std::vector<Worker> workers = Workers();
  ASSERT_EQ(workers.size(), 2u);
  EXPECT_FALSE(workers[1].connected);
  EXPECT_EQ(workers[1].departed_ms, clock_.NowMillis());
  EXPECT_EQ(workers[1].departed_reason, "preempted: SIGTERM");
  EXPECT_TRUE(absl::IsNotFound(Beat(w, {}).status()));
  EXPECT_TRUE(absl::IsNotFound(Acquire(w, 1, "late").status()));
  clock_.Advance(absl::Seconds(5));
  EXPECT_EQ(Leave(w, ExitReason::kIdle), absl::OkStatus());  // a repeated one changes nothing
  EXPECT_EQ(Workers()[1].departed_reason, "preempted: SIGTERM");
  Restart();
  EXPECT_EQ(Workers()[1].departed_reason, "preempted: SIGTERM");
  EXPECT_TRUE(absl::IsNotFound(Beat(w, {}).status()));
}

TEST_F(DepartureTest, RequestsOfAWorkerThatLeavesAreAnsweredAtOnce) {
  const std::string w = Register("w");
  Answer<LeaseGrant> waiting;
  c_->AcquireLeases({w, "r", 0, 1, 60'000}, {}, waiting.done());
  Workers();
  EXPECT_FALSE(waiting.ready());
  ASSERT_EQ(Leave(w, ExitReason::kStopped), absl::OkStatus());
  const auto grant = waiting.Wait();
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_TRUE(grant->leases.empty());
}

TEST_F(DepartureTest, AGoodbyeOfASupersededProcessChangesNothing) {
  SubmitSmall(1);
  const std::string older = Register("w", "i1", {}, "alpha");
  const std::string newer = Register("w", "i2", {}, "beta");
  const LeaseRef lease = TakeOne(newer);
  EXPECT_TRUE(absl::IsNotFound(Leave(older, ExitReason::kPreempted)));
  EXPECT_EQ(GetJob(lease.job_id).state, JobState::kRunning);
  EXPECT_TRUE(Workers()[0].connected);
}

TEST_F(DepartureTest, AProcessThatLeftNeverComesBackButItsNameDoes) {
  const std::string w = Register("w", "i1");
  ASSERT_EQ(Leave(w, ExitReason::kPreempted), absl::OkStatus());
  EXPECT_THAT(Register("w", "i1"), HasSubstr("said goodbye"));
  Register("w", "i2");
  ASSERT_EQ(Workers().size(), 1u);
  EXPECT_TRUE(Workers()[0].connected);
  EXPECT_EQ(Workers()[0].departed_ms, 0);
  EXPECT_EQ(Workers()[0].departed_reason, "");
}

TEST_F(DepartureTest, AHeartbeatMovesTheEndOfAWorkerAndSaysWhatIsIdle) {
  const std::string w = Register("w");
  ASSERT_TRUE(Beat(w, {}, BeatState{false, 5000, 1}).ok());
  EXPECT_EQ(Workers()[0].info.ends_ms, 5000);
  EXPECT_EQ(Workers()[0].idle_slots, 1u);
  Restart();
  EXPECT_EQ(Workers()[0].info.ends_ms, 5000) << "it is durable";
  ASSERT_TRUE(Beat(w, {}, BeatState{false, 0, 0}).ok());
  EXPECT_EQ(Workers()[0].info.ends_ms, 0) << "none is known any more";
}

TEST_F(DepartureTest, AWorkerThatIsSilentForAnHourCountsAsDeparted) {
  Register("w");
  clock_.Advance(absl::Minutes(59));
  EXPECT_EQ(Workers()[0].departed_ms, 0);
  const int64_t seen = Workers()[0].last_seen_ms;
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(Workers()[0].departed_ms, seen);
  EXPECT_EQ(Workers()[0].departed_reason, "not heard of since");
}

TEST_F(DepartureTest, WorkersAreForgottenADayAfterTheirGoodbyeOrByHand) {
  const auto forget = [&](const std::string& name) {
    return Ask<std::string>([&](auto done) { c_->ForgetWorker({}, name, done); }).status();
  };
  SubmitSmall(1);
  const std::string w = Register("w");
  const LeaseRef lease = TakeOne(w);
  EXPECT_TRUE(absl::IsFailedPrecondition(forget("w"))) << "it works";
  EXPECT_TRUE(absl::IsNotFound(forget("nobody")));
  ASSERT_EQ(Leave(w, ExitReason::kStopped), absl::OkStatus());
  EXPECT_EQ(GetJob(lease.job_id).state, JobState::kPending);
  EXPECT_EQ(forget(w), absl::OkStatus());  // by its id
  EXPECT_TRUE(Workers().empty());
  Restart();
  EXPECT_TRUE(Workers().empty());

  ASSERT_EQ(Leave(Register("short"), ExitReason::kIdle), absl::OkStatus());
  clock_.Advance(absl::Hours(23));
  Register("b");
  EXPECT_EQ(Workers().size(), 2u);
  clock_.Advance(absl::Hours(2));
  Register("c");
  ASSERT_EQ(Workers().size(), 2u);
  EXPECT_EQ(Workers()[0].info.name, "b");
}

}  // namespace
}  // namespace coppice::core
