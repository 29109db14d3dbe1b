#ifndef COPPICE_COORDINATOR_COMMANDS_SERVING_H_
#define COPPICE_COORDINATOR_COMMANDS_SERVING_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "coordinator/commands/live_certificates.h"
#include "coordinator/commands/own_access.h"
#include "coordinator/commands/security_flags.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/service/server.h"

namespace coppice::commands {

// The address on which the coordinator serves, and its authentication.
struct ServingFlags {
  std::string listen;  // empty: 127.0.0.1:7070, or with its own access a free port if that is taken
  std::string access;  // empty: the account's default
  std::vector<std::string> hosts;
  bool insecure = false;
  bool insecure_anywhere = false;
  bool keda_scaler = false;
  SecurityFlags security;
};
void AddServingFlags(CLI::App* app, ServingFlags* flags);

// Purpose: makes a server from these flags. Owner: main; outlives the server. Not thread-safe.
//   1. Check, before anything is opened or made. INVALID_ARGUMENT (conflicting flags, not an
//      address), FAILED_PRECONDITION (open to others without --insecure; another coordinator's
//      access file); otherwise the codes of LoadSecurity.
//   2. Prepare, with the data folder locked, makes or renews the coordinator's own access.
//   3. Start starts the server, with the codes of service::Server::Start, and writes the access
//      file once it listens.
class Serving {
 public:
  static absl::StatusOr<Serving> Check(const ServingFlags& flags, const std::string& data_dir,
                                       Clock* clock);
  absl::Status Prepare(Clock* clock);
  absl::StatusOr<std::unique_ptr<service::Server>> Start(core::Coordinator* core, Clock* clock,
                                                         const std::string& checkpoint_root,
                                                         pools::Autoscaler* pools);

  // Whether there are files for Reload: tokens or certificates.
  bool reloads() const { return security_.tokens != nullptr || certificates_ != nullptr; }
  // Reads the files again while the server serves. Called from one thread. An unreadable file is
  // logged, and the old content stays in use.
  void Reload();

 private:
  void Tell(const std::string& address) const;

  std::optional<OwnAccess> own_;  // unset if flags give another access
  std::string listen_;
  service::Insecure insecure_ = service::Insecure::kNo;
  bool keda_scaler_ = false;
  LoadedSecurity security_;
  std::unique_ptr<LiveCertificates> certificates_;  // null: no TLS
};

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_SERVING_H_
