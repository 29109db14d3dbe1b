#ifndef COPPICE_COORDINATOR_COMMANDS_SECURITY_FLAGS_H_
#define COPPICE_COORDINATOR_COMMANDS_SECURITY_FLAGS_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "coordinator/security/token_registry.h"
#include "coordinator/service/server.h"

namespace coppice::commands {

// The serving coordinator's flags about who may come in.
struct SecurityFlags {
  std::string tls_dir;
  std::string tls_cert;
  std::string tls_key;
  std::string tls_client_ca;
  std::string tokens;
  bool require_client_cert = false;
};
// Nothing was said: the coordinator makes what it needs (own_access.h).
bool Unsaid(const SecurityFlags& flags);
void AddSecurityFlags(CLI::App* app, SecurityFlags* flags);

struct LoadedSecurity {
  SecurityFlags files;             // as given, with every name filled in
  service::ServerSecurity server;  // its `tokens` is the registry below
  std::unique_ptr<security::TokenRegistry> tokens;
};
// Reads the files that the flags name. INVALID_ARGUMENT (flags that do not go together, a file that
// is not what it should be), FAILED_PRECONDITION (a secret that others can read, a certificate that
// has expired, no token); else the codes of files.h. Each says what to do.
absl::StatusOr<LoadedSecurity> LoadSecurity(const SecurityFlags& flags, Clock* clock);
// Its part about TLS, from flags in which every name is filled in: a key that is not the
// certificate's, or that others may read, and a certificate that is not valid now are refused.
absl::Status LoadTls(const SecurityFlags& files, Clock* clock, service::ServerSecurity* server);

inline constexpr uint64_t kMaxPemBytes = 1 << 20;

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_SECURITY_FLAGS_H_
