#include <gmock/gmock.h>

#include "absl/strings/str_join.h"
#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ExplainTest : public Harness {
 protected:
  std::string Why(JobId id) {
    const auto explanation = Ask<Explanation>([&](auto done) { c_->ExplainJob({}, id, done); });
    EXPECT_TRUE(explanation.ok()) << explanation.status();
    if (!explanation.ok()) return "";
    EXPECT_FALSE(explanation->reasons.empty());
    EXPECT_EQ(explanation->job.id, id);
    return absl::StrJoin(explanation->reasons, "\n");
  }
};

TEST_F(ExplainTest, WaitingWithoutWorkers) {
  SubmitSmall(1);
  EXPECT_THAT(Why(1), HasSubstr("No worker is connected"));
}

TEST_F(ExplainTest, WaitingWhileEveryWorkerDrains) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  Beat(worker, {}, true).IgnoreError();
  EXPECT_THAT(Why(1), HasSubstr("draining"));
}

TEST_F(ExplainTest, WaitingBehindOtherJobs) {
  ASSERT_TRUE(Submit(Spec("long", {Group("dyck", 8, 10)}, 3)).ok());
  SweepSpec urgent = Spec("urgent", {Group("dyck", 2, 1)}, 2);
  urgent.priority = 5;
  ASSERT_TRUE(Submit(urgent).ok());
  ASSERT_TRUE(Submit(Spec("small", {Group("dyck", 2, 1)}, 2)).ok());
  Register("w");
  EXPECT_THAT(Why(6), AllOf(HasSubstr("About 2 jobs of higher priority"),
                            HasSubstr("About 3 jobs of the same")));
  EXPECT_THAT(Why(4), HasSubstr("among the next"));
}

TEST_F(ExplainTest, APausedSweep) {
  SubmitSmall(2);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  Ask<SweepSummary>([&](auto done) { c_->SetPaused({}, "small", true, done); }).IgnoreError();
  EXPECT_THAT(Why(2), HasSubstr("paused"));
  EXPECT_THAT(Why(lease.job_id), AllOf(HasSubstr("It runs on w"), HasSubstr("paused")));
}

TEST_F(ExplainTest, ABackoffAfterAFailure) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  ASSERT_EQ(Fail(EndOf(worker, TakeOne(worker), 4), FailureKind::kCrashed), absl::OkStatus());
  EXPECT_THAT(Why(1),
              AllOf(HasSubstr("waits until"), HasSubstr("crashed: it broke"), HasSubstr("1 time"),
                    HasSubstr("3 end it"), Not(HasSubstr("among the next"))));
}

TEST_F(ExplainTest, ARunningJobAndASilentWorker) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  Beat(worker, {Held(lease, 42, 7.5)}).IgnoreError();
  Advance(absl::Seconds(5));
  EXPECT_THAT(Why(1), AllOf(HasSubstr("step 42 of 100"), HasSubstr("7.5 steps a second"),
                            HasSubstr("renewed 5s ago")));
  Advance(absl::Seconds(30));
  EXPECT_THAT(Why(1), AllOf(HasSubstr("last heard of 35s ago"), HasSubstr("ends in 25s")));
}

TEST_F(ExplainTest, ARunningJobNamesTheAllocationOfItsWorker) {
  SubmitSmall(1);
  WorkerInfo info;
  info.name = "hpc-120_4-0";
  info.instance = "i1";
  info.slots = 1;
  info.allocation.system = "slurm";
  info.allocation.job_id = "120_4";
  info.allocation.node = "n3";
  info.allocation.partition = "low";
  info.incarnation = RegisterOnce(info, {})->incarnation;
  const LeaseRef lease = TakeOne(RegisterOnce(info, {})->worker_id);
  EXPECT_THAT(Why(lease.job_id),
              HasSubstr("It runs on hpc-120_4-0 (Slurm job 120_4 on node n3 in partition low, "
                        "attempt 1) at step"));
}

TEST_F(ExplainTest, ATrainerThatHangsIsNamedWithItsSilenceAndItsLimit) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  HeldLease held = Held(TakeOne(worker), 42, 602);
  held.stall_ms = 600'000;
  Beat(worker, {held}).IgnoreError();
  EXPECT_THAT(Why(1), AllOf(HasSubstr("602 steps a second"), Not(HasSubstr("no report"))));
  EXPECT_EQ(Summary("small").silent_jobs, 0u);
  for (int seconds = 10; seconds <= 100; seconds += 10) {
    Advance(absl::Seconds(10));
    held.silent_ms = static_cast<uint64_t>(seconds) * 1000;
    held.steps_per_second = 602 * 2.0 / seconds;
    Beat(worker, {held}).IgnoreError();
  }
  EXPECT_THAT(Why(1), AllOf(HasSubstr("no report for 100 s"), HasSubstr("12 steps a second"),
                            HasSubstr("After 10m without")));
  const SweepSummary summary = Summary("small");
  EXPECT_EQ(summary.silent_jobs, 1u);
  EXPECT_EQ(summary.silent_seconds, 100u);
  EXPECT_LT(summary.seed_steps_per_second, 13);
  EXPECT_EQ(GetJob(1).silent_seconds, 100u);
}

TEST_F(ExplainTest, JobsThatHaveEnded) {
  SubmitSmall(3);
  const std::string worker = Register("w");
  RunToEnd(worker, TakeOne(worker));
  ASSERT_EQ(Fail(EndOf(worker, TakeOne(worker), 4), FailureKind::kNan), absl::OkStatus());
  Ask<uint64_t>([&](auto done) { c_->CancelJobs({}, Whole("small"), done); }).IgnoreError();
  EXPECT_THAT(Why(1), HasSubstr("succeeded"));
  EXPECT_THAT(Why(2),
              AllOf(HasSubstr("failed for good"), HasSubstr("nan"), HasSubstr("coppice retry")));
  EXPECT_THAT(Why(3), AllOf(HasSubstr("cancelled"), HasSubstr("coppice retry")));
}

}  // namespace
}  // namespace coppice::core
