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

// The serving coordinator's flags for authentication.
struct SecurityFlags {
  std::string tls_dir;
  std::string tls_cert;
  std::string tls_key;
  std::string tls_client_ca;
  std::string tokens;
  bool require_client_cert = false;
};
// True if no flag was given: the coordinator makes its own access (own_access.h).
bool Unsaid(const SecurityFlags& flags);
void AddSecurityFlags(CLI::App* app, SecurityFlags* flags);

struct LoadedSecurity {
  SecurityFlags files;             // as given, with every name filled in
  service::ServerSecurity server;  // its `tokens` is the registry below
  std::unique_ptr<security::TokenRegistry> tokens;
};
// Reads the files that the flags name. INVALID_ARGUMENT (conflicting flags, a file with the wrong
// content), FAILED_PRECONDITION (a secret that others can read, an expired certificate, no token);
// otherwise the codes of files.h. Each message says what to do.
absl::StatusOr<LoadedSecurity> LoadSecurity(const SecurityFlags& flags, Clock* clock);
// The TLS part of LoadSecurity, from flags with every name filled in. Refuses a key that does not
// belong to the certificate or that others may read, and a certificate that is not valid now.
absl::Status LoadTls(const SecurityFlags& files, Clock* clock, service::ServerSecurity* server);

inline constexpr uint64_t kMaxPemBytes = 1 << 20;

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_SECURITY_FLAGS_H_
