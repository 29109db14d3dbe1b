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
#include "coordinator/security/certificate_watch.h"
#include "coordinator/security/token_registry.h"
#include "coordinator/service/connection_guard.h"
#include "coordinator/service/disk_calls.h"
#include "coordinator/service/live_streams.h"
#include "coordinator/service/server_credentials.h"

namespace coppice::service {

// How callers prove who they are, and the server to them. Empty: it is not asked.
struct ServerSecurity {
  // PEM; both or none. With them the server speaks TLS only.
  std::string certificate;
  std::string key;
  // PEM of the authority whose clients may connect; empty: no client certificate is asked for.
  std::string client_authority;
  // Whose tokens are accepted; null: none is asked for. Outlives the server.
  security::TokenRegistry* tokens = nullptr;

  bool tls() const { return !certificate.empty(); }
};

// Whether callers may come in without proof, and from where.
enum class Insecure { kNo, kThisMachine, kAnywhere };

struct ServerOptions {
  std::string listen = "127.0.0.1:7070";  // HOST:PORT, [V6]:PORT or unix:/path; port 0: a free one
  Insecure insecure = Insecure::kNo;
  std::string checkpoint_root;   // an existing folder
  DiskCalls::Options disk = {};  // how long its files are waited for
  // Bounds on what clients may make it hold; past them it answers RESOURCE_EXHAUSTED, or reads on
  // only later.
  size_t max_streams = LiveStreams::kMaxStreams;
  size_t max_report_bytes = LiveStreams::kMaxReportBytes;
  ConnectionLimits connections = {};
  ServerSecurity security;
  // What clients are told of the certificates. May be empty; outlives the server; from any thread.
  std::function<std::vector<security::CertificateState>()> certificates;
};

// Purpose: both services, health and reflection on one address.
// Owner: main; destroyed before the coordinator and the clock. Thread-safe.
//   1. Start: the address is checked and bound.
//   2. CloseStreams, then core::Coordinator::Shutdown, then Shutdown: streams end with UNAVAILABLE,
//   waiting calls are answered, commits finish.
// Failure codes (of Start): INVALID_ARGUMENT (the address), FAILED_PRECONDITION (see CheckAddress),
// ALREADY_EXISTS (port in use), PERMISSION_DENIED (a privileged port), UNAVAILABLE (not an address
// of this machine). Each message says what to do.
class Server {
 public:
  // What can be said about the address before anything is opened: INVALID_ARGUMENT;
  // FAILED_PRECONDITION when callers would come in without proof (other machines: without TLS and
  // tokens) and nobody said insecure, and, insecure or not, when tokens would leave this machine
  // in plain text.
  static absl::Status CheckAddress(const std::string& listen, Insecure insecure,
                                   const ServerSecurity& security = {});
  static absl::StatusOr<std::unique_ptr<Server>> Start(core::Coordinator* core, Clock* clock,
                                                       const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Where it listens, with the port it got.
  const std::string& address() const;
  // What connections are shown from now on; those that are open stay. Whoever calls this has
  // checked it. Only for a server that speaks TLS; whether it asks for client certificates stays as
  // it is.
  void ReplaceIdentity(TlsIdentity identity);
  // Reports NOT_SERVING and ends every stream; new ones are refused.
  void CloseStreams();
  // Refuses new calls, waits up to `grace` for those in progress, cancels the rest. Idempotent.
  void Shutdown(absl::Duration grace);

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  const std::unique_ptr<Parts> parts_;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_SERVER_H_
