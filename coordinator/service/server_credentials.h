#ifndef COPPICE_COORDINATOR_SERVICE_SERVER_CREDENTIALS_H_
#define COPPICE_COORDINATOR_SERVICE_SERVER_CREDENTIALS_H_

#include <grpc/grpc_security.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace coppice::service {

// A TLS server's certificate and key, and the authority of the clients that it admits; all PEM. No
// authority: no client certificate is required.
struct TlsIdentity {
  std::string certificate;
  std::string key;
  std::string client_authority;
};

// Purpose: a TLS server's identity, which may change while it serves. gRPC asks for it at each
// handshake, so the next handshake uses a new identity and open connections stay as they are.
// gRPC's own mechanism watches files and uses their content at an arbitrary moment. Here only a
// checked identity is served, and no key is written anywhere. Owner: Server; one server each.
// Thread-safe. The caller of Replace has checked the identity (security_flags.h).
class ServedIdentity {
 public:
  explicit ServedIdentity(TlsIdentity identity) : identity_(std::move(identity)) {}
  void Replace(TlsIdentity identity);
  // Credentials for one server, which ends before this object. They require client certificates if
  // there is an authority at the time of the call.
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
