#ifndef COPPICE_WORKER_DAEMON_CHECKPOINT_TRANSFER_H_
#define COPPICE_WORKER_DAEMON_CHECKPOINT_TRANSFER_H_

#include <grpcpp/client_context.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coppice/v1/coordinator.grpc.pb.h"

namespace coppice::worker {

// Checkpoint files travel over the network in pieces of at most 1 MiB. Both calls block on the
// network and the disk. The context carries the deadline.

// Sends the header and the file. Codes: the service's; DATA_LOSS if the file cannot be read or its
// size differs from the header's.
absl::StatusOr<v1::UploadCheckpointResponse> SendCheckpointFile(
    v1::WorkerService::StubInterface* stub, grpc::ClientContext* context,
    const v1::CheckpointUpload& header, const std::string& file);

// Writes the received file to `file` atomically, and creates its folder. Codes: the service's;
// FAILED_PRECONDITION if the file cannot be written.
absl::Status ReceiveCheckpointFile(v1::WorkerService::StubInterface* stub,
                                   grpc::ClientContext* context,
                                   const v1::DownloadCheckpointRequest& request,
                                   const std::string& file);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_CHECKPOINT_TRANSFER_H_
