#include "worker/daemon/grpc_record_stream.h"

#include <grpcpp/support/client_callback.h>

#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/status.h"

namespace coppice::worker {
namespace {

constexpr absl::Duration kLifetime = absl::Hours(1);

// Lives until OnDone, even if the stream was released before. It owns itself.
class Reactor
    : public grpc::ClientBidiReactor<v1::StreamRecordsRequest, v1::StreamRecordsResponse> {
 public:
  Reactor(CallRegistry* calls, std::function<void(v1::StreamRecordsResponse)> on_answer,
          std::function<void(absl::Status)> on_end)
      : on_answer_(std::move(on_answer)),
        on_end_(std::move(on_end)),
        context_(calls->Begin(CallRegistry::Kind::kOther)) {
    SetDeadline(context_.get(), kLifetime);
  }

  void Start(v1::WorkerService::StubInterface* stub, std::shared_ptr<Reactor> self) {
    {
      absl::MutexLock lock(&mutex_);
      self_ = std::move(self);
      stub->async()->StreamRecords(context_.get(), this);
    }
    // Writes start outside of reactions, so the call needs a hold.
    AddHold();
    StartRead(&answer_);
    StartCall();
  }
  void Send(v1::StreamRecordsRequest message) {
    absl::MutexLock lock(&mutex_);
    if (broken_) return;
    waiting_.push_back(std::move(message));
    if (waiting_.size() == 1) StartWrite(&waiting_.front());
  }
  void Cancel() {
    absl::MutexLock lock(&mutex_);
    if (context_ != nullptr) context_->TryCancel();
    Break();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      absl::MutexLock lock(&mutex_);
      return Break();
    }
    on_answer_(std::exchange(answer_, {}));
    StartRead(&answer_);
  }
  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    waiting_.pop_front();
    if (!ok) Break();
    if (!broken_ && !waiting_.empty()) StartWrite(&waiting_.front());
  }
  void OnDone(const grpc::Status& status) override {
    std::shared_ptr<Reactor> self;
    std::shared_ptr<grpc::ClientContext> context;
    {
      absl::MutexLock lock(&mutex_);
      self.swap(self_);
      context.swap(context_);
    }
    on_end_(status.ok() ? absl::UnavailableError("the coordinator closed the stream")
                        : rpc::FromGrpc(status, *context));
  }

 private:
  // No write starts after this. The hold for writes is given back, once.
  void Break() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(broken_, true)) return;
    RemoveHold();
  }

  const std::function<void(v1::StreamRecordsResponse)> on_answer_;
  const std::function<void(absl::Status)> on_end_;
  v1::StreamRecordsResponse answer_;  // of the read in flight

  absl::Mutex mutex_;
  std::shared_ptr<grpc::ClientContext> context_ ABSL_GUARDED_BY(mutex_);  // until OnDone
  // The front is being written while the list is not empty.
  std::deque<v1::StreamRecordsRequest> waiting_ ABSL_GUARDED_BY(mutex_);
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<Reactor> self_ ABSL_GUARDED_BY(mutex_);
};

class GrpcRecordStream : public RecordStream {
 public:
  explicit GrpcRecordStream(std::shared_ptr<Reactor> reactor) : reactor_(std::move(reactor)) {}
  ~GrpcRecordStream() override { reactor_->Cancel(); }
  void Send(v1::StreamRecordsRequest message) override { reactor_->Send(std::move(message)); }

 private:
  const std::shared_ptr<Reactor> reactor_;
};

}  // namespace

std::unique_ptr<RecordStream> OpenGrpcRecordStream(
    v1::WorkerService::StubInterface* stub, CallRegistry* calls,
    std::function<void(v1::StreamRecordsResponse)> on_answer,
    std::function<void(absl::Status)> on_end) {
  auto reactor = std::make_shared<Reactor>(calls, std::move(on_answer), std::move(on_end));
  reactor->Start(stub, reactor);
  return std::make_unique<GrpcRecordStream>(std::move(reactor));
}

}  // namespace coppice::worker
