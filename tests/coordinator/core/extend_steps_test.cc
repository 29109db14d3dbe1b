// Extensions by steps: every value must be that of a sweep that was whole from the start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/core/extension_harness.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ExtendSteps : public ExtensionHarness {
 protected:
  // One job of `steps` steps that has succeeded, with a checkpoint at step 80 too.
  void RunOne(const GroupSpec& group) {
    ASSERT_TRUE(Submit(Grid({group}, {0})).ok());
    w_ = Register("w1");
    const LeaseRef lease = TakeOne(w_);
    Report(w_, lease, 0, 80);
    ASSERT_EQ(Commit(CommitOf(w_, lease, 80)), absl::OkStatus());
    RunFrom(w_, lease, 80, group.steps);
    ASSERT_EQ(GetJob(1).state, JobState::kSucceeded);
  }
  std::string w_;
};

TEST_F(ExtendSteps, AJobThatHasSucceededGoesOnFromItsLastCheckpoint) {
  RunOne(Point(2));
  const Extension extension = Extended(Grid({Point(2, 200)}, {0}));
  EXPECT_EQ(extension.continued_jobs, 1u);
  EXPECT_EQ(extension.repeating_jobs, 0u);
  EXPECT_EQ(extension.added_steps, 100u);
  EXPECT_THAT(extension.settings, ElementsAre("train.steps: 100 -> 200"));
  Job job = GetJob(1);
  EXPECT_EQ(job.state, JobState::kPending);
  EXPECT_EQ(job.step, 100u);
  EXPECT_EQ(job.steps, 200u);
  EXPECT_EQ(job.finished_ms, 0);
  EXPECT_EQ(Summary("small").steps_total, 200u);
  EXPECT_EQ(Summary("small").steps_done, 100u);
  EXPECT_EQ(Summary("small").finished_ms, 0);

  const auto grant = Acquire(w_, 1, "again");
  ASSERT_TRUE(grant.ok());
  ASSERT_EQ(grant->leases.size(), 1u);
  ASSERT_TRUE(grant->leases[0].resume.has_value());
  EXPECT_EQ(grant->leases[0].resume->step, 100u);
  RunFrom(w_, grant->leases[0].ref, 100, 200);
  job = GetJob(1);
  EXPECT_EQ(job.state, JobState::kSucceeded);
  EXPECT_EQ(job.failures, 0u);
  EXPECT_THAT(Steps(1), ElementsAreArray(Every(10, 200)));
  EXPECT_THAT(Steps(1, /*archived=*/true), IsEmpty());
  std::vector<EventType> events;
  for (const JobEvent& event : Details(1).events) {
    if (event.type != EventType::kCheckpoint) events.push_back(event.type);
  }
  EXPECT_THAT(events,
              ElementsAre(EventType::kSubmitted, EventType::kGranted, EventType::kSucceeded,
                          EventType::kExtended, EventType::kGranted, EventType::kSucceeded));
}

TEST_F(ExtendSteps, ARunningAttemptKeepsItsStepsAndItsEndIsAPart) {
  ASSERT_TRUE(Submit(Grid({Point(2)}, {0})).ok());
  w_ = Register("w1");
  const LeaseRef lease = TakeOne(w_);
  Report(w_, lease, 0, 50);
  const Extension extension = Extended(Grid({Point(2, 200)}, {0}));
  EXPECT_EQ(extension.longer_jobs, 1u);
  EXPECT_EQ(extension.continued_jobs, 0u);
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
  ReportTo(w_, lease, 50, 100);
  EXPECT_TRUE(absl::IsInvalidArgument(Take(w_, Row(lease, NextNumber(lease), 110))));
  EXPECT_TRUE(absl::IsInvalidArgument(Commit(CommitOf(w_, lease, 110))));
  EXPECT_TRUE(absl::IsFailedPrecondition(Complete(EndOf(w_, lease, 200))));
  EXPECT_EQ(Complete(EndOf(w_, lease, 100)), absl::OkStatus());
  const JobDetails details = Details(1);
  EXPECT_EQ(details.job.state, JobState::kPending);
  EXPECT_EQ(details.job.failures, 0u);
  EXPECT_EQ(details.attempts[0].outcome, AttemptOutcome::kSucceeded);
  EXPECT_EQ(details.events.back().type, EventType::kExtended);
  EXPECT_EQ(details.events.back().message, "reached step 100 of now 200");
  EXPECT_EQ(Summary("small").counts.succeeded, 0u);
  RunFrom(w_, TakeOne(w_), 100, 200);
  EXPECT_EQ(GetJob(1).state, JobState::kSucceeded);
  EXPECT_THAT(Steps(1), ElementsAreArray(Every(10, 200)));
}

