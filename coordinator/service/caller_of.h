#ifndef COPPICE_COORDINATOR_SERVICE_CALLER_OF_H_
#define COPPICE_COORDINATOR_SERVICE_CALLER_OF_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "coordinator/core/caller.h"
#include "coordinator/security/token_registry.h"

namespace coppice::service {

// The metadata entry of a call that holds its token.
inline constexpr char kAuthorization[] = "authorization";
inline constexpr absl::string_view kBearer = "Bearer ";

// The client behind a unary call. The context lives until the call is answered.
inline core::Caller CallerOf(const grpc::CallbackServerContext* context) {
  return {context->peer(), "", [context] { return context->IsCancelled(); }};
}

// The same, with the name of the call's token, for requests that are stored under that name. The
// token is looked up again, because the authenticator cannot pass the name on: gRPC's auth context
// of a call belongs to the whole connection and has its lifetime.
inline core::Caller NamedCallerOf(const grpc::CallbackServerContext* context,
                                  const security::TokenRegistry* tokens) {
  core::Caller caller = CallerOf(context);
  const auto& metadata = context->client_metadata();
  const auto found = metadata.find(kAuthorization);
  if (tokens == nullptr || found == metadata.end()) return caller;
  const absl::string_view value(found->second.data(), found->second.size());
  if (value.size() <= kBearer.size()) return caller;
  const auto table = tokens->table();
  const security::TokenRecord* const record = table->Find(value.substr(kBearer.size()));
  if (record != nullptr) caller.name = record->name;
  return caller;
}

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_CALLER_OF_H_
