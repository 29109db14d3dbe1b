#ifndef COPPICE_COORDINATOR_SERVICE_AUTHENTICATOR_H_
#define COPPICE_COORDINATOR_SERVICE_AUTHENTICATOR_H_

#include <grpcpp/security/auth_metadata_processor.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "coordinator/security/token_registry.h"
#include "coordinator/service/refusal_log.h"

namespace coppice::service {

// Purpose: authenticates every call. gRPC asks it about each call, unary or stream, known method or
// not, before the handler runs, so no handler can forget the check. Owner: the server's
// credentials. Thread-safe; does not block. Failure codes: UNAUTHENTICATED (no token, more than
// one, an unknown one), PERMISSION_DENIED (access.h). No message and no log line contains the
// presented token. Handlers that store the token's name look it up again (caller_of.h).
class Authenticator final : public grpc::AuthMetadataProcessor {
 public:
  // All of them outlive the server.
  Authenticator(const security::TokenRegistry* tokens, Clock* clock, RefusalLog* refusals)
      : tokens_(tokens), clock_(clock), refusals_(refusals) {}

  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context,
                       OutputMetadata* consumed, OutputMetadata* response) override;

 private:
  struct Call {
    absl::string_view method;
    std::string token;  // its name; empty: an unknown token, or none is needed
  };
  absl::Status Check(const InputMetadata& metadata, Call* call) const;

  const security::TokenRegistry* const tokens_;
  Clock* const clock_;
  RefusalLog* const refusals_;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_AUTHENTICATOR_H_
