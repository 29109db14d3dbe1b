#include "worker/daemon/grpc_coordinator_client.h"

#include <grpcpp/client_context.h>

#include <utility>

#include "absl/time/clock.h"
#include "common/base/executor.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "coppice/v1/coordinator.grpc.pb.h"
#include "worker/daemon/call_registry.h"
#include "worker/daemon/checkpoint_transfer.h"
#include "worker/daemon/grpc_record_stream.h"

namespace coppice::worker {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(15);
constexpr absl::Duration kLeaveTimeout = absl::Seconds(2);
// Added to the time that the coordinator is asked to wait.
constexpr absl::Duration kPollSlack = absl::Seconds(10);
constexpr absl::Duration kTransferTimeout = absl::Minutes(2);
constexpr uint64_t kSlowestBytesPerSecond = 1 << 20;
constexpr int kTransferThreads = 2;

using Async = v1::WorkerService::StubInterface::async_interface;
template <typename Request, typename Response>
using Method = void (Async::*)(grpc::ClientContext*, const Request*, Response*,
                               std::function<void(grpc::Status)>);

absl::Duration TransferTimeout(uint64_t bytes) {
  return kTransferTimeout + absl::Seconds(static_cast<int64_t>(bytes / kSlowestBytesPerSecond));
}

class GrpcCoordinatorClient : public CoordinatorClient {
 public:
  GrpcCoordinatorClient(std::shared_ptr<grpc::Channel> channel, std::string address, bool tls)
      : address_(std::move(address)),
        tls_(tls),
        stub_(v1::WorkerService::NewStub(channel)),
        transfers_(kTransferThreads) {}

  ~GrpcCoordinatorClient() override {
    calls_.CancelAll();
    transfers_.Shutdown();
    calls_.WaitForNone();
  }

  void Register(const v1::RegisterRequest& request,
                Callback<v1::RegisterResponse> callback) override {
    Unary<v1::RegisterRequest, v1::RegisterResponse>(&Async::Register, request, kCallTimeout,
                                                     std::move(callback));
  }
  void AcquireLeases(const v1::AcquireLeasesRequest& request,
                     Callback<v1::AcquireLeasesResponse> callback) override {
    Unary<v1::AcquireLeasesRequest, v1::AcquireLeasesResponse>(
        &Async::AcquireLeases, request, absl::Milliseconds(request.wait_ms()) + kPollSlack,
        std::move(callback), CallRegistry::Kind::kAcquire);
  }
  void CancelAcquires() override { calls_.Cancel(CallRegistry::Kind::kAcquire); }
  void Heartbeat(const v1::HeartbeatRequest& request,
                 Callback<v1::HeartbeatResponse> callback) override {
    Unary<v1::HeartbeatRequest, v1::HeartbeatResponse>(&Async::Heartbeat, request, kCallTimeout,
                                                       std::move(callback));
  }
  void Leave(const v1::LeaveRequest& request, Callback<v1::LeaveResponse> callback) override {
    Unary<v1::LeaveRequest, v1::LeaveResponse>(&Async::Leave, request, kLeaveTimeout,
                                               std::move(callback));
  }
  void RejectCheckpoint(const v1::RejectCheckpointRequest& request,
                        Callback<v1::RejectCheckpointResponse> callback) override {
    Unary<v1::RejectCheckpointRequest, v1::RejectCheckpointResponse>(
        &Async::RejectCheckpoint, request, kCallTimeout, std::move(callback));
  }

  void UploadCheckpoint(const v1::CheckpointUpload& header, const std::string& file,
                        Callback<v1::UploadCheckpointResponse> callback) override {
    const auto context = calls_.Begin(CallRegistry::Kind::kOther);
    const auto work = [this, context, header, file, callback] {
      // The deadline starts here: a transfer may have waited for another one.
      SetDeadline(context.get(), TransferTimeout(header.checkpoint().bytes()));
      callback(SendCheckpointFile(stub_.get(), context.get(), header, file));
    };
    if (!transfers_.Add(work)) callback(Refusal());
  }
  void DownloadCheckpoint(const v1::DownloadCheckpointRequest& request, uint64_t bytes,
                          const std::string& file,
                          std::function<void(absl::Status)> callback) override {
    const auto context = calls_.Begin(CallRegistry::Kind::kOther);
    const auto work = [this, context, request, bytes, file, callback] {
      SetDeadline(context.get(), TransferTimeout(bytes));
      callback(ReceiveCheckpointFile(stub_.get(), context.get(), request, file));
    };
    if (!transfers_.Add(work)) callback(Refusal());
  }

  std::unique_ptr<RecordStream> OpenRecords(
      std::function<void(v1::StreamRecordsResponse)> on_answer,
      std::function<void(absl::Status)> on_end) override {
    return OpenGrpcRecordStream(stub_.get(), &calls_, std::move(on_answer), std::move(on_end));
  }

  std::string Explain(const absl::Status& status) const override {
    return std::string(rpc::ExplainCallError(status, address_, tls_).message());
  }

 private:
  template <typename Request, typename Response>
  void Unary(Method<Request, Response> method, const Request& request, absl::Duration timeout,
             Callback<Response> callback, CallRegistry::Kind kind = CallRegistry::Kind::kOther) {
    struct State {
      Request request;
      Response response;
    };
    auto state = std::make_shared<State>();
    state->request = request;
    const auto context = calls_.Begin(kind);
    SetDeadline(context.get(), timeout);
    (stub_->async()->*method)(
        context.get(), &state->request, &state->response,
        [state, context, callback = std::move(callback)](const grpc::Status& status) {
          if (status.ok()) {
            callback(std::move(state->response));
          } else {
            callback(rpc::FromGrpc(status, *context));
          }
        });
  }

  static absl::Status Refusal() { return absl::CancelledError("the worker is stopping"); }

  const std::string address_;
  const bool tls_;
  const std::unique_ptr<v1::WorkerService::Stub> stub_;
  CallRegistry calls_;
  Executor transfers_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CoordinatorClient>> MakeGrpcCoordinatorClient(
    const std::string& address, const rpc::Credentials& credentials) {
  auto channel = rpc::MakeChannel(address, credentials);
  if (!channel.ok()) return channel.status();
  return std::make_unique<GrpcCoordinatorClient>(std::move(*channel), address, credentials.tls());
}

}  // namespace coppice::worker
