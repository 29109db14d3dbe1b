// A sweep from its submission through a failure and a resume to its end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "tests/coordinator/service/full_fixture.h"

namespace coppice::service {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// The steps of the test, in their order. Each goes on where the one before it ended.
class WholeSweep : public Full {
 protected:
  // A plan stores nothing. The same sweep again is the same sweep.
  void SubmitTwice() {
    v1::SubmitSweepRequest submit;
    *submit.mutable_spec() = Spec("s");
    submit.set_dry_run(true);
    v1::SubmitSweepResponse submitted;
    CALL_OK(sweeps_, SubmitSweep, submit, &submitted);
    EXPECT_EQ(submitted.plan().jobs(), 2u);
    EXPECT_FALSE(submitted.has_sweep());
    v1::ListSweepsResponse list;
    CALL_OK(sweeps_, ListSweeps, {}, &list);
    EXPECT_EQ(list.sweeps_size(), 0) << "a dry run stores nothing";
    submit.set_dry_run(false);
    CALL_OK(sweeps_, SubmitSweep, submit, &submitted);
    EXPECT_TRUE(submitted.created());
    CALL_OK(sweeps_, SubmitSweep, submit, &submitted);
    EXPECT_FALSE(submitted.created());
  }
  // Another order and a default written out mean the same. Another setting is refused.
  void SubmitAnotherSpec() {
    v1::SubmitSweepRequest submit;
    *submit.mutable_spec() = Spec("s");
    v1::SubmitSweepResponse submitted;
    std::swap(*submit.mutable_spec()->mutable_seeds()->Mutable(0),
              *submit.mutable_spec()->mutable_seeds()->Mutable(1));
    submit.mutable_spec()->mutable_model()->set_heads(8);
    CALL_OK(sweeps_, SubmitSweep, submit, &submitted);
    EXPECT_FALSE(submitted.created()) << "another order and a default written out mean the same";
    submit.set_dry_run(true);
    CALL_OK(sweeps_, SubmitSweep, submit, &submitted);
    EXPECT_TRUE(submitted.exists());
    EXPECT_EQ(submitted.differences_size(), 0) << "also to a dry run";
    submit.mutable_spec()->mutable_train()->set_steps(30);
    CALL_OK(sweeps_, SubmitSweep, submit, &submitted);
    ASSERT_EQ(submitted.differences_size(), 1);
    EXPECT_TRUE(absl::StrContains(submitted.differences(0), "train.steps is "));
    submit.set_dry_run(false);
    {
      CallContext context;
      const grpc::Status status = sweeps_->SubmitSweep(&context, submit, &submitted);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
      EXPECT_TRUE(absl::StrContains(status.error_message(), "train.steps is "))
          << status.error_message();
    }
  }
  // The sweep is stored once, as it was submitted.
  void ReadBack() {
    v1::ListSweepsResponse list;
    CALL_OK(sweeps_, ListSweeps, {}, &list);
    ASSERT_EQ(list.sweeps_size(), 1);
    v1::GetSweepRequest get;
    get.set_name("s");
    v1::GetSweepResponse sweep;
    CALL_OK(sweeps_, GetSweep, get, &sweep);
    EXPECT_EQ(sweep.spec().SerializeAsString(), Spec("s").SerializeAsString());
    ASSERT_EQ(sweep.groups_size(), 1);
    EXPECT_EQ(sweep.groups(0).run().train().steps(), 20u);
  }
  // Pages of one job.
  void ListInPages() {
    v1::ListJobsRequest jobs;
    jobs.mutable_filter()->set_sweep("s");
    jobs.set_page_size(1);
    v1::ListJobsResponse page;
    CALL_OK(sweeps_, ListJobs, jobs, &page);
    ASSERT_EQ(page.jobs_size(), 1);
    first_ = page.jobs(0).id();
    ASSERT_NE(page.next_page_token(), "");
    jobs.set_page_token(page.next_page_token());
    CALL_OK(sweeps_, ListJobs, jobs, &page);
    ASSERT_EQ(page.jobs_size(), 1);
    EXPECT_NE(page.jobs(0).id(), first_);
    EXPECT_EQ(page.next_page_token(), "");
  }
  // One client watches to the end, another follows a log.
  void WatchAndFollow() {
    watched_ = std::async(std::launch::async, [this] {
      CallContext context;
      v1::WatchSweepRequest request;
      request.set_name("s");
      auto reader = sweeps_->WatchSweep(&context, request);
      std::vector<v1::WatchSweepResponse> events;
      v1::WatchSweepResponse event;
      while (reader->Read(&event)) events.push_back(event);
      EXPECT_TRUE(reader->Finish().ok());
      return events;
    });
    followed_ = std::async(std::launch::async, [this] {
      CallContext context;
      v1::GetLogsRequest request;
      request.set_job_id(first_);
      request.set_follow(true);
      auto reader = sweeps_->GetLogs(&context, request);
      std::string text;
      v1::GetLogsResponse part;
      while (reader->Read(&part)) text += part.text();
      EXPECT_TRUE(reader->Finish().ok());
      return text;
    });
  }
  // Two seeds come in one pack. A repeated request gets the same leases.
  void TakeLeases() {
    Register();
    const v1::AcquireLeasesResponse grant = Acquire("r1");
    ASSERT_EQ(grant.leases_size(), 2);
    EXPECT_TRUE(absl::StrContains(grant.run_json(), "\"steps\":20,")) << grant.run_json();
    EXPECT_FALSE(grant.leases(0).has_resume());
    const v1::AcquireLeasesResponse again = Acquire("r1");
    ASSERT_EQ(again.leases_size(), 2);
    EXPECT_EQ(again.leases(0).lease().attempt(), grant.leases(0).lease().attempt());
    EXPECT_EQ(Acquire("r2").leases_size(), 0);
    one_ = grant.leases(0);
    two_ = grant.leases(1);
  }
  // A stale lease is stopped.
  void Heartbeat() {
    v1::HeartbeatRequest heartbeat;
    heartbeat.set_worker_id(worker_id_);
    *heartbeat.add_held()->mutable_lease() = one_.lease();
    v1::LeaseRef* const stale = heartbeat.add_held()->mutable_lease();
    *stale = two_.lease();
    stale->set_attempt(99);
    v1::HeartbeatResponse directives;
    CALL_OK(workers_, Heartbeat, heartbeat, &directives);
    ASSERT_EQ(directives.directives_size(), 2);
    EXPECT_EQ(directives.directives(0).action(), v1::Directive::CONTINUE);
    EXPECT_EQ(directives.directives(1).action(), v1::Directive::STOP);
  }
  // The first job reports, and its checkpoint is uploaded.
  void ReportTheFirst() {
    v1::AttemptRecord start;
    start.mutable_start()->set_provenance("{\"device\":\"cpu\"}");
    const std::vector<v1::AttemptRecord> records = {start, LogRecord("hello\n"), RowRecord(10, 0.5),
                                                    RowRecord(20, 0.25)};
    EXPECT_EQ(Send(one_.lease(), 1, records).number(), 4u);
    EXPECT_EQ(Send(one_.lease(), 2, {LogRecord("hello\n"), RowRecord(10, 0.5)}).number(), 4u)
        << "what comes twice is acknowledged, not stored";
    const std::string content(2'500'000, 'k');
    const v1::CheckpointRecord checkpoint = CheckpointOf(one_, 20, content);
    EXPECT_EQ(Upload(one_.lease(), checkpoint, content), absl::OkStatus());
    EXPECT_EQ(Job(first_).checkpoints_size(), 0) << "its record makes it the job's checkpoint";
    EXPECT_EQ(Send(one_.lease(), 5, {RecordOf(checkpoint)}).number(), 5u);
    std::string downloaded;
    EXPECT_EQ(Download(one_.lease(), checkpoint.path(), &downloaded), absl::OkStatus());
    EXPECT_EQ(downloaded, content);
  }
  // An end behind a missing record is refused.
  void CompleteTheFirst() {
    const v1::AttemptAnswer gap = Send(one_.lease(), 7, {CompletionRecord(20)});
    EXPECT_EQ(gap.refusal().code(), static_cast<uint32_t>(absl::StatusCode::kInvalidArgument))
        << "a record is missing, and this coordinator granted the lease: the worker errs";
    EXPECT_FALSE(gap.over());
    for (int i = 0; i < 2; ++i) {  // the second time it is sent again
      const v1::AttemptAnswer end = Send(one_.lease(), 6, {CompletionRecord(20)});
      EXPECT_EQ(end.number(), 6u);
      EXPECT_TRUE(end.over());
    }
    EXPECT_EQ(followed_.get(), "hello\n");
  }
  // The second job commits a checkpoint on a shared filesystem, then diverges.
  void FailTheSecond() {
    const v1::AttemptAnswer end =
        Send(two_.lease(), 1,
             {RowRecord(10, 0.5), Write(CheckpointOf(two_, 10, "ten"), "ten"),
              FailureRecord(15, "nan", "the loss is not finite")});
    EXPECT_EQ(end.number(), 3u);
    EXPECT_EQ(end.omissions_size(), 0);
    v1::GetJobResponse job = Job(two_.lease().job_id());
    EXPECT_EQ(job.job().state(), v1::FAILED);
    EXPECT_THAT(job.job().reason(), HasSubstr("not finite"));
    ASSERT_EQ(job.attempts_size(), 1);
    EXPECT_EQ(job.attempts(0).outcome(), "failed");
    EXPECT_EQ(job.checkpoints_size(), 1);
    EXPECT_THAT(job.events(), SizeIs(::testing::Ge(4)));
    v1::ExplainJobRequest explain;
    explain.set_job_id(two_.lease().job_id());
    v1::ExplainJobResponse why;
    CALL_OK(sweeps_, ExplainJob, explain, &why);
    EXPECT_GT(why.reasons_size(), 0);
  }
  // Every job has ended, so the watch has too.
  void SeeTheEnd() {
    const std::vector<v1::WatchSweepResponse> events = watched_.get();
    ASSERT_GE(events.size(), 2u);
    EXPECT_TRUE(events.front().has_summary());
    ASSERT_TRUE(events.back().has_summary());
    EXPECT_EQ(events.back().summary().counts().succeeded(), 1u);
    EXPECT_EQ(events.back().summary().counts().failed(), 1u);
    EXPECT_NE(events.back().summary().finished_ms(), 0);
  }
  // The job is retried, released and granted again, each time from the checkpoint and with a higher
  // attempt number.
  void ResumeTwice() {
    v1::RetryJobsRequest retry;
    retry.mutable_filter()->set_sweep("s");
    v1::RetryJobsResponse retried;
    CALL_OK(sweeps_, RetryJobs, retry, &retried);
    EXPECT_EQ(retried.retried(), 1u);
    v1::AcquireLeasesResponse grant = Acquire("r3", 30'000);
    ASSERT_EQ(grant.leases_size(), 1);
    EXPECT_EQ(grant.leases(0).lease().attempt(), two_.lease().attempt() + 1);
    EXPECT_EQ(grant.leases(0).resume().step(), 10u);
    EXPECT_EQ(grant.leases(0).resume().path(), CheckpointOf(two_, 10, "").path());
    EXPECT_TRUE(Send(grant.leases(0).lease(), 1, {PreemptedRecord(10, "SIGTERM")}).over());
    grant = Acquire("r4", 30'000);
    ASSERT_EQ(grant.leases_size(), 1);
    third_ = grant.leases(0);
  }
  // The checkpoint is unreadable, so the job goes back to the start.
  void StartAgain() {
    auto reject = Of<v1::RejectCheckpointRequest>(third_.lease(), 10);
    reject.set_path(third_.resume().path());
    reject.set_reason("digest");
    v1::RejectCheckpointResponse resume;
    CALL_OK(workers_, RejectCheckpoint, reject, &resume);
    EXPECT_FALSE(resume.has_resume());
    const v1::AttemptAnswer end =
        Send(third_.lease(), 1,
             {RowRecord(10, 0.75), RowRecord(20, 0.5),
              Write(CheckpointOf(third_, 20, "twenty"), "twenty"), CompletionRecord(20)});
    EXPECT_EQ(end.number(), 4u);
    v1::GetSweepRequest get;
    get.set_name("s");
    v1::GetSweepResponse sweep;
    CALL_OK(sweeps_, GetSweep, get, &sweep);
    EXPECT_EQ(sweep.sweep().counts().succeeded(), 2u);
    EXPECT_EQ(Job(third_.lease().job_id()).attempts_size(), 3);
  }
  // The rows before the new start are archived.
  void ReadMetrics() {
    const std::vector<v1::JobMetrics> visible = Metrics("s", false);
    ASSERT_EQ(visible.size(), 4u);
    for (const v1::JobMetrics& row : visible) EXPECT_FALSE(row.archived());
    EXPECT_EQ(visible[2].row().values(0).value(), 0.75);
    EXPECT_EQ(Metrics("s", true).size(), 5u);
    v1::ListJobsRequest jobs;
    jobs.mutable_filter()->set_sweep("s");
    jobs.set_with_latest(true);
    v1::ListJobsResponse page;
    CALL_OK(sweeps_, ListJobs, jobs, &page);
    ASSERT_EQ(page.jobs(0).latest_size(), 1);
    EXPECT_EQ(page.jobs(0).latest(0).value(), 0.25);
  }

  uint64_t first_ = 0;  // the id of the first job
  std::future<std::vector<v1::WatchSweepResponse>> watched_;
  std::future<std::string> followed_;
  v1::Lease one_, two_;  // the first attempts
  v1::Lease third_;      // the second job's last attempt
};

TEST_F(WholeSweep, ASweepGoesFromSubmissionThroughFailureAndResumeToItsEnd) {
  ASSERT_NO_FATAL_FAILURE(SubmitTwice());
  ASSERT_NO_FATAL_FAILURE(SubmitAnotherSpec());
  ASSERT_NO_FATAL_FAILURE(ReadBack());
  ASSERT_NO_FATAL_FAILURE(ListInPages());
  ASSERT_NO_FATAL_FAILURE(WatchAndFollow());
  ASSERT_NO_FATAL_FAILURE(TakeLeases());
  ASSERT_NO_FATAL_FAILURE(Heartbeat());
  ASSERT_NO_FATAL_FAILURE(ReportTheFirst());
  ASSERT_NO_FATAL_FAILURE(CompleteTheFirst());
  ASSERT_NO_FATAL_FAILURE(FailTheSecond());
  ASSERT_NO_FATAL_FAILURE(SeeTheEnd());
  ASSERT_NO_FATAL_FAILURE(ResumeTwice());
  ASSERT_NO_FATAL_FAILURE(StartAgain());
  ASSERT_NO_FATAL_FAILURE(ReadMetrics());
}

}  // namespace
}  // namespace coppice::service
