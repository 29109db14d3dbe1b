#include <gmock/gmock.h>

#include <fstream>

#include "coordinator/core/commands.h"
#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckpointsTest : public Harness {
 protected:
  void SetUp() override {
    Harness::SetUp();
    SubmitSmall(1);
    worker_ = Register("w");
    lease_ = TakeOne(worker_);
  }
  std::filesystem::path FileOf(const LeaseRef& lease, uint32_t step) {
    return std::filesystem::path(options_.checkpoint_root) / CommitOf(worker_, lease, step).path;
  }
  void WriteCheckpoint(const LeaseRef& lease, uint32_t step) {
    std::filesystem::create_directories(FileOf(lease, step).parent_path());
    std::ofstream(FileOf(lease, step)) << "weights";
  }
  void WriteAndCommit(const LeaseRef& lease, uint32_t step) {
    WriteCheckpoint(lease, step);
    ASSERT_EQ(Commit(CommitOf(worker_, lease, step)), absl::OkStatus());
  }
  std::vector<uint32_t> Listed(JobId job = 1) {
    std::vector<uint32_t> steps;
    for (const Checkpoint& checkpoint : Details(job).checkpoints) steps.push_back(checkpoint.step);
    return steps;
  }
  absl::StatusOr<std::optional<Checkpoint>> Reject(const NamedCheckpoint& checkpoint) {
    return Ask<std::optional<Checkpoint>>(
        [&](auto done) { c_->RejectCheckpoint(checkpoint, "digest differs", done); });
  }
  std::string worker_;
  LeaseRef lease_;
};

TEST_F(CheckpointsTest, ACommitMakesItCurrent) {
  Report(worker_, lease_, 0, 20);
  NamedCheckpoint commit = CommitOf(worker_, lease_, 20);
  ASSERT_EQ(Commit(commit), absl::OkStatus());
  const JobDetails details = Details(1);
  ASSERT_THAT(details.checkpoints, ::testing::SizeIs(1));
  EXPECT_EQ(details.checkpoints[0].path, commit.path);
  EXPECT_EQ(details.checkpoints[0].digest, commit.digest);
  EXPECT_EQ(details.checkpoints[0].bytes, 7u);
  EXPECT_EQ(details.checkpoints[0].attempt, lease_.attempt);
  EXPECT_EQ(details.job.checkpoint_step, 20u);
  EXPECT_EQ(details.events.back().type, EventType::kCheckpoint);
}

TEST_F(CheckpointsTest, TheSameCommitAgainIsFineAnotherOneAtItsStepIsNot) {
  Report(worker_, lease_, 0, 20);
  NamedCheckpoint commit = CommitOf(worker_, lease_, 20);
  ASSERT_EQ(Commit(commit), absl::OkStatus());
  EXPECT_EQ(Commit(commit), absl::OkStatus());
  commit.digest = std::string(32, 'b');
  EXPECT_TRUE(absl::IsFailedPrecondition(Commit(commit)));
  EXPECT_THAT(Listed(), ElementsAre(20));
}

TEST_F(CheckpointsTest, ACommitFromAnotherAttemptOrWorkerIsRefused) {
  NamedCheckpoint commit = CommitOf(worker_, {1, lease_.attempt + 1}, 0);
  EXPECT_TRUE(absl::IsAborted(Commit(commit)));
  EXPECT_TRUE(absl::IsAborted(Commit(CommitOf(Register("other"), lease_, 0))));
  EXPECT_THAT(Listed(), IsEmpty());
}

TEST_F(CheckpointsTest, PathsDigestsAndStepsAreChecked) {
  Report(worker_, lease_, 0, 20);
  const auto broken = [&](const std::function<void(NamedCheckpoint&)>& change) {
    NamedCheckpoint commit = CommitOf(worker_, lease_, 20);
    change(commit);
    return Commit(commit);
  };
  EXPECT_TRUE(absl::IsInvalidArgument(broken([](auto& c) { c.path = "/etc/passwd"; })));
  EXPECT_TRUE(absl::IsInvalidArgument(
      broken([](auto& c) { c.path = "small/1/attempt-1/../../2/step-20"; })));
  EXPECT_TRUE(
      absl::IsInvalidArgument(broken([](auto& c) { c.path = "small/1/attempt-2/step-20"; })));
  EXPECT_TRUE(
      absl::IsInvalidArgument(broken([](auto& c) { c.path = "small/1/attempt-11/step-20"; })));
  EXPECT_TRUE(absl::IsInvalidArgument(broken([](auto& c) { c.path = "small/1/attempt-1"; })));
  EXPECT_TRUE(
      absl::IsInvalidArgument(broken([](auto& c) { c.path = "other/1/attempt-1/step-20"; })));
  // Retention deletes files by these paths, so only names of checkpoints are accepted.
  for (const char* name : {"notes.txt", "deeper/step-20", "step-20~", ""}) {
    EXPECT_TRUE(absl::IsInvalidArgument(broken([&](auto& c) {
      c.path = absl::StrCat("small/1/attempt-1/", name);
    }))) << name;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(broken([](auto& c) { c.digest = "abc"; })));
  EXPECT_TRUE(absl::IsInvalidArgument(broken([](auto& c) { c.digest = std::string(32, 'A'); })));
  EXPECT_TRUE(absl::IsInvalidArgument(broken([](auto& c) { c.step = 101; })));
  EXPECT_EQ(broken([](auto&) {}), absl::OkStatus());
}

