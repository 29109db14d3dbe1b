// The only conversion between absl::Status and grpc::Status. Both number the codes alike. The
// message is unchanged, except that a message too long for a header loses its end.
#ifndef COPPICE_COMMON_RPC_STATUS_H_
#define COPPICE_COMMON_RPC_STATUS_H_

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace coppice::rpc {

grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

// Sends the delay that a refusal asks for (common/base/retry_after.h) in the trailing metadata, as
// `grpc-retry-pushback-ms` of gRPC's retry design (gRFC A6). Must precede the end of the call.
// Sends nothing if the status asks for no delay.
void SendRetryAfter(const absl::Status& status, grpc::ServerContextBase* context);
// The status of a call that has ended, with that delay.
absl::Status FromGrpc(const grpc::Status& status, const grpc::ClientContext& context);

// True for a call that is worth another try with backoff: UNAVAILABLE, RESOURCE_EXHAUSTED,
// DEADLINE_EXCEEDED.
bool IsRetryable(const absl::Status& status);

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_STATUS_H_
