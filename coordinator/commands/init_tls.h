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
  std::vector<std::string> hosts;  // beside localhost, 127.0.0.1 and ::1
  int days = 365;
  bool client = false;  // also a certificate for mutual TLS
  bool renew = false;   // new certificates for the keys that are there
};

// Makes a folder (0700) with an authority, a server certificate and one token of each role, all or
// nothing: it is filled under another name and then renamed. Never replaces what is there:
// ALREADY_EXISTS. With `renew` signs new certificates in an existing folder; keys, authority and
// tokens stay. INVALID_ARGUMENT for a host that is none; else the codes of files.h. Says on stdout
// which file goes where, never what it holds.
absl::Status InitTls(const InitTlsOptions& options, Clock* clock);

// Adds `init-tls --dir DIR [--host HOST]... [--days N] [--client] [--renew]`.
void AddInitTls(CLI::App* app, Clock* clock, Action* action);

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_INIT_TLS_H_
