#ifndef COPPICE_COORDINATOR_COMMANDS_INIT_TLS_H_
#define COPPICE_COORDINATOR_COMMANDS_INIT_TLS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "coordinator/commands/command.h"

namespace coppice::commands {

struct InitTlsOptions {
  std::string dir;
  std::vector<std::string> hosts;  // besides localhost, 127.0.0.1 and ::1
  int days = 365;
  bool client = false;  // also make a certificate for mutual TLS
  bool renew = false;   // make new certificates for the existing keys
};

// Makes a folder (0700) with an authority, a server certificate and one token of each role. The
// folder is filled under another name and then renamed, so it appears complete or not at all. Never
// replaces anything: ALREADY_EXISTS. With `renew` it signs new certificates in an existing folder;
// keys, authority and tokens stay. INVALID_ARGUMENT: an invalid host. Otherwise the codes of
// files.h. Prints to stdout where each file belongs, never its content.
absl::Status InitTls(const InitTlsOptions& options, Clock* clock);

// Adds `init-tls --dir DIR [--host HOST]... [--days N] [--client] [--renew]`.
void AddInitTls(CLI::App* app, Clock* clock, Action* action);

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_INIT_TLS_H_