// The row of step 95 is none of a longer run's.
TEST_F(ExtendSteps, ALastStepBetweenTwoReportsIsTakenBack) {
  RunOne(Point(2, 95));
  const SweepSpec after = Grid({Point(2, 200)}, {0});
  const Extension preview = Extended(after, /*dry_run=*/true);
  EXPECT_EQ(preview.repeating_jobs, 1u);
  EXPECT_EQ(preview.repeated_steps, 15u);
  EXPECT_EQ(GetJob(1).state, JobState::kSucceeded);
  Extended(after);
  EXPECT_EQ(GetJob(1).step, 80u);
  EXPECT_EQ(GetJob(1).checkpoint_step, 80u);
  EXPECT_THAT(Steps(1), ElementsAreArray(Every(10, 80)));
  EXPECT_THAT(Steps(1, /*archived=*/true), ElementsAre(90, 95));
  ASSERT_EQ(Details(1).checkpoints.size(), 1u);
  EXPECT_EQ(Details(1).checkpoints[0].step, 80u);
  RunFrom(w_, TakeOne(w_), 80, 200);
  EXPECT_EQ(GetJob(1).state, JobState::kSucceeded);
  EXPECT_THAT(Steps(1), ElementsAreArray(Every(10, 200)));
}

TEST_F(ExtendSteps, WithoutAnOlderCheckpointTheJobBeginsAgain) {
  GroupSpec group = Point(2, 95);
  group.keep = 1;
  RunOne(group);
  group.steps = 200;
  const Extension extension = Extended(Grid({group}, {0}));
  EXPECT_EQ(extension.repeated_steps, 95u);
  EXPECT_EQ(GetJob(1).step, 0u);
  EXPECT_THAT(Steps(1), IsEmpty());
  const auto grant = Acquire(w_, 1, "again");
  ASSERT_TRUE(grant.ok());
  ASSERT_EQ(grant->leases.size(), 1u);
  EXPECT_FALSE(grant->leases[0].resume.has_value());
  RunFrom(w_, grant->leases[0].ref, 0, 200);
  EXPECT_THAT(Steps(1), ElementsAreArray(Every(10, 200)));
}

// Step 90 is a report step of every length, but its row holds probes only if it is the last.
TEST_F(ExtendSteps, ALastRowWithMoreValuesThanALongerRunsIsTakenBack) {
  GroupSpec group = Point(2, 90);
  group.common_row_every = 50;
  RunOne(group);
  group.steps = 200;
  EXPECT_EQ(Extended(Grid({group}, {0})).repeating_jobs, 1u);
  EXPECT_EQ(GetJob(1).checkpoint_step, 80u);
  EXPECT_THAT(Steps(1), ElementsAreArray(Every(10, 80)));
}

