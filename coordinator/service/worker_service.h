#ifndef COPPICE_COORDINATOR_SERVICE_WORKER_SERVICE_H_
#define COPPICE_COORDINATOR_SERVICE_WORKER_SERVICE_H_

#include "coordinator/service/checkpoint_streams.h"
#include "coordinator/service/live_streams.h"
#include "coppice/v1/coordinator.grpc.pb.h"

namespace coppice::service {

// Purpose: WorkerService, the RPCs for workers. Each handler decodes, calls the core and encodes.
// Owner: Server. Thread-safe; nothing blocks in a reaction. Failure codes: those of
// core::Coordinator, and INVALID_ARGUMENT from the decoding.
class WorkerServiceImpl final : public v1::WorkerService::CallbackService {
 public:
  WorkerServiceImpl(const TransferContext& context, LiveStreams* live)
      : context_(context), core_(context.core), live_(live) {}

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;
  Unary* Register(Context*, const v1::RegisterRequest*, v1::RegisterResponse*) override;
  Unary* AcquireLeases(Context*, const v1::AcquireLeasesRequest*,
                       v1::AcquireLeasesResponse*) override;
  Unary* Heartbeat(Context*, const v1::HeartbeatRequest*, v1::HeartbeatResponse*) override;
  Unary* Leave(Context*, const v1::LeaveRequest*, v1::LeaveResponse*) override;
  Unary* RejectCheckpoint(Context*, const v1::RejectCheckpointRequest*,
                          v1::RejectCheckpointResponse*) override;
  grpc::ServerBidiReactor<v1::StreamRecordsRequest, v1::StreamRecordsResponse>* StreamRecords(
      Context*) override;
  grpc::ServerReadReactor<v1::UploadCheckpointRequest>* UploadCheckpoint(
      Context*, v1::UploadCheckpointResponse*) override;
  grpc::ServerWriteReactor<v1::DownloadCheckpointResponse>* DownloadCheckpoint(
      Context*, const v1::DownloadCheckpointRequest*) override;

 private:
  const TransferContext context_;
  core::Coordinator* const core_;
  LiveStreams* const live_;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_WORKER_SERVICE_H_
