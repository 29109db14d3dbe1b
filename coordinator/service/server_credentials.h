#ifndef COPPICE_COORDINATOR_SERVICE_SERVER_CREDENTIALS_H_
#define COPPICE_COORDINATOR_SERVICE_SERVER_CREDENTIALS_H_

#include <grpc/grpc_security.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace coppice::service {

// What a TLS server shows, and whom it lets in; PEM. No authority: no client certificate is asked.
struct TlsIdentity {
  std::string certificate;
  std::string key;
  std::string client_authority;
};

// Purpose: a TLS server's identity, which may change while it serves. gRPC asks for it at each
// handshake: the next one takes the new identity, and connections that are open stay as they are.
// gRPC's own way to a new certificate watches files, and takes whatever it finds in them at a
// moment of its own; here nothing is served that was not checked before, and no key is written
// anywhere. Owner: Server; one server each. Thread-safe. Whoever replaces it has checked it
// (security_flags.h).
class ServedIdentity {
 public:
  explicit ServedIdentity(TlsIdentity identity) : identity_(std::move(identity)) {}
  void Replace(TlsIdentity identity);
  // For one server, which ends before this does. Asks for client certificates when there is an
  // authority now.
  std::shared_ptr<grpc::ServerCredentials> Credentials();

 private:
  static grpc_ssl_certificate_config_reload_status Fetch(
      void* self, grpc_ssl_server_certificate_config** config);
  grpc_ssl_certificate_config_reload_status Take(grpc_ssl_server_certificate_config** config);

  absl::Mutex mutex_;
  TlsIdentity identity_ ABSL_GUARDED_BY(mutex_);
  bool taken_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_SERVER_CREDENTIALS_H_
