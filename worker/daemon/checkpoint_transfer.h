#ifndef COPPICE_WORKER_DAEMON_CHECKPOINT_TRANSFER_H_
#define COPPICE_WORKER_DAEMON_CHECKPOINT_TRANSFER_H_

#include <grpcpp/client_context.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coppice/v1/coordinator.grpc.pb.h"

namespace coppice::worker {

// Checkpoint files over the wire, in pieces of at most 1 MiB. Both block on the network and the
// disk; the context carries the deadline.

// Sends header and file. The service's codes; DATA_LOSS when the file cannot be read or has another
// size than the header says.
absl::StatusOr<v1::UploadCheckpointResponse> SendCheckpointFile(
    v1::WorkerService::StubInterface* stub, grpc::ClientContext* context,
    const v1::CommitCheckpointRequest& header, const std::string& file);

// Receives into `file`, atomically; creates its folder. The service's codes; FAILED_PRECONDITION
// when the file cannot be written.
absl::Status ReceiveCheckpointFile(v1::WorkerService::StubInterface* stub,
                                   grpc::ClientContext* context,
                                   const v1::DownloadCheckpointRequest& request,
                                   const std::string& file);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_CHECKPOINT_TRANSFER_H_
