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

// Where the coordinator serves, and who may come in.
struct ServingFlags {
  std::string
      listen;  // empty: 127.0.0.1:7070; with access of its own, what is free where it is taken
  std::string access;  // empty: the account's own place
  std::vector<std::string> hosts;
  bool insecure = false;
  bool insecure_anywhere = false;
  SecurityFlags security;
};
void AddServingFlags(CLI::App* app, ServingFlags* flags);

// Purpose: from these flags to a server. Owner: main; outlives the server. Not thread-safe.
//   1. Check, before anything is opened or made. INVALID_ARGUMENT (flags that do not go together,
//   no address), FAILED_PRECONDITION (open to others and nobody said insecure; another
//   coordinator's access file); the codes of LoadSecurity.
//   2. Prepare, with the data folder locked: makes or renews the access of its own.
//   3. Start: the codes of service::Server::Start. The access file is written once it listens.
class Serving {
 public:
  static absl::StatusOr<Serving> Check(const ServingFlags& flags, const std::string& data_dir,
                                       Clock* clock);
  absl::Status Prepare(Clock* clock);
  absl::StatusOr<std::unique_ptr<service::Server>> Start(core::Coordinator* core, Clock* clock,
                                                         const std::string& checkpoint_root);

  // Whether there is something that Reload reads again: tokens, certificates.
  bool reloads() const { return security_.tokens != nullptr || certificates_ != nullptr; }
  // While the server serves; from one thread. What cannot be read is logged, and stays as it was.
  void Reload();

 private:
  void Tell(const std::string& address) const;

  std::optional<OwnAccess> own_;  // nothing where flags say another way in
  std::string listen_;
  service::Insecure insecure_ = service::Insecure::kNo;
  LoadedSecurity security_;
  std::unique_ptr<LiveCertificates> certificates_;  // null: no TLS
};

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_SERVING_H_
