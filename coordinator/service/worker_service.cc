#include "coordinator/service/worker_service.h"

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/build_info.h"
#include "coordinator/service/answer.h"
#include "coordinator/service/convert.h"
#include "coordinator/service/record_stream.h"

namespace coppice::service {
namespace {

// Records that the caller has gone away. The record outlives the reactor, because the core may
// check it later.
class AcquireReactor final : public grpc::ServerUnaryReactor {
 public:
  void OnCancel() override { cancelled_->store(true, std::memory_order_relaxed); }
  void OnDone() override { delete this; }

  std::function<bool()> cancelled() const {
    return [flag = cancelled_] { return flag->load(std::memory_order_relaxed); };
  }

 private:
  const std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace

grpc::ServerUnaryReactor* WorkerServiceImpl::Register(Context* context,
                                                      const v1::RegisterRequest* request,
                                                      v1::RegisterResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<RegisterArguments> arguments = RegisterFromProto(*request);
  if (!arguments.ok()) return Refuse(reactor, arguments.status());
  core_->Register(
      std::move(arguments->info), std::move(arguments->held),
      Answer<core::Registration>(reactor, [response](const core::Registration& registration) {
        ToProto(registration, response);
      }));
  return reactor;
}

grpc::ServerUnaryReactor* WorkerServiceImpl::AcquireLeases(Context* context,
                                                           const v1::AcquireLeasesRequest* request,
                                                           v1::AcquireLeasesResponse* response) {
  auto* reactor = new AcquireReactor;
  absl::StatusOr<core::AcquireRequest> acquire = AcquireFromProto(*request);
  if (!acquire.ok()) return Refuse(reactor, acquire.status());
  auto answer = Answer<core::LeaseGrant>(
      reactor, [response](const core::LeaseGrant& grant) { ToProto(grant, response); });
  core_->AcquireLeases(
      *std::move(acquire), reactor->cancelled(),
      [context, answer = std::move(answer)](absl::StatusOr<core::LeaseGrant> grant) {
        if (!grant.ok()) rpc::SendRetryAfter(grant.status(), context);
        answer(std::move(grant));
      });
  return reactor;
}

grpc::ServerUnaryReactor* WorkerServiceImpl::Heartbeat(Context* context,
                                                       const v1::HeartbeatRequest* request,
                                                       v1::HeartbeatResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<std::string> worker_id = WorkerIdFromProto(request->worker_id());
  if (!worker_id.ok()) return Refuse(reactor, worker_id.status());
  absl::StatusOr<std::vector<core::HeldLease>> held = HeldFromProto(request->held());
  if (!held.ok()) return Refuse(reactor, held.status());
  absl::StatusOr<core::BeatState> state = BeatFromProto(*request);
  if (!state.ok()) return Refuse(reactor, state.status());
  core_->Heartbeat(
      *std::move(worker_id), *std::move(held), *state,
      Answer<core::HeartbeatResult>(
          reactor, [response](const core::HeartbeatResult& result) { ToProto(result, response); }));
  return reactor;
}

grpc::ServerUnaryReactor* WorkerServiceImpl::Leave(Context* context,
                                                   const v1::LeaveRequest* request,
                                                   v1::LeaveResponse*) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<core::Departure> departure = DepartureFromProto(*request);
  if (!departure.ok()) return Refuse(reactor, departure.status());
  core_->Leave(*std::move(departure), Answer(reactor));
  return reactor;
}

grpc::ServerUnaryReactor* WorkerServiceImpl::RejectCheckpoint(
    Context* context, const v1::RejectCheckpointRequest* request,
    v1::RejectCheckpointResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<core::NamedCheckpoint> checkpoint = CheckpointFromProto(*request);
  if (!checkpoint.ok()) return Refuse(reactor, checkpoint.status());
  core_->RejectCheckpoint(*std::move(checkpoint), request->reason(),
                          Answer<std::optional<core::Checkpoint>>(
                              reactor, [response](const std::optional<core::Checkpoint>& resume) {
                                if (resume.has_value())
                                  ToProto(*resume, response->mutable_resume());
                              }));
  return reactor;
}

grpc::ServerBidiReactor<v1::StreamRecordsRequest, v1::StreamRecordsResponse>*
WorkerServiceImpl::StreamRecords(Context*) {
  return Launch<RecordStream>(live_, context_);
}

grpc::ServerReadReactor<v1::UploadCheckpointRequest>* WorkerServiceImpl::UploadCheckpoint(
    Context*, v1::UploadCheckpointResponse*) {
  return Launch<UploadStream>(live_, context_);
}

grpc::ServerWriteReactor<v1::DownloadCheckpointResponse>* WorkerServiceImpl::DownloadCheckpoint(
    Context*, const v1::DownloadCheckpointRequest* request) {
  absl::StatusOr<core::NamedCheckpoint> wanted = CheckpointFromProto(*request);
  if (!wanted.ok()) return RefuseStream<v1::DownloadCheckpointResponse>(wanted.status());
  return Launch<DownloadStream>(live_, context_, *std::move(wanted));
}

}  // namespace coppice::service
