// Calls against the real core on a real database file behind a real server, through real stubs.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <future>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/coordinator/service/full_fixture.h"

namespace coppice::service {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

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
    auto request = Of<v1::RejectCheckpointRequest>(lease.lease(), 5);
    request.set_path("a/b");
    v1::RejectCheckpointResponse response;
    aborted(workers_->RejectCheckpoint(&context, request, &response));
  }
  EXPECT_TRUE(absl::IsAborted(Upload(lease.lease(), CheckpointOf(lease, 20, "x"), "x")));
  std::string nothing;
  EXPECT_TRUE(absl::IsAborted(Download(lease.lease(), "a/b", &nothing)));
  const std::vector<v1::AttemptRecord> reports = {RowRecord(10, 1),
                                                  LogRecord("l"),
                                                  RecordOf(CheckpointOf(lease, 20, "x")),
                                                  CompletionRecord(20),
                                                  FailureRecord(5, "crashed", "m"),
                                                  PreemptedRecord(5, "r")};
  for (const v1::AttemptRecord& report : reports) {
    const v1::AttemptAnswer answer = Send(lease.lease(), 1, {report});
    EXPECT_TRUE(answer.over()) << report.ShortDebugString();
    EXPECT_EQ(answer.number(), 0u) << report.ShortDebugString();
  }
  EXPECT_THAT(Metrics("s", true), SizeIs(0));
}

TEST_F(Full, AnUploadIntoAnotherAttemptsFolderIsRefusedAndLeavesNoFile) {
  Submit("s");
  Register();
  const v1::Lease lease = Acquire("r1", 30'000).leases(0);
  v1::CheckpointRecord checkpoint = CheckpointOf(lease, 20, "content");
  checkpoint.set_path("s/999/attempt-1/step-20.safetensors");
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(lease.lease(), checkpoint, "content")));
  EXPECT_FALSE(FileExists(root_ + "/" + checkpoint.path()));
  checkpoint.set_path(".coppice-store");
  EXPECT_FALSE(Upload(lease.lease(), checkpoint, "content").ok());
  EXPECT_EQ(ReadFile(root_ + "/.coppice-store").value(), store_->store_id());
  std::string nothing;
  EXPECT_TRUE(absl::IsNotFound(Download(lease.lease(), ".coppice-store", &nothing)));
}

TEST_F(Full, ABadRecordIsRefusedAndNotStored) {
  Submit("s");
  Register();
  const v1::LeaseRef lease = Acquire("r1", 30'000).leases(0).lease();
  v1::AttemptAnswer answer = Send(lease, 1, {RowRecord(10, std::nan(""))});
  EXPECT_THAT(answer.refusal().message(), HasSubstr("finite"));
  EXPECT_EQ(answer.number(), 0u);
  answer = Send(lease, 1, {LogRecord(std::string(65 << 10, 'x')), LogRecord("behind it")});
  EXPECT_THAT(answer.refusal().message(), HasSubstr("too long"));
  answer = Send(lease, 1, {FailureRecord(5, "bad luck", "m")});
  EXPECT_THAT(answer.refusal().message(), HasSubstr("no kind of failure"));
  EXPECT_EQ(Send(lease, 1, {RowRecord(10, 1)}).number(), 1u);
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
  auto stream = workers_->StreamRecords(&two);
  stream->Write(MessageOf(worker_id_, LeaseOf(1), 1, {RowRecord(10, 1)}));
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
    Send(lease, round + 1, {LogRecord("line\n")});
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
  auto stream = workers_->StreamRecords(&streaming);
  stream->Write(v1::StreamRecordsRequest());  // invalid, but it opens the stream
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