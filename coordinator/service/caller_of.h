#ifndef COPPICE_COORDINATOR_SERVICE_CALLER_OF_H_
#define COPPICE_COORDINATOR_SERVICE_CALLER_OF_H_

#include <grpcpp/support/server_callback.h>

#include <string>

#include "coordinator/core/caller.h"

namespace coppice::service {

// Under this name the authenticator notes whose token a call came with.
inline constexpr char kTokenProperty[] = "coppice-token";

// The client behind a unary call. The context lives until the call is answered.
inline core::Caller CallerOf(const grpc::CallbackServerContext* context) {
  core::Caller caller{context->peer(), "", [context] { return context->IsCancelled(); }};
  if (const auto auth = context->auth_context(); auth != nullptr) {
    for (const grpc::string_ref& name : auth->FindPropertyValues(kTokenProperty)) {
      caller.name.assign(name.data(), name.size());
    }
  }
  return caller;
}

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_CALLER_OF_H_
