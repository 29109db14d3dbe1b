// The access that a coordinator makes by itself when no flag gives another.
#ifndef COPPICE_COORDINATOR_COMMANDS_OWN_ACCESS_H_
#define COPPICE_COORDINATOR_COMMANDS_OWN_ACCESS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "coordinator/commands/command.h"
#include "coordinator/commands/security_flags.h"

namespace coppice::commands {

inline constexpr char kAccessFolder[] = "access";  // in the data folder
// A file in that folder with the address for clients. A start without --listen takes its port
// again.
inline constexpr char kAddressFile[] = "address";

struct OwnAccess {
  std::string data_dir;
  std::string file;                // the access file of this account's clients and workers
  std::string listen;              // as given; empty: a local port
  std::vector<std::string> hosts;  // for clients, besides the detected ones
};

// Makes an authority, server and client certificates and tokens in DATA-DIR/access, and the access
// file with which this account's programs find the coordinator. In this order:
//   1. CheckAccessFile, before anything is made. FAILED_PRECONDITION, with the remedy: the file is
//      not an access file or belongs to another coordinator. It belongs to this one if it holds its
//      authority or names its data folder.
//   2. MakeOwnAccess, with the data folder locked. At the first start it makes the folder, complete
//      or not at all. Later it signs new certificates when half of their time has passed or a host
//      name is missing.
//   3. Addresses returns the addresses to listen on, best first.
//   4. PublishAccess writes the access file atomically once the coordinator listens.
// Thread-compatible. Other codes: those of files.h and LoadSecurity.
absl::Status CheckAccessFile(const OwnAccess& own);
absl::StatusOr<SecurityFlags> MakeOwnAccess(const OwnAccess& own, Clock* clock);
std::vector<std::string> Addresses(const OwnAccess& own);
absl::Status PublishAccess(const OwnAccess& own, const std::string& listening);

// Adds `access export --role ROLE [--name NAME] FILE`, which writes an access file for others, with
// a new token and a new client certificate. The coordinator may be running.
void AddAccessExport(CLI::App* app, const std::string* data_dir, Clock* clock, Action* action);

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_OWN_ACCESS_H_
