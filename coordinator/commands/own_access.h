// The access that a coordinator makes by itself where no flag says another.
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
// In that folder: by which address clients reach it. A start without --listen takes its port again.
inline constexpr char kAddressFile[] = "address";

struct OwnAccess {
  std::string data_dir;
  std::string file;                // the access file of this account's clients and workers
  std::string listen;              // as given; empty: a port of this machine's own
  std::vector<std::string> hosts;  // by which clients reach it, beside what is found out
};

// An authority, certificates, client's ones too, and tokens in DATA-DIR/access, and the access file
// by which this account's programs find the coordinator. In this order:
//   1. CheckAccessFile, before anything is made: FAILED_PRECONDITION, with the remedy, when the
//   access file is another coordinator's or no access file at all. It is this one's when it holds
//   its authority or names its data folder.
//   2. MakeOwnAccess, with the data folder locked: makes the folder (all or nothing) at the first
//   start; later signs new certificates when they are past half of their time or lack a host name.
//   3. Addresses: where to listen, the best first.
//   4. PublishAccess, once it listens: writes the access file in one step.
// Thread-compatible. Codes, beside those above: those of files.h and LoadSecurity.
absl::Status CheckAccessFile(const OwnAccess& own);
absl::StatusOr<SecurityFlags> MakeOwnAccess(const OwnAccess& own, Clock* clock);
std::vector<std::string> Addresses(const OwnAccess& own);
absl::Status PublishAccess(const OwnAccess& own, const std::string& listening);

// Adds `access export --role ROLE [--name NAME] FILE`: an access file to hand on, with a new token
// and a new client certificate. The coordinator may run meanwhile.
void AddAccessExport(CLI::App* app, const std::string* data_dir, Clock* clock, Action* action);

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_OWN_ACCESS_H_
