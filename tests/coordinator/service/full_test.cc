// The real core on a real database file behind a real server, through real stubs.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <future>
#include <thread>

#include "absl/strings/match.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/rpc/status.h"
#include "coordinator/service/checkpoint_files.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/coordinator/service/served.h"

namespace coppice::service {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Calls one unary method and fails the test unless it is OK.
#define CALL_OK(stub, method, request, response)                             \
  do {                                                                       \
    CallContext context_;                                                    \
    const grpc::Status status_ = stub->method(&context_, request, response); \
    ASSERT_TRUE(status_.ok()) << #method << ": " << status_.error_message(); \
  } while (false)

class Full : public ::testing::Test {
 protected:
  Full() {
    root_ = dir_.Join("checkpoints");
    store_ = store::OpenSqliteStore({.path = dir_.Join("coppice.db")}).value();
    const absl::Status claimed = ClaimCheckpointRoot(root_, store_->store_id());
    EXPECT_TRUE(claimed.ok()) << claimed;
    core::CoordinatorOptions options;
    options.checkpoint_root = root_;
    core_ = core::Coordinator::Open(store_.get(), Clock::Real(), options).value();
    served_.emplace(core_.get(), Clock::Real(), root_);
    sweeps_ = served_->sweeps.get();
    workers_ = served_->workers.get();
  }
  ~Full() override {
    served_->server->CloseStreams();
    core_->Shutdown();
    served_->server->Shutdown(absl::Seconds(5));
  }

