#ifndef COPPICE_COORDINATOR_SERVICE_SERVER_H_
#define COPPICE_COORDINATOR_SERVICE_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/pools/autoscaler.h"
#include "coordinator/security/certificate_watch.h"
#include "coordinator/security/token_registry.h"
#include "coordinator/service/connection_guard.h"
#include "coordinator/service/disk_calls.h"
#include "coordinator/service/live_streams.h"
#include "coordinator/service/server_credentials.h"

namespace coppice::service {

// The credentials that the server and its callers authenticate with. Empty: not required.
struct ServerSecurity {
  // PEM; both or neither. With them the server accepts only TLS.
  std::string certificate;
  std::string key;
  // PEM of the authority whose clients may connect. Empty: no client certificate is required.
  std::string client_authority;
  // The accepted tokens; null: no token is required. Outlives the server.
  security::TokenRegistry* tokens = nullptr;

  bool tls() const { return !certificate.empty(); }
};

// Whether callers may connect without authentication, and from where.
enum class Insecure { kNo, kThisMachine, kAnywhere };

struct ServerOptions {
  std::string listen = "127.0.0.1:7070";  // HOST:PORT, [V6]:PORT or unix:/path; port 0: a free one
  Insecure insecure = Insecure::kNo;
  std::string checkpoint_root;   // an existing folder
  DiskCalls::Options disk = {};  // time limits for its files
  // Bounds on what clients make the server hold. Beyond them it answers RESOURCE_EXHAUSTED, or
  // pauses reading.
  size_t max_streams = LiveStreams::kMaxStreams;
  size_t max_report_bytes = LiveStreams::kMaxReportBytes;
  ConnectionLimits connections = {};
  ServerSecurity security;
  bool keda_scaler = false;  // tell KEDA how many jobs are open (scaler_service.h)
  // The states of the certificates, for clients. May be empty. Outlives the server; called from any
  // thread.
  std::function<std::vector<security::CertificateState>()> certificates;
  // The pools; null: the calls about pools are refused. Outlives the server.
  pools::Autoscaler* pools = nullptr;
};

// Purpose: serves the three services, health, reflection and, if asked for, KEDA's calls on one
// address. Owner: main; destroyed before the coordinator and the clock. Thread-safe.
//   1. Start checks and binds the address.
//   2. CloseStreams, core::Coordinator::Shutdown and Shutdown follow in this order: streams end
//      with UNAVAILABLE, waiting calls are answered, commits finish.
// Failure codes (of Start): INVALID_ARGUMENT (the address), FAILED_PRECONDITION (see CheckAddress),
// ALREADY_EXISTS (port in use), PERMISSION_DENIED (a privileged port), UNAVAILABLE (not an address
// of this machine). Each message says what to do.
class Server {
 public:
  // Checks the address before anything is opened. INVALID_ARGUMENT: a malformed address.
  // FAILED_PRECONDITION: callers could connect without authentication (from other machines: without
  // TLS and tokens) and `insecure` does not allow it; or, whatever `insecure` says, tokens would
  // leave this machine in plain text.
  static absl::Status CheckAddress(const std::string& listen, Insecure insecure,
                                   const ServerSecurity& security = {});
  static absl::StatusOr<std::unique_ptr<Server>> Start(core::Coordinator* core, Clock* clock,
                                                       const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The address on which it listens, with the actual port.
  const std::string& address() const;
  // Sets the identity for new connections; open ones stay. The caller has checked it. Only for a
  // server with TLS. Does not change whether client certificates are required.
  void ReplaceIdentity(TlsIdentity identity);
  // Reports NOT_SERVING and ends every stream; new ones are refused.
  void CloseStreams();
  // Refuses new calls, waits up to `grace` for those in progress, and cancels the others.
  // Idempotent.
  void Shutdown(absl::Duration grace);

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  const std::unique_ptr<Parts> parts_;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_SERVER_H_
