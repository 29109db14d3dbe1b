// The real core on a real database file behind a real server, through real stubs.
#ifndef COPPICE_TESTS_COORDINATOR_SERVICE_FULL_FIXTURE_H_
#define COPPICE_TESTS_COORDINATOR_SERVICE_FULL_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/base/paths.h"
#include "common/rpc/status.h"
#include "coordinator/service/checkpoint_files.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/coordinator/service/records.h"
#include "tests/coordinator/service/served.h"

namespace coppice::service {

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
  // Sends records of one attempt in one message, closes the stream and returns the last answer.
  v1::AttemptAnswer Send(const v1::LeaseRef& lease, uint64_t first,
                         const std::vector<v1::AttemptRecord>& records) {
    CallContext context;
    auto stream = workers_->StreamRecords(&context);
    stream->Write(MessageOf(worker_id_, lease, first, records));
    stream->WritesDone();
    v1::AttemptAnswer last;
    v1::StreamRecordsResponse response;
    while (stream->Read(&response)) last = *response.answers().rbegin();
    const grpc::Status status = stream->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return last;
  }
  template <typename Request>
  Request Of(const v1::LeaseRef& lease, uint32_t step) {
    Request request;
    request.set_worker_id(worker_id_);
    *request.mutable_lease() = lease;
    request.set_step(step);
    return request;
  }
  static v1::CheckpointRecord CheckpointOf(const v1::Lease& lease, uint32_t step,
                                           const std::string& content) {
    v1::CheckpointRecord checkpoint;
    checkpoint.set_step(step);
    checkpoint.set_path(lease.checkpoint_dir() + "/step-" + std::to_string(step) + ".safetensors");
    checkpoint.set_digest(DigestOf(content.data(), content.size()));
    checkpoint.set_bytes(content.size());
    return checkpoint;
  }
  static v1::AttemptRecord RecordOf(const v1::CheckpointRecord& checkpoint) {
    v1::AttemptRecord record;
    *record.mutable_checkpoint() = checkpoint;
    return record;
  }
  // Writes the file as a worker that shares the folder, and returns the checkpoint's record.
  v1::AttemptRecord Write(const v1::CheckpointRecord& checkpoint, const std::string& content) {
    const std::string path = JoinPath(root_, checkpoint.path());
    EXPECT_TRUE(MakeDirectories(path.substr(0, path.rfind('/'))).ok());
    EXPECT_TRUE(WriteFileAtomically(path, content).ok());
    return RecordOf(checkpoint);
  }
  absl::Status Upload(const v1::LeaseRef& lease, const v1::CheckpointRecord& checkpoint,
                      const std::string& content) {
    CallContext context;
    v1::UploadCheckpointResponse response;
    auto writer = workers_->UploadCheckpoint(&context, &response);
    v1::UploadCheckpointRequest part;
    part.mutable_header()->set_worker_id(worker_id_);
    *part.mutable_header()->mutable_lease() = lease;
    *part.mutable_header()->mutable_checkpoint() = checkpoint;
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

}  // namespace coppice::service

#endif  // COPPICE_TESTS_COORDINATOR_SERVICE_FULL_FIXTURE_H_