// However an attempt of the shorter run ends behind its last row, nothing of that end stays.
TEST_F(ExtendSteps, NoEndOfAShorterAttemptLeavesItsLastRowBehind) {
  ASSERT_TRUE(Submit(Grid({Point(2, 95)}, {0, 1, 2, 3, 4, 5})).ok());
  w_ = Register("w1");
  const auto grant = Acquire(w_, 6, "all");
  ASSERT_TRUE(grant.ok());
  ASSERT_EQ(grant->leases.size(), 6u);
  const auto lease = [&](size_t i) { return grant->leases[i].ref; };
  for (size_t i = 0; i < 6; ++i) {
    Report(w_, lease(i), 0, 80);
    ASSERT_EQ(Commit(CommitOf(w_, lease(i), 80)), absl::OkStatus());
    ReportTo(w_, lease(i), 80, 95);
  }
  ASSERT_EQ(Release(EndOf(w_, lease(0), 95)), absl::OkStatus());  // before the extension
  Extended(Grid({Point(2, 200)}, {0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(Complete(EndOf(w_, lease(1), 95)), absl::OkStatus());
  EXPECT_EQ(Release(EndOf(w_, lease(2), 95)), absl::OkStatus());
  EXPECT_EQ(Fail(EndOf(w_, lease(3), 95), FailureKind::kCrashed), absl::OkStatus());
  JobFilter filter;
  filter.job_ids = {lease(4).job_id};
  EXPECT_TRUE(Ask<uint64_t>([&](auto done) { c_->CancelJobs({}, filter, done); }).ok());
  Advance(options_.lease * 3);  // the last one runs out
  for (size_t i = 0; i < 6; ++i) {
    SCOPED_TRACE(absl::StrCat("job ", i));
    const JobId id = lease(i).job_id;
    EXPECT_EQ(GetJob(id).state, i == 4 ? JobState::kCancelled : JobState::kPending);
    EXPECT_EQ(GetJob(id).checkpoint_step, 80u);
    EXPECT_THAT(Steps(id), ElementsAreArray(Every(10, 80)));
  }
  EXPECT_EQ(Ask<uint64_t>([&](auto done) { c_->RetryJobs({}, filter, done); }).value_or(0), 1u);
  Advance(absl::Minutes(10));
  w_ = Register("w1", "i2");
  for (int i = 0; i < 6; ++i) RunFrom(w_, TakeOne(w_), 80, 200);
  EXPECT_EQ(Summary("small").counts.succeeded, 6u);
}

TEST_F(ExtendSteps, FailedAndCancelledJobsStay) {
  ASSERT_TRUE(Submit(Grid({Point(2)}, {0, 1})).ok());
  w_ = Register("w1");
  const LeaseRef failed = TakeOne(w_);
  EXPECT_EQ(Fail(EndOf(w_, failed, 5), FailureKind::kNan), absl::OkStatus());
  EXPECT_TRUE(Ask<uint64_t>([&](auto done) { c_->CancelJobs({}, Whole("small"), done); }).ok());
  const Extension extension = Extended(Grid({Point(2, 200)}, {0, 1}));
  EXPECT_EQ(extension.continued_jobs + extension.longer_jobs, 0u);
  EXPECT_EQ(Summary("small").counts.failed, 1u);
  EXPECT_EQ(Summary("small").counts.cancelled, 1u);
  EXPECT_NE(Summary("small").finished_ms, 0);
}

// The answer to a request is lost, and the sweep gets more steps before it comes again.
TEST_F(ExtendSteps, ARepeatedRequestIsNotAnsweredWithAnotherRun) {
  ASSERT_TRUE(Submit(Grid({Point(2, 100, "lr=1")}, {0})).ok());
  w_ = Register("w1");
  ASSERT_EQ(Acquire(w_, 1, "request")->leases.size(), 1u);
  ASSERT_EQ(Acquire(w_, 1, "request")->leases.size(), 1u);
  Extended(Grid({Point(2, 200)}, {0}));
  EXPECT_THAT(Acquire(w_, 1, "request")->leases, IsEmpty());
  Advance(options_.lease * 3);
  w_ = Register("w1", "i2");
  const auto grant = Acquire(w_, 1, "other");
  ASSERT_EQ(grant->leases.size(), 1u);
  RunFrom(w_, grant->leases[0].ref, 0, 200);
}

TEST_F(ExtendSteps, SeveralExtensionsInARowAddUp) {
  RunOne(Point(2));
  for (const uint32_t steps : {150u, 195u, 260u}) {
    const uint32_t from = GetJob(1).checkpoint_step;
    Extended(Grid({Point(2, steps)}, {0}));
    const uint32_t at = GetJob(1).checkpoint_step;
    EXPECT_EQ(at, steps == 260 ? 150u : from);
    RunFrom(w_, TakeOne(w_), at, steps);
    EXPECT_EQ(GetJob(1).state, JobState::kSucceeded);
  }
  EXPECT_THAT(Steps(1), ElementsAreArray(Every(10, 260)));
}

// A crash between the parts of an extension: the next start goes on with it.
TEST_F(ExtendSteps, JobsThatHaveYetToFollowDoSoAtTheNextStart) {
  RunOne(Point(2));
  const absl::Status stored = store_->RunInTransaction([](WriteTransaction& tx) -> absl::Status {
    auto groups = tx.read().ListGroups(1);
    if (!groups.ok()) return groups.status();
    groups->front().spec.steps = 200;
    const absl::Status updated = tx.UpdateGroup(groups->front());
    return updated.ok() ? tx.SetGroupContinuing(groups->front().id, true) : updated;
  });
  ASSERT_EQ(stored, absl::OkStatus());
  Restart();
  w_ = Register("w1", "i2");
  const auto grant = Acquire(w_, 1, "again", 10'000);
  ASSERT_TRUE(grant.ok()) << grant.status();
  ASSERT_EQ(grant->leases.size(), 1u);
  EXPECT_EQ(grant->leases[0].resume->step, 100u);
  Restart();
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
}

// More jobs than one part lets follow.
TEST_F(ExtendSteps, ThousandsOfJobsFollowInParts) {
  constexpr uint32_t kJobs = 4500;
  std::vector<uint32_t> seeds(kJobs);
  for (uint32_t i = 0; i < kJobs; ++i) seeds[i] = i;
  ASSERT_TRUE(Submit(Grid({Point(2)}, seeds)).ok());
  const absl::Status ended = store_->RunInTransaction([&](WriteTransaction& tx) -> absl::Status {
    for (JobId id = 1; id <= kJobs; ++id) {
      AttemptRow attempt;
      attempt.job_id = id;
      attempt.number = 1;
      attempt.steps = attempt.row_step = attempt.end_step = 100;
      absl::Status status = tx.InsertAttempt(attempt);
      if (!status.ok()) return status;
      const auto before = tx.read().GetJob(id);
      JobRow after = *before;
      after.attempt = after.attempts = 1;
      after.state = JobState::kSucceeded;
      after.step = after.best_step = after.checkpoint_step = 100;
      status = tx.UpdateJob(*before, after);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  });
  ASSERT_EQ(ended, absl::OkStatus());
  Restart();
  ASSERT_EQ(Summary("small").counts.succeeded, kJobs);
  const int before = faulty_->transactions;
  const auto result = Extend(Grid({Point(2, 200)}, seeds));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->extension.continued_jobs, kJobs);
  EXPECT_EQ(result->sweep.counts.pending, kJobs);
  EXPECT_GE(faulty_->transactions - before, 3);
  EXPECT_FALSE(Extend(Grid({Point(2, 200)}, seeds))->changed);
}

}  // namespace
}  // namespace coppice::core