TEST_F(CheckpointsTest, ACheckpointAheadOfItsRowsIsRefused) {
  Report(worker_, lease_, 0, 10);
  EXPECT_TRUE(absl::IsFailedPrecondition(Commit(CommitOf(worker_, lease_, 30))));
  EXPECT_TRUE(absl::IsFailedPrecondition(Commit(CommitOf(worker_, lease_, 21))));
  EXPECT_EQ(Commit(CommitOf(worker_, lease_, 19)), absl::OkStatus());
}

// A checkpoint is written while training goes on.
TEST_F(CheckpointsTest, ACheckpointMayComeBehindTheRowsOfLaterStepsWhichItThenTakesBack) {
  Report(worker_, lease_, 0, 40);
  ASSERT_EQ(Commit(CommitOf(worker_, lease_, 20)), absl::OkStatus());
  EXPECT_THAT(Steps(1), ElementsAre(10, 20, 30, 40));
  ASSERT_EQ(Fail(EndOf(worker_, lease_, 43), FailureKind::kCrashed), absl::OkStatus());
  Advance(absl::Seconds(3));
  TakeOne(worker_);
  EXPECT_THAT(Steps(1), ElementsAre(10, 20));
  EXPECT_THAT(Steps(1, true), ElementsAre(30, 40));
}

// A preemption that interrupts an evaluation leaves a checkpoint at a report step without its row.
TEST_F(CheckpointsTest, ARowThatWasInterruptedComesFromTheNextAttempt) {
  Report(worker_, lease_, 0, 10);
  ASSERT_EQ(Commit(CommitOf(worker_, lease_, 20)), absl::OkStatus());
  ASSERT_EQ(Release(EndOf(worker_, lease_, 20)), absl::OkStatus());
  const LeaseRef second = TakeOne(worker_);
  EXPECT_EQ((*Append(worker_, {Row(second, 1, 20), Row(second, 2, 30)}))[0].number, 2u);
  // The second attempt fails before it has its own checkpoint, so the next one repeats the same
  // step.
  ASSERT_EQ(Fail(EndOf(worker_, second, 33), FailureKind::kCrashed), absl::OkStatus());
  Advance(absl::Seconds(3));
  const LeaseRef third = TakeOne(worker_);
  EXPECT_THAT(Steps(1), ElementsAre(10));
  EXPECT_THAT(Steps(1, true), ElementsAre(20, 30));
  uint64_t last = 0;
  for (uint32_t step = 20; step <= 100; step += 10) {
    EXPECT_EQ((*Append(worker_, {Row(third, last + 1, step)}))[0].number, last + 1);
    ++last;
  }
  ASSERT_EQ(Commit(CommitOf(worker_, third, 100)), absl::OkStatus());
  EXPECT_EQ(Complete(EndOf(worker_, third, 100)), absl::OkStatus());
  EXPECT_THAT(Steps(1), ElementsAre(10, 20, 30, 40, 50, 60, 70, 80, 90, 100));
}

TEST_F(CheckpointsTest, AnUploadIsHeldAgainstItsLeaseBeforeItBegins) {
  const auto check = [&](const NamedCheckpoint& announced) {
    return Do([&](auto done) { c_->CheckUpload(announced, done); });
  };
  const NamedCheckpoint good = CommitOf(worker_, lease_, 20);
  EXPECT_EQ(check(good), absl::OkStatus());
  NamedCheckpoint bad = good;
  bad.path = "small/2/attempt-1/step-20";
  EXPECT_TRUE(absl::IsInvalidArgument(check(bad))) << "another job's folder";
  bad.path = "anywhere/step-20";
  EXPECT_TRUE(absl::IsInvalidArgument(check(bad)));
  bad = good;
  bad.step = 101;
  EXPECT_TRUE(absl::IsInvalidArgument(check(bad)));
  bad = good;
  bad.lease.attempt += 1;
  EXPECT_TRUE(absl::IsAborted(check(bad)));
}

