#ifndef COPPICE_WORKER_DAEMON_GRPC_COORDINATOR_CLIENT_H_
#define COPPICE_WORKER_DAEMON_GRPC_COORDINATOR_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/credentials.h"
#include "worker/daemon/coordinator_client.h"

namespace coppice::worker {

// WorkerService over a gRPC channel, by the callback API. Checkpoint files use two threads of the
// client, because they block on disks.
// Owner: main; it outlives the Agent. Thread-safe. It must not be destroyed in a callback:
// destruction cancels the calls in flight and waits until their callbacks have run and are freed.
// Codes as of rpc::MakeChannel.
absl::StatusOr<std::unique_ptr<CoordinatorClient>> MakeGrpcCoordinatorClient(
    const std::string& address, const rpc::Credentials& credentials = {});

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_GRPC_COORDINATOR_CLIENT_H_
