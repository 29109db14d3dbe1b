// A job whose workers vanish is never charged and never starves. A job that takes its machines down
// is detected.
#include "coordinator/core/lost_attempts.h"

#include <gmock/gmock.h>

#include "absl/strings/str_join.h"
#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class LostTest : public Harness {
 protected:
  // A new worker of this name takes the job, reports `rows` report rows, and vanishes.
  void Lose(const std::string& name, uint32_t rows = 0) {
    const std::string worker = Register(name, RandomId());
    const LeaseRef lease = TakeOne(worker);
    if (rows > 0) Report(worker, lease, 0, rows * 10);
    Advance(absl::Seconds(61));
  }
  // Waits for the longest backoff of a lost job.
  void Rest() { Advance(kLongestLostBackoff); }
  std::string Why(JobId id) {
    const auto explanation = Ask<Explanation>([&](auto done) { c_->ExplainJob({}, id, done); });
    return explanation.ok() ? absl::StrJoin(explanation->reasons, "\n")
                            : explanation.status().ToString();
  }
  bool Granted() { return !Acquire(Register("probe"), 1, RandomId())->leases.empty(); }
};

TEST(LostBackoffTest, ItGrowsAndStaysBounded) {
  EXPECT_EQ(LostBackoff(0), absl::ZeroDuration());
  EXPECT_EQ(LostBackoff(2), absl::ZeroDuration());
  EXPECT_EQ(LostBackoff(3), absl::Seconds(30));
  EXPECT_EQ(LostBackoff(4), absl::Seconds(60));
  EXPECT_EQ(LostBackoff(7), kLongestLostBackoff);
  EXPECT_EQ(LostBackoff(1'000'000), kLongestLostBackoff);
}

TEST_F(LostTest, AWorkerThatVanishesOnceOrTwiceCostsNoWait) {
  SubmitSmall(1);
  Lose("a");
  EXPECT_THAT(Why(1), Not(HasSubstr("vanished")));
  Lose("b");
  EXPECT_THAT(Why(1), HasSubstr("its last 2 workers (2 different ones) vanished"));
  EXPECT_TRUE(Granted());
}

TEST_F(LostTest, AJobThatIsLostAgainAndAgainWaitsLongerAndIsNeverCharged) {
  SubmitSmall(1);
  for (int i = 0; i < 3; ++i) Lose(absl::StrCat("w", i));
  // The lease ends at its term or, as Lose advances the clock past it, a second later if the writer
  // is slow.
  EXPECT_THAT(Why(1), AllOf(HasSubstr("Its workers vanished and it waits"),
                            AnyOf(HasSubstr("(30s more)"), HasSubstr("(29s more)"))));
  EXPECT_FALSE(Granted());
  Advance(absl::Seconds(31));
  EXPECT_TRUE(Granted());
  EXPECT_EQ(GetJob(1).failures, 0u);
}

TEST_F(LostTest, AnUnluckyJobNeverWaitsMoreThanFiveMinutesAndEndsWell) {
  SubmitSmall(1);
  for (int i = 0; i < 60; ++i) {
    Lose(absl::StrCat("w", i));
    Rest();
    ASSERT_EQ(GetJob(1).state, JobState::kPending) << i;
  }
  const std::string worker = Register("good");
  RunToEnd(worker, TakeOne(worker));
  EXPECT_EQ(GetJob(1).state, JobState::kSucceeded);
  EXPECT_EQ(GetJob(1).failures, 0u);
}

TEST_F(LostTest, ProgressStartsTheCountOver) {
  SubmitSmall(1);
  for (uint32_t i = 0; i < 6; ++i) Lose(absl::StrCat("w", i), i + 1);
  EXPECT_TRUE(Granted());
}

TEST_F(LostTest, ReportingTheSameStepsAgainIsNoProgress) {
  SubmitSmall(1);
  for (uint32_t i = 0; i < 4; ++i) Lose(absl::StrCat("w", i), 2);
  EXPECT_FALSE(Granted());
}