// The store lost an acknowledged row (its disk did). A trainer that resumes from a checkpoint after
// that row would not report it again, and the job would lack it forever.
TEST_F(CheckpointsTest, ACheckpointBehindAnAcknowledgedRowThatIsLostEndsTheAttempt) {
  const uint64_t last = Report(worker_, lease_, 0, 10);
  Restart();
  const Record behind{lease_, last + 2, RecordOf(CommitOf(worker_, lease_, 20))};
  const AttemptAnswer answer = AppendOne(worker_, behind);
  EXPECT_TRUE(answer.over);
  EXPECT_EQ(answer.number, last);
  EXPECT_EQ(GetJob(1).checkpoint_step, 0u);
  EXPECT_EQ(GetJob(1).failures, 0u);
  // By contrast, the row of the checkpoint's own step is merely due.
  const LeaseRef next = TakeOne(worker_);
  Report(worker_, next, 0, 10);
  EXPECT_EQ(Commit(CommitOf(worker_, next, 20)), absl::OkStatus());
}

TEST_F(CheckpointsTest, ACheckpointThatItsWorkerWithdrawsUsesUpItsNumberAlone) {
  const uint64_t last = Report(worker_, lease_, 0, 20);
  CheckpointRecord withdrawn = RecordOf(CommitOf(worker_, lease_, 20));
  withdrawn.left_out = "its upload failed";
  const auto answers = Append(worker_, {{lease_, last + 1, withdrawn}, Row(lease_, last + 2, 30)});
  ASSERT_TRUE(answers.ok()) << answers.status();
  EXPECT_EQ((*answers)[0].number, last + 2);
  ASSERT_THAT((*answers)[0].omissions, ::testing::SizeIs(1));
  EXPECT_EQ((*answers)[0].omissions[0].number, last + 1);
  EXPECT_EQ((*answers)[0].omissions[0].reason, "its upload failed");
  EXPECT_THAT(Listed(), IsEmpty());
  // Even so it must be of this attempt.
  withdrawn.path = "small/2/attempt-1/step-20";
  EXPECT_TRUE(absl::IsInvalidArgument(Take(worker_, {lease_, last + 3, withdrawn})));
}

TEST_F(CheckpointsTest, ARowThatTheCheckpointHasIsNotTakenTwice) {
  Report(worker_, lease_, 0, 20);
  ASSERT_EQ(Commit(CommitOf(worker_, lease_, 20)), absl::OkStatus());
  ASSERT_EQ(Release(EndOf(worker_, lease_, 20)), absl::OkStatus());
  const auto answers = Append(worker_, {Row(TakeOne(worker_), 1, 20)});
  EXPECT_THAT(std::string((*answers)[0].refusal.message()), HasSubstr("outside"));
}

TEST_F(CheckpointsTest, ALastRowThatWasInterruptedHoldsUpTheCompletion) {
  Report(worker_, lease_, 0, 90);
  ASSERT_EQ(Commit(CommitOf(worker_, lease_, 100)), absl::OkStatus());
  EXPECT_TRUE(absl::IsFailedPrecondition(Complete(EndOf(worker_, lease_, 100))));
  ASSERT_EQ(Release(EndOf(worker_, lease_, 100)), absl::OkStatus());
  const LeaseRef second = TakeOne(worker_);
  EXPECT_EQ((*Append(worker_, {Row(second, 1, 100)}))[0].number, 1u);
  EXPECT_EQ(Complete(EndOf(worker_, second, 100)), absl::OkStatus());
}

TEST_F(CheckpointsTest, TheNewestTwoAreKeptAndTheFilesOfOthersGo) {
  Report(worker_, lease_, 0, 100);
  for (uint32_t step = 20; step <= 80; step += 20) WriteAndCommit(lease_, step);
  EXPECT_THAT(Listed(), ElementsAre(80, 60));
  Close();  // waits for the deletions
  EXPECT_FALSE(std::filesystem::exists(FileOf(lease_, 20)));
  EXPECT_FALSE(std::filesystem::exists(FileOf(lease_, 40)));
  EXPECT_TRUE(std::filesystem::exists(FileOf(lease_, 60)));
  EXPECT_TRUE(std::filesystem::exists(FileOf(lease_, 80)));
}

