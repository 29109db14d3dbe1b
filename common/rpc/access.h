// The coordinator that a client or a worker uses, and its credentials for it.
#ifndef COPPICE_COMMON_RPC_ACCESS_H_
#define COPPICE_COMMON_RPC_ACCESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/access_file.h"
#include "common/rpc/credentials.h"

namespace coppice::rpc {

inline constexpr char kCoordinatorVariable[] = "COPPICE_COORDINATOR";
inline constexpr char kAccessVariable[] = "COPPICE_ACCESS";
inline constexpr char kInsecureVariable[] = "COPPICE_INSECURE";

// The values of flags and environment variables. Empty: not set.
struct AccessFlags {
  std::string coordinator{};
  std::string access{};   // the flag only; ResolveAccess reads the variable
  bool insecure = false;  // likewise
  Credentials credentials{};
};

// Adds --coordinator, --access, --insecure and the flags of AddCredentialFlags.
template <typename App>
void AddAccessFlags(App* app, AccessFlags* flags) {
  app->add_option(
         "--coordinator", flags->coordinator,
         "Coordinator's address, HOST:PORT or unix:PATH (default: as the access file says)")
      ->type_name("ADDRESS")
      ->envname(kCoordinatorVariable);
  app->add_option(
         "--access", flags->access,
         "File with the coordinator's address and all that it asks for, as the coordinator "
         "or `coppice access export` wrote it; also COPPICE_ACCESS (default: "
         "~/.config/coppice/access.json). Not read with one of the next four, which are "
         "for coordinators that were given certificates or tokens of their own")
      ->type_name("FILE");
  AddCredentialFlags(app, &flags->credentials);
  app->add_flag("--insecure", flags->insecure,
                "Talk in plain text and show nothing, to a coordinator that was started with "
                "--insecure; also COPPICE_INSECURE=1");
  TakeTokenFromEnvironment(&flags->credentials);
}

struct Access {
  std::string address;
  Credentials credentials;
  std::string file;     // the access file; empty: none was used
  std::string warning;  // to be shown to the user once; empty: none
};

// Uses the first that is given, in this order: --access; one of the credentials, by flag or
// variable; --insecure or its variable; COPPICE_ACCESS; the default file. In each case
// --coordinator overrides the address. INVALID_ARGUMENT: flags exclude each other. NOT_FOUND: no
// access is given. FAILED_PRECONDITION: the file has expired or is for another caller. Otherwise
// the codes of ReadAccessFile. Each message says what to do.
absl::StatusOr<Access> ResolveAccess(const AccessFlags& flags, Caller caller);

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_ACCESS_H_
