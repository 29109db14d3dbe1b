#ifndef COPPICE_WORKER_DAEMON_GRPC_COORDINATOR_CLIENT_H_
#define COPPICE_WORKER_DAEMON_GRPC_COORDINATOR_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/credentials.h"
#include "worker/daemon/coordinator_client.h"

namespace coppice::worker {

// WorkerService over a gRPC channel, callback API; checkpoint files pass through two threads of its
// own, because they block on disks. Owned by main, outlives the Agent. Thread-safe. Destruction,
// never from a callback, cancels what is in flight and waits until its callbacks have run and are
// gone. The codes of rpc::MakeChannel.
absl::StatusOr<std::unique_ptr<CoordinatorClient>> MakeGrpcCoordinatorClient(
    const std::string& address, const rpc::Credentials& credentials = {});

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_GRPC_COORDINATOR_CLIENT_H_
