#ifndef COPPICE_TESTS_WORKER_DAEMON_TEST_SERVER_H_
#define COPPICE_TESTS_WORKER_DAEMON_TEST_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/rpc/channel.h"
#include "coppice/v1/coordinator.grpc.pb.h"

namespace coppice::worker {

// A minimal coordinator behind a real port. It grants what a test queues, accepts everything, and
// records it as text. Thread-safe.
class TestServer final : public v1::WorkerService::Service {
 public:
  // Uses a new port, or its earlier one again.
  void Start() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port_), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(this);
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = false;
    }
    server_ = builder.BuildAndStart();
  }
  void Stop() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }
  ~TestServer() override {
    if (server_) Stop();
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  void Grant(v1::AcquireLeasesResponse grant) {
    absl::MutexLock lock(&mutex_);
    grants_.push_back(std::move(grant));
  }
  // Waits until `count` entries with this prefix were seen; false on a timeout.
  bool Await(const std::string& prefix, size_t count = 1) {
    const auto seen = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      size_t found = 0;
      for (const std::string& entry : seen_) found += entry.rfind(prefix, 0) == 0 ? 1 : 0;
      return found >= count;
    };
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&seen), absl::Seconds(30));
  }
  std::vector<std::string> Seen(const std::string& prefix = "") {
    absl::MutexLock lock(&mutex_);
    std::vector<std::string> some;
    for (const std::string& entry : seen_) {
      if (entry.rfind(prefix, 0) == 0) some.push_back(entry);
    }
    return some;
  }
  // The files that DownloadCheckpoint sends, by path, and those that UploadCheckpoint received.
  void SetFile(const std::string& path, std::string content) {
    absl::MutexLock lock(&mutex_);
    files_[path] = std::move(content);
  }
  std::string File(const std::string& path) {
    absl::MutexLock lock(&mutex_);
    return files_[path];
  }

  grpc::Status Register(grpc::ServerContext*, const v1::RegisterRequest* request,
                        v1::RegisterResponse* response) override {
    absl::MutexLock lock(&mutex_);
    if (request->protocol() != rpc::kProtocolVersion)
      return {grpc::StatusCode::FAILED_PRECONDITION, "protocol"};
    seen_.push_back(absl::StrCat("register ", request->name(), " held ", request->held_size()));
    response->set_worker_id("w");
    response->set_heartbeat_interval_ms(100);
    response->set_lease_ms(10000);
    response->set_store_id("store");
    return grpc::Status::OK;
  }
  grpc::Status AcquireLeases(grpc::ServerContext* context, const v1::AcquireLeasesRequest* request,
                             v1::AcquireLeasesResponse* response) override {
    absl::MutexLock lock(&mutex_);
    const auto ready = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return stopping_ || !grants_.empty();
    };
    // Waits in short pieces: a blocking handler gets no notice of a cancelled call.
    for (uint32_t waited = 0; waited < request->wait_ms() && !context->IsCancelled();
         waited += 20) {
      if (mutex_.AwaitWithTimeout(absl::Condition(&ready), absl::Milliseconds(20))) break;
    }
    if (stopping_ || grants_.empty() || context->IsCancelled()) return grpc::Status::OK;
    *response = grants_.front();
    grants_.pop_front();
    return grpc::Status::OK;
  }
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override {
    absl::MutexLock lock(&mutex_);
    seen_.push_back(absl::StrCat("heartbeat held ", request->held_size(),
                                 request->draining() ? " draining" : ""));
    for (const v1::HeldLease& held : request->held()) {
      v1::Directive* directive = response->add_directives();
      *directive->mutable_lease() = held.lease();
      directive->set_action(v1::Directive::CONTINUE);
    }
    return grpc::Status::OK;
  }
  grpc::Status Leave(grpc::ServerContext*, const v1::LeaveRequest* request,
                     v1::LeaveResponse*) override {
    absl::MutexLock lock(&mutex_);
    seen_.push_back(absl::StrCat("goodbye ", static_cast<int>(request->reason())));
    return grpc::Status::OK;
  }
  grpc::Status StreamRecords(grpc::ServerContext*,
                             grpc::ServerReaderWriter<v1::StreamRecordsResponse,
                                                      v1::StreamRecordsRequest>* stream) override {
    v1::StreamRecordsRequest message;
    while (stream->Read(&message)) {
      std::map<uint64_t, v1::AttemptAnswer> answers;
      for (const v1::AttemptRecord& record : message.records()) {
        See(Describe(record));
        v1::AttemptAnswer& answer = answers[record.lease().job_id()];
        *answer.mutable_lease() = record.lease();
        answer.set_number(record.number());
        answer.set_over(record.has_completed() || record.has_failed() || record.has_released());
      }
      v1::StreamRecordsResponse response;
      for (const auto& [job, answer] : answers) *response.add_answers() = answer;
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
  grpc::Status RejectCheckpoint(grpc::ServerContext*, const v1::RejectCheckpointRequest* request,
                                v1::RejectCheckpointResponse*) override {
    return See(absl::StrCat("reject ", Name(request->lease())));
  }
  grpc::Status UploadCheckpoint(grpc::ServerContext*,
                                grpc::ServerReader<v1::UploadCheckpointRequest>* reader,
                                v1::UploadCheckpointResponse*) override {
    v1::UploadCheckpointRequest message;
    if (!reader->Read(&message) || !message.has_header()) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "no header"};
    }
    const v1::CheckpointUpload upload = message.header();
    const v1::CheckpointRecord& header = upload.checkpoint();
    std::string content;
    while (reader->Read(&message)) content += message.data();
    absl::MutexLock lock(&mutex_);
    if (content.size() != header.bytes()) return {grpc::StatusCode::DATA_LOSS, "size"};
    files_[header.path()] = content;
    seen_.push_back(absl::StrCat("upload ", Name(upload.lease()), " step ", header.step()));
    return grpc::Status::OK;
  }
  grpc::Status DownloadCheckpoint(
      grpc::ServerContext*, const v1::DownloadCheckpointRequest* request,
      grpc::ServerWriter<v1::DownloadCheckpointResponse>* writer) override {
    const std::string content = File(request->path());
    if (content.empty()) return {grpc::StatusCode::NOT_FOUND, "no such checkpoint"};
    for (size_t at = 0; at < content.size(); at += 1000) {
      v1::DownloadCheckpointResponse piece;
      piece.set_data(content.substr(at, 1000));
      writer->Write(piece);
    }
    return grpc::Status::OK;
  }

 private:
  static std::string Name(const v1::LeaseRef& lease) {
    return absl::StrCat(lease.job_id(), ":", lease.attempt());
  }
  static std::string Describe(const v1::AttemptRecord& record) {
    const std::string name = Name(record.lease());
    if (record.has_row()) return absl::StrCat("row ", name, "#", record.number());
    if (record.has_log()) return absl::StrCat("log ", name, "#", record.number());
    if (record.has_start()) return absl::StrCat("start ", name, "#", record.number());
    if (record.has_checkpoint()) {
      return absl::StrCat("checkpoint ", name, " step ", record.checkpoint().step(), " ",
                          record.checkpoint().path());
    }
    if (record.has_completed()) {
      return absl::StrCat("complete ", name, " step ", record.completed().step());
    }
    if (record.has_failed()) {
      return absl::StrCat("fail ", name, " ", record.failed().kind(), ": ",
                          record.failed().message(), " | ", record.failed().log_tail());
    }
    return absl::StrCat("release ", name, " step ", record.released().step());
  }
  grpc::Status See(std::string entry) {
    absl::MutexLock lock(&mutex_);
    seen_.push_back(std::move(entry));
    return grpc::Status::OK;
  }

  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<v1::AcquireLeasesResponse> grants_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> seen_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> files_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::worker

#endif  // COPPICE_TESTS_WORKER_DAEMON_TEST_SERVER_H_
