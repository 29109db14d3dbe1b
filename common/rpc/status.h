// The one conversion between absl::Status and grpc::Status. The codes are the same numbers; the message travels unchanged, unless it is too long for a header: then its
// end is cut off.
#ifndef COPPICE_COMMON_RPC_STATUS_H_
#define COPPICE_COMMON_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace coppice::rpc {

grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

// Worth another try with backoff: UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED.
bool IsRetryable(const absl::Status& status);

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_STATUS_H_