TEST_F(CheckpointsTest, RetentionRemovesNothingThroughALink) {
  namespace fs = std::filesystem;
  const fs::path outside = dir_ / "outside";
  Report(worker_, lease_, 0, 60);
  for (const uint32_t step : {20, 40}) WriteAndCommit(lease_, step);
  fs::rename(FileOf(lease_, 20).parent_path(), outside);
  fs::create_directory_symlink(outside, FileOf(lease_, 20).parent_path());
  ASSERT_EQ(Commit(CommitOf(worker_, lease_, 60)), absl::OkStatus());
  EXPECT_THAT(Listed(), ElementsAre(60, 40));
  Close();  // waits for the deletions
  EXPECT_TRUE(fs::exists(outside / FileOf(lease_, 20).filename()));
}

TEST_F(CheckpointsTest, MultiplesOfKeepEveryStay) {
  GroupSpec group = Group("tense", 2);
  group.keep = 1;
  group.keep_every = 40;
  ASSERT_TRUE(Submit(Spec("keeper", {group}, 1)).ok());
  const LeaseRef lease = TakeOne(worker_);
  Report(worker_, lease, 0, 100);
  for (uint32_t step = 20; step <= 100; step += 20) {
    ASSERT_EQ(Commit(CommitOf(worker_, lease, step, "keeper")), absl::OkStatus());
  }
  EXPECT_THAT(Listed(lease.job_id), ElementsAre(100, 80, 40));
}

TEST_F(CheckpointsTest, AFailedCommitRemovesNoFile) {
  Report(worker_, lease_, 0, 100);
  for (const uint32_t step : {20u, 40u}) WriteAndCommit(lease_, step);
  WriteCheckpoint(lease_, 60);
  faulty_->fail_commits = true;
  EXPECT_TRUE(absl::IsResourceExhausted(Commit(CommitOf(worker_, lease_, 60))));
  faulty_->fail_commits = false;
  EXPECT_THAT(Listed(), ElementsAre(40, 20));
  Close();
  EXPECT_TRUE(std::filesystem::exists(FileOf(lease_, 20)));
}

TEST_F(CheckpointsTest, AFileThatACrashLeftBehindIsRemovedAtTheNextStart) {
  Report(worker_, lease_, 0, 100);
  for (const uint32_t step : {20u, 40u, 60u}) WriteAndCommit(lease_, step);
  Close();
  WriteCheckpoint(lease_, 20);  // as if the process had died before the deletion
  Open();
  Close();
  EXPECT_FALSE(std::filesystem::exists(FileOf(lease_, 20)));
  EXPECT_TRUE(std::filesystem::exists(FileOf(lease_, 40)));
}

TEST_F(CheckpointsTest, ALateResendOfAnOvertakenCommitChangesNothing) {
  Report(worker_, lease_, 0, 100);
  for (const uint32_t step : {20u, 40u, 60u}) WriteAndCommit(lease_, step);
  EXPECT_EQ(Commit(CommitOf(worker_, lease_, 20)), absl::OkStatus());
  EXPECT_THAT(Listed(), ElementsAre(60, 40));
  EXPECT_EQ(GetJob(1).checkpoint_step, 60u);
}

TEST_F(CheckpointsTest, ARejectedCheckpointFallsBackToTheOneBefore) {
  Report(worker_, lease_, 0, 50);
  for (const uint32_t step : {20u, 40u})
    ASSERT_EQ(Commit(CommitOf(worker_, lease_, step)), absl::OkStatus());
  ASSERT_EQ(Release(EndOf(worker_, lease_, 40)), absl::OkStatus());
  const LeaseRef next = TakeOne(worker_);
  NamedCheckpoint bad = CommitOf(worker_, lease_, 40);
  bad.lease = next;
  const auto fallback = Reject(bad);
  ASSERT_TRUE(fallback.ok()) << fallback.status();
  ASSERT_TRUE(fallback->has_value());
  EXPECT_EQ((*fallback)->step, 20u);
  EXPECT_THAT(Steps(1), ElementsAre(10, 20));
  EXPECT_THAT(Steps(1, true), ElementsAre(30, 40, 50));
  EXPECT_EQ(GetJob(1).checkpoint_step, 20u);
  EXPECT_EQ(Details(1).events.back().type, EventType::kCheckpointRejected);
  EXPECT_THAT(Details(1).events.back().message, HasSubstr("digest differs"));
  // A repeated rejection gets the same answer. An unknown checkpoint is an error.
  EXPECT_EQ((*Reject(bad))->step, 20u);
  bad.step = 33;
  EXPECT_TRUE(absl::IsNotFound(Reject(bad).status()));
  // The attempt continues from there, past the bad checkpoint's step.
  RunToEnd(worker_, next, 20);
  EXPECT_THAT(Steps(1), ElementsAre(10, 20, 30, 40, 50, 60, 70, 80, 90, 100));
}

