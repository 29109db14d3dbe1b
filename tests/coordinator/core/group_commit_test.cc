#include <gmock/gmock.h>

#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class GroupCommitTest : public Harness {
 protected:
  // Opens the coordinator on a store whose transactions wait for `gate_`.
  void OpenBehindGate() {
    Close();
    auto store = store::OpenSqliteStore({dir_ / "coppice.db", 2, 0});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    faulty_ = std::make_unique<FaultyStore>(store_.get());
    faulty_->gate = &gate_;
    c_ = *Coordinator::Open(faulty_.get(), &clock_, options_);
  }
  absl::Notification gate_;
};

TEST_F(GroupCommitTest, CommandsThatWaitShareATransactionAndOneFailureSpoilsNoOther) {
  OpenBehindGate();
  std::vector<Answer<SubmitResult>> answers(40);
  std::vector<Answer<Worker>> failing(answers.size());
  for (size_t i = 0; i < answers.size(); ++i) {
    c_->SubmitSweep({}, Spec(absl::StrCat("s", i), {Group("dyck", 2)}, 2), 0, answers[i].done());
    c_->DrainWorker({}, "nobody", false, false, failing[i].done());
  }
  gate_.Notify();
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto result = answers[i].Wait();
    EXPECT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(absl::IsNotFound(failing[i].Wait().status())) << i;
  }
  EXPECT_LE(faulty_->transactions, 3) << "80 commands were to share their commits";
  EXPECT_THAT(*Ask<std::vector<SweepSummary>>([&](auto done) { c_->ListSweeps({}, done); }),
              SizeIs(40));
}

TEST_F(GroupCommitTest, AFailedCommitFailsEveryCommandAndChangesNothingInMemory) {
  SubmitSmall(2);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  Report(worker, lease, 0, 10);
  faulty_->fail_commits = true;
  EXPECT_TRUE(absl::IsResourceExhausted(Submit(Spec("other", {Group("dyck", 2)}, 2)).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(Append(worker, {Row(lease, 2, 20)}).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(Commit(CommitOf(worker, lease, 10))));
  EXPECT_TRUE(absl::IsResourceExhausted(Fail(EndOf(worker, lease, 10), FailureKind::kCrashed)));
  EXPECT_TRUE(absl::IsResourceExhausted(Release(EndOf(worker, lease, 10))));
  EXPECT_TRUE(absl::IsResourceExhausted(Acquire(worker, 1, "r").status()));
  EXPECT_TRUE(absl::IsResourceExhausted(
      Ask<uint64_t>([&](auto done) { c_->CancelJobs({}, Whole("small"), done); }).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(
      Ask<SweepSummary>([&](auto done) { c_->SetPaused({}, "small", true, done); }).status()));
  faulty_->fail_commits = false;

  EXPECT_THAT(*Ask<std::vector<SweepSummary>>([&](auto done) { c_->ListSweeps({}, done); }),
              SizeIs(1));
  EXPECT_TRUE(absl::IsNotFound(c_->WatchSweep("other", [](const SweepChange&) {}).status()));
  EXPECT_EQ(GetJob(lease.job_id).state, JobState::kRunning);
  EXPECT_EQ(GetJob(lease.job_id).failures, 0u);
  EXPECT_EQ(GetJob(lease.job_id).step, 10u);
  EXPECT_EQ(Workers()[0].running_jobs, 1u);
  // The lease stands, the job that was not granted is still available, and work continues.
  EXPECT_EQ(Beat(worker, {Held(lease)})->directives[0].action, DirectiveAction::kContinue);
  const LeaseRef second = TakeOne(worker);
  EXPECT_NE(second.job_id, lease.job_id);
  EXPECT_EQ(second.attempt, 1u);
  RunToEnd(worker, second);
}

TEST_F(GroupCommitTest, ALeaseThatCouldNotBeEndedIsEndedWhenTheStoreWorksAgain) {
  SubmitSmall(1);
  TakeOne(Register("w"));
  faulty_->fail_commits = true;
  clock_.Advance(absl::Seconds(61));
  EXPECT_FALSE(Ask<std::vector<Worker>>([&](auto done) { c_->ListWorkers({}, done); }).ok());
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
  faulty_->fail_commits = false;
  Advance(absl::Seconds(2));
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
}

TEST_F(GroupCommitTest, WhyNamesAFullDiskUntilSomethingWasWrittenAgain) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const auto first_reason = [&] {
    return Ask<Explanation>([&](auto done) { c_->ExplainJob({}, 1, done); })->reasons[0];
  };
  EXPECT_THAT(first_reason(), Not(HasSubstr("disk")));
  faulty_->fail_commits = true;
  EXPECT_FALSE(Submit(Spec("other", {Group("dyck", 2)}, 2)).ok());
  faulty_->fail_commits = false;
  // A query changes nothing, so its commit proves nothing.
  EXPECT_THAT(first_reason(), HasSubstr("disk of its database is full"));
  EXPECT_THAT(first_reason(), HasSubstr("free some space"));
  TakeOne(worker);
  EXPECT_THAT(first_reason(), Not(HasSubstr("disk")));
}

TEST_F(GroupCommitTest, AFullQueueRefusesMore) {
  options_.max_queued_commands = 10;
  OpenBehindGate();
  std::vector<Answer<std::vector<Worker>>> answers(600);
  for (auto& answer : answers) c_->ListWorkers({}, answer.done());
  // The refusals arrive while the store still hangs.
  EXPECT_TRUE(absl::IsResourceExhausted(answers.back().Wait().status()));
  gate_.Notify();
  size_t served = 0;
  for (auto& answer : answers) served += answer.Wait().ok() ? 1 : 0;
  EXPECT_GE(served, 10u);
  EXPECT_LT(served, 600u);
}

TEST_F(GroupCommitTest, ShutdownFinishesWhatIsQueued) {
  OpenBehindGate();
  Answer<SubmitResult> answer;
  c_->SubmitSweep({}, Spec("late", {Group("dyck", 2)}, 1), 0, answer.done());
  gate_.Notify();
  c_->Shutdown();
  EXPECT_TRUE(answer.Wait().ok());
  Restart();
  EXPECT_EQ(Summary("late").counts.pending, 1u);
}

}  // namespace
}  // namespace coppice::core