TEST_F(LostTest, ACheckpointIsProgress) {
  SubmitSmall(1);
  for (uint32_t i = 0; i < 4; ++i) {
    const std::string worker = Register(absl::StrCat("w", i));
    const LeaseRef lease = TakeOne(worker);
    ASSERT_EQ(Commit(CommitOf(worker, lease, i + 1)), absl::OkStatus());
    Advance(absl::Seconds(61));
  }
  EXPECT_TRUE(Granted());
}

TEST_F(LostTest, AWorkerThatGivesTheJobBackStartsTheCountOver) {
  SubmitSmall(1);
  Lose("a");
  Lose("b");
  const std::string worker = Register("c");
  ASSERT_EQ(Release(EndOf(worker, TakeOne(worker), 0)), absl::OkStatus());
  Lose("d");
  EXPECT_TRUE(Granted());
}

TEST_F(LostTest, ADaemonThatDiesAndComesBackWithNothingCountsAsVanished) {
  SubmitSmall(1);
  for (int i = 0; i < 3; ++i) {
    const std::string worker = Register("same", RandomId());
    const End end = EndOf(worker, TakeOne(worker), 0);
    const auto lose = [&] { return Release(end, core::Release::Lost{}, "started again"); };
    ASSERT_EQ(lose(), absl::OkStatus());
    EXPECT_EQ(lose(), absl::OkStatus());  // sent again
  }
  EXPECT_FALSE(Granted());
  EXPECT_EQ(Details(1).attempts[2].outcome, AttemptOutcome::kExpired);
  EXPECT_EQ(GetJob(1).failures, 0u);
}

TEST_F(LostTest, TheWaitOutlivesARestartOfTheCoordinator) {
  SubmitSmall(1);
  for (int i = 0; i < 8; ++i) {
    Lose(absl::StrCat("w", i));
    if (i < 7) Rest();
  }
  Restart();
  Advance(absl::Seconds(200));
  EXPECT_FALSE(Granted());
  Advance(absl::Seconds(101));
  EXPECT_TRUE(Granted());
}

TEST_F(LostTest, AJobThatTakesManyMachinesDownIsSetAsideWhereOthersGetOn) {
  SubmitSmall(2);
  for (uint32_t i = 0; i < kGiveUpAttempts; ++i) {
    const std::string worker = Register(absl::StrCat("w", i % 4), RandomId());
    ASSERT_EQ(TakeOne(worker).job_id, 1u) << i;
    if (i == 0) {
      const LeaseRef other = TakeOne(worker);
      Report(worker, other, 0, 10);
      ASSERT_EQ(Commit(CommitOf(worker, other, 10)), absl::OkStatus());
      ASSERT_EQ(Release(EndOf(worker, other, 10)), absl::OkStatus());
      // This job must not be granted any more.
      JobFilter filter;
      filter.job_ids = {2};
      ASSERT_TRUE(Ask<uint64_t>([&](auto done) { c_->CancelJobs({}, filter, done); }).ok());
    }
    ASSERT_EQ(GetJob(1).state, JobState::kRunning);
    Advance(absl::Seconds(61));
    Rest();
  }
  const Job job = GetJob(1);
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_EQ(job.failures, 0u);
  EXPECT_THAT(job.reason,
              AllOf(HasSubstr("set aside"), HasSubstr("20 workers (4 different ones)")));
  EXPECT_THAT(Why(1), HasSubstr("coppice retry"));
  // A retry clears the count.
  ASSERT_TRUE(Ask<uint64_t>([&](auto done) { c_->RetryJobs({}, Whole("small"), done); }).ok());
  Lose("w0");
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
}

TEST_F(LostTest, OnTooFewWorkersItIsNotSetAside) {
  SubmitSmall(2);
  const std::string worker = Register("w0", RandomId());
  const auto both = Acquire(worker, 2, "r");
  ASSERT_THAT(both->leases, SizeIs(2));
  Report(worker, both->leases[1].ref, 0, 10);
  for (uint32_t i = 0; i < kGiveUpAttempts + 5; ++i) {
    Advance(absl::Seconds(61));
    Rest();
    ASSERT_EQ(GetJob(1).state, JobState::kPending) << i;
    const std::string next = Register(absl::StrCat("w", i % 2), RandomId());
    ASSERT_THAT(Acquire(next, 2, RandomId())->leases, Not(IsEmpty()));
  }
}

}  // namespace
}  // namespace coppice::core