  static v1::SweepSpec Spec(const std::string& name) {
    v1::SweepSpec spec;
    spec.set_name(name);
    spec.add_tasks("question");
    spec.add_depths(2);
    spec.add_seeds(0);
    spec.add_seeds(1);
    spec.mutable_train()->set_steps(20);
    spec.mutable_report()->set_every(10);
    spec.mutable_checkpoint()->set_every(20);
    return spec;
  }
  void Submit(const std::string& name) {
    v1::SubmitSweepRequest request;
    *request.mutable_spec() = Spec(name);
    v1::SubmitSweepResponse response;
    CALL_OK(sweeps_, SubmitSweep, request, &response);
  }
  void Register(const std::string& name = "node1") {
    v1::RegisterRequest request;
    request.set_name(name);
    request.set_instance(RandomId());
    request.set_protocol(rpc::kProtocolVersion);
    request.set_slots(1);
    request.set_pack_width(2);
    v1::RegisterResponse response;
    CALL_OK(workers_, Register, request, &response);
    EXPECT_TRUE(response.confirm());
    request.set_incarnation(response.incarnation());
    CALL_OK(workers_, Register, request, &response);
    worker_id_ = response.worker_id();
    EXPECT_EQ(response.store_id(), store_->store_id());
    EXPECT_GT(response.lease_ms(), response.heartbeat_interval_ms());
  }
  v1::AcquireLeasesResponse Acquire(const std::string& request_id, uint32_t wait_ms = 0) {
    v1::AcquireLeasesRequest request;
    request.set_worker_id(worker_id_);
    request.set_request_id(request_id);
    request.set_pack_width(2);
    request.set_wait_ms(wait_ms);
    v1::AcquireLeasesResponse response;
    CallContext context;
    const grpc::Status status = workers_->AcquireLeases(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  // Sends records on one stream, closes it and returns the last acknowledgement.
  v1::StreamMetricsResponse Send(const v1::LeaseRef& lease, uint64_t first_sequence,
                                 const std::vector<v1::StreamMetricsRequest>& payloads) {
    CallContext context;
    auto stream = workers_->StreamMetrics(&context);
    uint64_t sequence = first_sequence;
    for (v1::StreamMetricsRequest request : payloads) {
      request.set_worker_id(worker_id_);
      *request.mutable_lease() = lease;
      request.set_sequence(sequence++);
      stream->Write(request);
    }
    stream->WritesDone();
    v1::StreamMetricsResponse ack, last;
    while (stream->Read(&ack)) last = ack;
    const grpc::Status status = stream->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return last;
  }
  static v1::StreamMetricsRequest Row(uint32_t step, double loss) {
    v1::StreamMetricsRequest request;
    request.mutable_row()->set_step(step);
    v1::MetricValue* value = request.mutable_row()->add_values();
    value->set_name("train_loss");
    value->set_value(loss);
    return request;
  }
  static v1::StreamMetricsRequest Log(const std::string& text) {
    v1::StreamMetricsRequest request;
    request.set_log(text);
    return request;
  }
  template <typename Request>
  Request Of(const v1::LeaseRef& lease, uint32_t step) {
    Request request;
    request.set_worker_id(worker_id_);
    *request.mutable_lease() = lease;
    request.set_step(step);
    return request;
  }
  v1::CommitCheckpointRequest CheckpointOf(const v1::Lease& lease, uint32_t step,
                                           const std::string& content) {
    auto request = Of<v1::CommitCheckpointRequest>(lease.lease(), step);
    request.set_path(lease.checkpoint_dir() + "/step-" + std::to_string(step) + ".safetensors");
    request.set_digest(DigestOf(content.data(), content.size()));
    request.set_bytes(content.size());
    return request;
  }
  // Writes as a worker that shares the folder.
  v1::CommitCheckpointRequest Write(const v1::CommitCheckpointRequest& header,
                                    const std::string& content) {
    const std::string path = JoinPath(root_, header.path());
    EXPECT_TRUE(MakeDirectories(path.substr(0, path.rfind('/'))).ok());
    EXPECT_TRUE(WriteFileAtomically(path, content).ok());
    return header;
  }
  absl::Status Upload(const v1::CommitCheckpointRequest& header, const std::string& content) {
    CallContext context;
    v1::UploadCheckpointResponse response;
    auto writer = workers_->UploadCheckpoint(&context, &response);
    v1::UploadCheckpointRequest part;
    *part.mutable_header() = header;
    writer->Write(part);
    for (size_t at = 0; at < content.size(); at += 1 << 20) {
      part.set_data(content.substr(at, 1 << 20));
      if (!writer->Write(part)) break;
    }
    writer->WritesDone();
    return rpc::FromGrpc(writer->Finish());
  }
  absl::Status Download(const v1::LeaseRef& lease, const std::string& path, std::string* content) {
    auto request = Of<v1::DownloadCheckpointRequest>(lease, 0);
    request.set_path(path);
    CallContext context;
    auto reader = workers_->DownloadCheckpoint(&context, request);
    v1::DownloadCheckpointResponse part;
    while (reader->Read(&part)) *content += part.data();
    return rpc::FromGrpc(reader->Finish());
  }
  v1::GetJobResponse Job(uint64_t id) {
    v1::GetJobRequest request;
    request.set_job_id(id);
    v1::GetJobResponse response;
    CallContext context;
    EXPECT_TRUE(sweeps_->GetJob(&context, request, &response).ok());
    return response;
  }
  std::vector<v1::JobMetrics> Metrics(const std::string& sweep, bool archived) {
    v1::GetMetricsRequest request;
    request.mutable_filter()->set_sweep(sweep);
    request.set_include_archived(archived);
    CallContext context;
    auto reader = sweeps_->GetMetrics(&context, request);
    std::vector<v1::JobMetrics> rows;
    v1::GetMetricsResponse response;
    while (reader->Read(&response)) {
      rows.insert(rows.end(), response.rows().begin(), response.rows().end());
    }
    EXPECT_TRUE(reader->Finish().ok());
    return rows;
  }

  testing::TempDir dir_;
  std::string root_;
  std::unique_ptr<core::Store> store_;
  std::unique_ptr<core::Coordinator> core_;
  std::optional<Served> served_;
  v1::SweepService::Stub* sweeps_ = nullptr;
  v1::WorkerService::Stub* workers_ = nullptr;
  std::string worker_id_;
};

TEST_F(Full, ASweepGoesFromSubmissionThroughFailureAndResumeToItsEnd) {
  // Submission: a plan, then the sweep, then the same again, then another of the same name.
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
  CALL_OK(sweeps_, ListSweeps, {}, &list);
  ASSERT_EQ(list.sweeps_size(), 1);
  v1::GetSweepRequest get;
  get.set_name("s");
  v1::GetSweepResponse sweep;
  CALL_OK(sweeps_, GetSweep, get, &sweep);
  EXPECT_EQ(sweep.spec().SerializeAsString(), Spec("s").SerializeAsString());
  ASSERT_EQ(sweep.groups_size(), 1);
  EXPECT_EQ(sweep.groups(0).run().train().steps(), 20u);

  // Pages of one job.
  v1::ListJobsRequest jobs;
  jobs.mutable_filter()->set_sweep("s");
  jobs.set_page_size(1);
  v1::ListJobsResponse page;
  CALL_OK(sweeps_, ListJobs, jobs, &page);
  ASSERT_EQ(page.jobs_size(), 1);
  const uint64_t first = page.jobs(0).id();
  ASSERT_NE(page.next_page_token(), "");
  jobs.set_page_token(page.next_page_token());
  CALL_OK(sweeps_, ListJobs, jobs, &page);
  ASSERT_EQ(page.jobs_size(), 1);
  EXPECT_NE(page.jobs(0).id(), first);
  EXPECT_EQ(page.next_page_token(), "");

  // One client watches to the end, another follows a log.
  auto watched = std::async(std::launch::async, [this] {
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
  auto followed = std::async(std::launch::async, [this, first] {
    CallContext context;
    v1::GetLogsRequest request;
    request.set_job_id(first);
    request.set_follow(true);
    auto reader = sweeps_->GetLogs(&context, request);
    std::string text;
    v1::GetLogsResponse part;
    while (reader->Read(&part)) text += part.text();
    EXPECT_TRUE(reader->Finish().ok());
    return text;
  });

  // Leases: two seeds in one pack. A repeated request gets the same leases.
  Register();
  v1::AcquireLeasesResponse grant = Acquire("r1");
  ASSERT_EQ(grant.leases_size(), 2);
  EXPECT_TRUE(absl::StrContains(grant.run_json(), "\"steps\":20,")) << grant.run_json();
  EXPECT_FALSE(grant.leases(0).has_resume());
  const v1::AcquireLeasesResponse again = Acquire("r1");
  ASSERT_EQ(again.leases_size(), 2);
  EXPECT_EQ(again.leases(0).lease().attempt(), grant.leases(0).lease().attempt());
  EXPECT_EQ(Acquire("r2").leases_size(), 0);
  const v1::Lease one = grant.leases(0), two = grant.leases(1);

  v1::HeartbeatRequest heartbeat;
  heartbeat.set_worker_id(worker_id_);
  *heartbeat.add_held()->mutable_lease() = one.lease();
  v1::LeaseRef* const stale = heartbeat.add_held()->mutable_lease();
  *stale = two.lease();
  stale->set_attempt(99);
  v1::HeartbeatResponse directives;
  CALL_OK(workers_, Heartbeat, heartbeat, &directives);
  ASSERT_EQ(directives.directives_size(), 2);
  EXPECT_EQ(directives.directives(0).action(), v1::Directive::CONTINUE);
  EXPECT_EQ(directives.directives(1).action(), v1::Directive::STOP);

  // The first job runs to its end, with an uploaded checkpoint.
  v1::StreamMetricsRequest provenance;
  provenance.set_provenance("{\"device\":\"cpu\"}");
  EXPECT_EQ(
      Send(one.lease(), 1, {provenance, Log("hello\n"), Row(10, 0.5), Row(20, 0.25)}).sequence(),
      4u);
  EXPECT_EQ(Send(one.lease(), 2, {Log("hello\n"), Row(10, 0.5)}).sequence(), 4u)
      << "what comes twice is acknowledged, not stored";
  const std::string content(2'500'000, 'k');
  v1::CommitCheckpointRequest header = CheckpointOf(one, 20, content);
  EXPECT_EQ(Upload(header, content), absl::OkStatus());
  std::string downloaded;
  EXPECT_EQ(Download(one.lease(), header.path(), &downloaded), absl::OkStatus());
  EXPECT_EQ(downloaded, content);
  auto complete = Of<v1::CompleteJobRequest>(one.lease(), 20);
  complete.set_last_sequence(5);
  v1::CompleteJobResponse completed;
  {
    CallContext context;
    EXPECT_EQ(workers_->CompleteJob(&context, complete, &completed).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT)
        << "a record is missing, and this coordinator granted the lease: the worker errs";
  }
  complete.set_last_sequence(4);
  CALL_OK(workers_, CompleteJob, complete, &completed);
  CALL_OK(workers_, CompleteJob, complete, &completed);
  EXPECT_EQ(followed.get(), "hello\n");

  // The second commits a checkpoint on a shared filesystem, then diverges.
  EXPECT_EQ(Send(two.lease(), 1, {Row(10, 0.5)}).sequence(), 1u);
  v1::CommitCheckpointResponse committed;
  CALL_OK(workers_, CommitCheckpoint, Write(CheckpointOf(two, 10, "ten"), "ten"), &committed);
  auto fail = Of<v1::FailJobRequest>(two.lease(), 15);
  fail.set_kind("nan");
  fail.set_message("the loss is not finite");
  v1::FailJobResponse failed;
  CALL_OK(workers_, FailJob, fail, &failed);
  v1::GetJobResponse job = Job(two.lease().job_id());
  EXPECT_EQ(job.job().state(), v1::FAILED);
  EXPECT_THAT(job.job().reason(), HasSubstr("not finite"));
  ASSERT_EQ(job.attempts_size(), 1);
  EXPECT_EQ(job.attempts(0).outcome(), "failed");
  EXPECT_EQ(job.checkpoints_size(), 1);
  EXPECT_THAT(job.events(), SizeIs(::testing::Ge(4)));
  v1::ExplainJobRequest explain;
  explain.set_job_id(two.lease().job_id());
  v1::ExplainJobResponse why;
  CALL_OK(sweeps_, ExplainJob, explain, &why);
  EXPECT_GT(why.reasons_size(), 0);

  // Every job has ended, so the watch has too.
  const std::vector<v1::WatchSweepResponse> events = watched.get();
  ASSERT_GE(events.size(), 2u);
  EXPECT_TRUE(events.front().has_summary());
  ASSERT_TRUE(events.back().has_summary());
  EXPECT_EQ(events.back().summary().counts().succeeded(), 1u);
  EXPECT_EQ(events.back().summary().counts().failed(), 1u);
  EXPECT_NE(events.back().summary().finished_ms(), 0);

  // The job is retried, released and granted again, each time from the checkpoint and with a higher
  // attempt number.
  v1::RetryJobsRequest retry;
  retry.mutable_filter()->set_sweep("s");
  v1::RetryJobsResponse retried;
  CALL_OK(sweeps_, RetryJobs, retry, &retried);
  EXPECT_EQ(retried.retried(), 1u);
  grant = Acquire("r3", 30'000);
  ASSERT_EQ(grant.leases_size(), 1);
  EXPECT_EQ(grant.leases(0).lease().attempt(), two.lease().attempt() + 1);
  EXPECT_EQ(grant.leases(0).resume().step(), 10u);
  EXPECT_EQ(grant.leases(0).resume().path(), CheckpointOf(two, 10, "").path());
  auto release = Of<v1::ReleaseLeaseRequest>(grant.leases(0).lease(), 10);
  release.set_reason("SIGTERM");
  v1::ReleaseLeaseResponse released;
  CALL_OK(workers_, ReleaseLease, release, &released);
  grant = Acquire("r4", 30'000);
  ASSERT_EQ(grant.leases_size(), 1);
  const v1::Lease third = grant.leases(0);

  // Its checkpoint is unreadable, so it goes back to the start, and its rows are archived.
  auto reject = Of<v1::RejectCheckpointRequest>(third.lease(), 10);
  reject.set_path(third.resume().path());
  reject.set_reason("digest");
  v1::RejectCheckpointResponse resume;
  CALL_OK(workers_, RejectCheckpoint, reject, &resume);
  EXPECT_FALSE(resume.has_resume());
  EXPECT_EQ(Send(third.lease(), 1, {Row(10, 0.75), Row(20, 0.5)}).sequence(), 2u);
  CALL_OK(workers_, CommitCheckpoint, Write(CheckpointOf(third, 20, "twenty"), "twenty"),
          &committed);
  complete = Of<v1::CompleteJobRequest>(third.lease(), 20);
  complete.set_last_sequence(2);
  CALL_OK(workers_, CompleteJob, complete, &completed);
  CALL_OK(sweeps_, GetSweep, get, &sweep);
  EXPECT_EQ(sweep.sweep().counts().succeeded(), 2u);
  EXPECT_EQ(Job(third.lease().job_id()).attempts_size(), 3);

  const std::vector<v1::JobMetrics> visible = Metrics("s", false);
  ASSERT_EQ(visible.size(), 4u);
  for (const v1::JobMetrics& row : visible) EXPECT_FALSE(row.archived());
  EXPECT_EQ(visible[2].row().values(0).value(), 0.75);
  EXPECT_EQ(Metrics("s", true).size(), 5u);
  jobs.set_page_size(0);
  jobs.clear_page_token();
  jobs.set_with_latest(true);
  CALL_OK(sweeps_, ListJobs, jobs, &page);
  ASSERT_EQ(page.jobs(0).latest_size(), 1);
  EXPECT_EQ(page.jobs(0).latest(0).value(), 0.25);
}

TEST_F(Full, PauseDrainAndCancelHoldWorkBack) {
  Submit("s");
  Register();
  v1::PauseSweepRequest pause;
  pause.set_name("s");
  v1::PauseSweepResponse paused;
  CALL_OK(sweeps_, PauseSweep, pause, &paused);
  EXPECT_TRUE(paused.sweep().paused());
  EXPECT_EQ(Acquire("r1").leases_size(), 0);
  v1::ResumeSweepRequest resume;
  resume.set_name("s");
  v1::ResumeSweepResponse resumed;
  CALL_OK(sweeps_, ResumeSweep, resume, &resumed);
  EXPECT_FALSE(resumed.sweep().paused());

  v1::DrainWorkerRequest drain;
  drain.set_worker("node1");
  v1::DrainWorkerResponse drained;
  CALL_OK(sweeps_, DrainWorker, drain, &drained);
  EXPECT_TRUE(drained.worker().draining());
  EXPECT_EQ(Acquire("r2").leases_size(), 0);
  drain.set_undo(true);
  CALL_OK(sweeps_, DrainWorker, drain, &drained);
  EXPECT_FALSE(drained.worker().draining());
  v1::ListWorkersResponse workers;
  CALL_OK(sweeps_, ListWorkers, {}, &workers);
  ASSERT_EQ(workers.workers_size(), 1);
  EXPECT_EQ(workers.workers(0).name(), "node1");
  EXPECT_EQ(workers.workers(0).id(), worker_id_);
  EXPECT_TRUE(workers.workers(0).connected());

  const v1::AcquireLeasesResponse grant = Acquire("r3", 30'000);
  ASSERT_EQ(grant.leases_size(), 2);
  v1::CancelJobsRequest cancel;
  cancel.mutable_filter()->set_sweep("s");
  cancel.mutable_filter()->add_seeds(1);
  v1::CancelJobsResponse cancelled;
  CALL_OK(sweeps_, CancelJobs, cancel, &cancelled);
  EXPECT_EQ(cancelled.cancelled(), 1u);
  v1::HeartbeatRequest heartbeat;
  heartbeat.set_worker_id(worker_id_);
  for (const v1::Lease& lease : grant.leases()) {
    *heartbeat.add_held()->mutable_lease() = lease.lease();
  }
  v1::HeartbeatResponse directives;
  CALL_OK(workers_, Heartbeat, heartbeat, &directives);
  EXPECT_EQ(directives.directives(0).action(), v1::Directive::CONTINUE);
  EXPECT_EQ(directives.directives(1).action(), v1::Directive::STOP);
}

TEST_F(Full, AWaitingWorkerGetsTheSweepThatIsSubmittedLater) {
  Register();
  auto waiting = std::async(std::launch::async, [this] { return Acquire("r1", 30'000); });
  Submit("s");
  EXPECT_EQ(waiting.get().leases_size(), 2);
}

TEST_F(Full, EveryReportOfAStaleAttemptIsRefused) {
  Submit("s");
  Register();
  v1::Lease lease = Acquire("r1", 30'000).leases(0);
  lease.mutable_lease()->set_attempt(lease.lease().attempt() + 1);
  const auto aborted = [](const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED) << status.error_message();
  };
  {
    CallContext context;
    v1::CommitCheckpointResponse response;
    aborted(workers_->CommitCheckpoint(&context, CheckpointOf(lease, 20, "x"), &response));
  }
  {
    CallContext context;
    v1::CompleteJobResponse response;
    aborted(
        workers_->CompleteJob(&context, Of<v1::CompleteJobRequest>(lease.lease(), 20), &response));
  }
  {
    CallContext context;
    auto request = Of<v1::FailJobRequest>(lease.lease(), 5);
    request.set_kind("crashed");
    v1::FailJobResponse response;
    aborted(workers_->FailJob(&context, request, &response));
  }
  {
    CallContext context;
    v1::ReleaseLeaseResponse response;
    aborted(
        workers_->ReleaseLease(&context, Of<v1::ReleaseLeaseRequest>(lease.lease(), 5), &response));
  }
  {
    CallContext context;
    auto request = Of<v1::RejectCheckpointRequest>(lease.lease(), 5);
    request.set_path("a/b");
    v1::RejectCheckpointResponse response;
    aborted(workers_->RejectCheckpoint(&context, request, &response));
  }
  EXPECT_TRUE(absl::IsAborted(Upload(CheckpointOf(lease, 20, "x"), "x")));
  std::string nothing;
  EXPECT_TRUE(absl::IsAborted(Download(lease.lease(), "a/b", &nothing)));
  EXPECT_TRUE(Send(lease.lease(), 1, {Row(10, 1)}).stale());
  EXPECT_THAT(Metrics("s", true), SizeIs(0));
}

TEST_F(Full, AnUploadIntoAnotherAttemptsFolderIsRefusedAndLeavesNoFile) {
  Submit("s");
  Register();
  const v1::Lease lease = Acquire("r1", 30'000).leases(0);
  v1::CommitCheckpointRequest header = CheckpointOf(lease, 20, "content");
  header.set_path("s/999/attempt-1/step-20.safetensors");
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, "content")));
  EXPECT_FALSE(FileExists(root_ + "/" + header.path()));
  header.set_path(".coppice-store");
  EXPECT_FALSE(Upload(header, "content").ok());
  EXPECT_EQ(ReadFile(root_ + "/.coppice-store").value(), store_->store_id());
  std::string nothing;
  EXPECT_TRUE(absl::IsNotFound(Download(lease.lease(), ".coppice-store", &nothing)));
}

TEST_F(Full, ABadRowIsAcknowledgedWithItsErrorAndNotStored) {
  Submit("s");
  Register();
  const v1::LeaseRef lease = Acquire("r1", 30'000).leases(0).lease();
  v1::StreamMetricsResponse ack = Send(lease, 1, {Row(10, std::nan(""))});
  EXPECT_THAT(ack.error(), HasSubstr("finite"));
  EXPECT_EQ(ack.sequence(), 0u);
  ack = Send(lease, 1, {Log(std::string(65 << 10, 'x'))});
  EXPECT_NE(ack.error(), "");
  EXPECT_EQ(Send(lease, 1, {Row(10, 1)}).sequence(), 1u);
  EXPECT_THAT(Metrics("s", true), SizeIs(1));
}

TEST_F(Full, AnUnknownWorkerIsToldToRegister) {
  worker_id_ = "nobody";
  v1::HeartbeatRequest heartbeat;
  heartbeat.set_worker_id(worker_id_);
  v1::HeartbeatResponse response;
  CallContext one, two;
  EXPECT_EQ(workers_->Heartbeat(&one, heartbeat, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  auto stream = workers_->StreamMetrics(&two);
  v1::StreamMetricsRequest row = Row(10, 1);
  row.set_worker_id(worker_id_);
  row.mutable_lease()->set_job_id(1);
  row.mutable_lease()->set_attempt(1);
  row.set_sequence(1);
  stream->Write(row);
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(Full, AWorkerOfAnotherProtocolIsRefused) {
  v1::RegisterRequest request;
  request.set_name("node1");
  request.set_protocol(rpc::kProtocolVersion + 7);
  v1::RegisterResponse response;
  CallContext context;
  const grpc::Status status = workers_->Register(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(),
              HasSubstr(absl::StrCat("protocol ", rpc::kProtocolVersion + 7)));
}

TEST_F(Full, UnknownNamesAreNotFound) {
  const auto missing = [](const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND) << status.error_message();
  };
  CallContext one, two, three, four, five;
  v1::GetSweepRequest sweep;
  sweep.set_name("absent");
  v1::GetSweepResponse sweep_response;
  missing(sweeps_->GetSweep(&one, sweep, &sweep_response));
  v1::WatchSweepRequest watch;
  watch.set_name("absent");
  missing(sweeps_->WatchSweep(&two, watch)->Finish());
  v1::GetJobRequest job;
  job.set_job_id(12345);
  v1::GetJobResponse job_response;
  missing(sweeps_->GetJob(&three, job, &job_response));
  v1::GetLogsRequest logs;
  logs.set_job_id(12345);
  logs.set_follow(true);
  missing(sweeps_->GetLogs(&four, logs)->Finish());
  v1::DrainWorkerRequest drain;
  drain.set_worker("absent");
  v1::DrainWorkerResponse drained;
  missing(sweeps_->DrainWorker(&five, drain, &drained));
}

TEST_F(Full, WatchersMayComeAndGoWhileJobsChange) {
  Submit("s");
  Register();
  const v1::LeaseRef lease = Acquire("r1", 30'000).leases(0).lease();
  std::atomic<bool> stop = false;
  std::vector<std::thread> watchers;
  for (int i = 0; i < 4; ++i) {
    watchers.emplace_back([&, i] {
      while (!stop) {
        CallContext context;
        v1::WatchSweepRequest request;
        request.set_name("s");
        auto reader = sweeps_->WatchSweep(&context, request);
        v1::WatchSweepResponse event;
        for (int read = 0; read <= i && reader->Read(&event); ++read) {
        }
        context.TryCancel();
        EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
      }
    });
  }
  for (int round = 0; round < 100; ++round) {
    Send(lease, round + 1, {Log("line\n")});
    v1::PauseSweepRequest pause;
    pause.set_name("s");
    v1::PauseSweepResponse paused;
    CALL_OK(sweeps_, PauseSweep, pause, &paused);
  }
  // Readers that wait for their nth event need further events.
  v1::CancelJobsRequest cancel;
  cancel.mutable_filter()->set_sweep("s");
  v1::CancelJobsResponse cancelled;
  stop = true;
  CALL_OK(sweeps_, CancelJobs, cancel, &cancelled);
  for (std::thread& watcher : watchers) watcher.join();
}

TEST_F(Full, ShuttingDownEndsEveryWaitWithAClearStatus) {
  Submit("s");
  Register();
  EXPECT_EQ(Acquire("r1", 30'000).leases_size(), 2);
  CallContext watching, streaming;
  v1::WatchSweepRequest request;
  request.set_name("s");
  auto watch = sweeps_->WatchSweep(&watching, request);
  v1::WatchSweepResponse event;
  ASSERT_TRUE(watch->Read(&event));
  auto stream = workers_->StreamMetrics(&streaming);
  stream->Write(Row(10, 1));  // invalid without a lease, but it opens the stream
  auto waiting = std::async(std::launch::async, [this] {
    v1::AcquireLeasesRequest request;
    request.set_worker_id(worker_id_);
    request.set_request_id("r2");
    request.set_pack_width(1);
    request.set_wait_ms(60'000);
    v1::AcquireLeasesResponse response;
    CallContext context;
    return workers_->AcquireLeases(&context, request, &response).error_code();
  });

  served_->server->CloseStreams();
  core_->Shutdown();
  // The call is answered with nothing, or refused if it arrived after the shutdown had begun.
  EXPECT_THAT(waiting.get(), AnyOf(grpc::StatusCode::OK, grpc::StatusCode::UNAVAILABLE));
  while (watch->Read(&event)) {
  }
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(stream->Finish().ok());
  v1::ListSweepsResponse list;
  CallContext late;
  EXPECT_EQ(sweeps_->ListSweeps(&late, {}, &list).error_code(), grpc::StatusCode::UNAVAILABLE);
}

// ---- calls of every gRPC tool

// Sends raw bytes to a method by name and returns the first response.
std::string RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                    const std::string& request) {
  grpc::GenericStub stub(channel);
  CallContext context;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(&context, method, &queue);
  void* tag = nullptr;
  bool ok = false;
  const auto next = [&] { return queue.Next(&tag, &ok) && ok; };
  call->StartCall(nullptr);
  if (!next()) return "";
  const grpc::Slice slice(request);
  call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
  if (!next()) return "";
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  if (!next()) return "";
  call->WritesDone(nullptr);
  next();
  grpc::Status status;
  call->Finish(&status, nullptr);
  next();
  EXPECT_TRUE(status.ok()) << status.error_message();
  grpc::Slice joined;
  EXPECT_TRUE(answer.DumpToSingleSlice(&joined).ok());
  return std::string(reinterpret_cast<const char*>(joined.begin()), joined.size());
}

TEST_F(Full, HealthSaysServingUntilTheServerCloses) {
  const std::string serving("\x08\x01", 2), not_serving("\x08\x02", 2);
  EXPECT_EQ(RawCall(served_->channel, "/grpc.health.v1.Health/Check", ""), serving);
  served_->server->CloseStreams();
  EXPECT_EQ(RawCall(served_->channel, "/grpc.health.v1.Health/Check", ""), not_serving);
}

TEST_F(Full, ReflectionListsBothServices) {
  const std::string answer =
      RawCall(served_->channel, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
              std::string("\x3a\x00", 2));
  EXPECT_THAT(answer, HasSubstr("coppice.v1.SweepService"));
  EXPECT_THAT(answer, HasSubstr("coppice.v1.WorkerService"));
}

TEST_F(Full, ServerInfoNamesTheStore) {
  v1::GetServerInfoResponse info;
  CALL_OK(sweeps_, GetServerInfo, {}, &info);
  EXPECT_EQ(info.store_id(), store_->store_id());
  EXPECT_EQ(info.checkpoint_root(), root_);
  EXPECT_GT(info.started_ms(), 0);
}

}  // namespace
}  // namespace coppice::service
