#ifndef COPPICE_COORDINATOR_SERVICE_AUTHENTICATOR_H_
#define COPPICE_COORDINATOR_SERVICE_AUTHENTICATOR_H_

#include <grpcpp/security/auth_metadata_processor.h>

#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "coordinator/security/token_registry.h"

namespace coppice::service {

// Purpose: the one door. gRPC asks it about each call, unary or stream, known method or not, before
// any handler hears of it, so that no handler can forget to. Owner: the server's credentials.
// Thread-safe; does not block. Failure codes: UNAUTHENTICATED (no token, more than one, an unknown
// one), PERMISSION_DENIED (access.h). No message and no log line holds what was presented. The
// handlers find the token's name in the call's context (caller_of.h).
class Authenticator final : public grpc::AuthMetadataProcessor {
 public:
  // Both outlive the server.
  Authenticator(const security::TokenRegistry* tokens, Clock* clock)
      : tokens_(tokens), clock_(clock) {}

  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context,
                       OutputMetadata* consumed, OutputMetadata* response) override;

 private:
  // The name of the token that may make this call; empty for a call that needs none.
  absl::StatusOr<std::string> Check(const InputMetadata& metadata) const;
  // One line at most every few seconds: whoever guesses tokens shall not fill the disk.
  void LogRefusal(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  const security::TokenRegistry* const tokens_;
  Clock* const clock_;
  absl::Mutex mutex_;
  std::optional<absl::Duration> logged_ ABSL_GUARDED_BY(mutex_);
  uint64_t unlogged_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_AUTHENTICATOR_H_
