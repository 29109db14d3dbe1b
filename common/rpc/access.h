// Which coordinator a client or a worker means, and how it gets in.
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

// As flags and environment say it; empty: nothing was said.
struct AccessFlags {
  std::string coordinator{};
  std::string access{};   // the flag alone; its variable is looked up where it counts
  bool insecure = false;  // the same
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
  std::string warning;  // to tell the user once; empty: none
};

// In this order: --access; one of the credentials, by flag or variable; --insecure or its variable;
// COPPICE_ACCESS; the default file. --coordinator names another address in each case.
// INVALID_ARGUMENT for flags that exclude each other; NOT_FOUND when nothing says how to get in;
// FAILED_PRECONDITION when the file has ended or is for another caller; the codes of
// ReadAccessFile. Each message says what to do.
absl::StatusOr<Access> ResolveAccess(const AccessFlags& flags, Caller caller);

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_ACCESS_H_