TEST_F(CheckpointsTest, WithoutAnotherCheckpointTheJobStartsOver) {
  Report(worker_, lease_, 0, 20);
  ASSERT_EQ(Commit(CommitOf(worker_, lease_, 20)), absl::OkStatus());
  ASSERT_EQ(Release(EndOf(worker_, lease_, 20)), absl::OkStatus());
  const LeaseRef next = TakeOne(worker_);
  NamedCheckpoint bad = CommitOf(worker_, lease_, 20);
  bad.lease = next;
  const auto fallback = Reject(bad);
  ASSERT_TRUE(fallback.ok());
  EXPECT_FALSE(fallback->has_value());
  EXPECT_EQ(GetJob(1).step, 0u);
  EXPECT_THAT(Steps(1), IsEmpty());
  RunToEnd(worker_, next);
  EXPECT_EQ(GetJob(1).state, JobState::kSucceeded);
}

// Found by removing the last acknowledged commit from the database. A trainer that the worker
// started at an earlier step reports steps that this attempt cannot have, and nobody is to blame
// for that.
TEST_F(CheckpointsTest, ARejectionThatTheDatabaseHasLostEndsTheAttemptUncharged) {
  Report(worker_, lease_, 0, 50);
  for (const uint32_t step : {20u, 40u})
    ASSERT_EQ(Commit(CommitOf(worker_, lease_, step)), absl::OkStatus());
  ASSERT_EQ(Release(EndOf(worker_, lease_, 40)), absl::OkStatus());
  const auto start = [](const LeaseRef& lease, uint32_t step) {
    return Record{lease, 1, TrainerStart{"{}", step}};
  };
  const LeaseRef next = TakeOne(worker_);
  const AttemptAnswer early = AppendOne(worker_, start(next, 20));
  EXPECT_TRUE(early.over);
  EXPECT_EQ(early.refusal, absl::OkStatus());
  const Job job = GetJob(1);
  EXPECT_EQ(job.state, JobState::kPending);
  EXPECT_EQ(job.failures, 0u);
  EXPECT_THAT(job.reason, ::testing::StartsWith(kReportsMissing));
  EXPECT_THAT(job.reason, HasSubstr("started at step 20, the attempt at step 40"));
  EXPECT_THAT(Steps(1), ElementsAre(10, 20, 30, 40));
  // The next attempt starts at its given step.
  const LeaseRef third = TakeOne(worker_);
  const AttemptAnswer right = AppendOne(worker_, start(third, 40));
  EXPECT_FALSE(right.over);
  EXPECT_EQ(right.number, 1u);
}

// Conversely, a start is compared with the step to which a rejection has moved the attempt.
TEST_F(CheckpointsTest, ATrainerMayStartWhereARejectionLeads) {
  Report(worker_, lease_, 0, 50);
  for (const uint32_t step : {20u, 40u})
    ASSERT_EQ(Commit(CommitOf(worker_, lease_, step)), absl::OkStatus());
  ASSERT_EQ(Release(EndOf(worker_, lease_, 40)), absl::OkStatus());
  NamedCheckpoint bad = CommitOf(worker_, lease_, 40);
  bad.lease = TakeOne(worker_);
  ASSERT_TRUE(Reject(bad).ok());
  EXPECT_FALSE(AppendOne(worker_, {bad.lease, 1, TrainerStart{"{}", 20}}).over);
}

TEST_F(CheckpointsTest, RejectingAnOlderCheckpointLeavesTheCurrentOneAndItsRows) {
  Report(worker_, lease_, 0, 50);
  for (const uint32_t step : {20u, 40u})
    ASSERT_EQ(Commit(CommitOf(worker_, lease_, step)), absl::OkStatus());
  const auto current = Reject(CommitOf(worker_, lease_, 20));
  ASSERT_TRUE(current.ok());
  EXPECT_EQ((*current)->step, 40u);
  EXPECT_THAT(Steps(1), ElementsAre(10, 20, 30, 40, 50));
  EXPECT_THAT(Listed(), ElementsAre(40));
}

}  // namespace
}  // namespace coppice::core
