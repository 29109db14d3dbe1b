#ifndef COPPICE_COORDINATOR_SERVICE_CALLER_OF_H_
#define COPPICE_COORDINATOR_SERVICE_CALLER_OF_H_

#include <grpcpp/support/server_callback.h>

#include "coordinator/core/caller.h"

namespace coppice::service {

// Who is behind a unary call. The context lives until the call is answered.
inline core::Caller CallerOf(const grpc::CallbackServerContext* context) {
  return {context->peer(), [context] { return context->IsCancelled(); }};
}

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_CALLER_OF_H_
