// The one conversion between absl::Status and grpc::Status. The codes are the same numbers; the
// message travels unchanged, unless it is too long for a header: then its end is cut off.
#ifndef COPPICE_COMMON_RPC_STATUS_H_
#define COPPICE_COMMON_RPC_STATUS_H_

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace coppice::rpc {

grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

// The wish of a refusal (common/base/retry_after.h) travels in the trailing metadata, as gRPC's
// retry design (gRFC A6) has it: `grpc-retry-pushback-ms`. To be called before the call is
// finished; nothing is sent when the status has no such wish.
void SendRetryAfter(const absl::Status& status, grpc::ServerContextBase* context);
// The status of a call that has ended, with that wish.
absl::Status FromGrpc(const grpc::Status& status, const grpc::ClientContext& context);

// Worth another try with backoff: UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED.
bool IsRetryable(const absl::Status& status);

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_STATUS_H_
