#ifndef COPPICE_COORDINATOR_COMMANDS_COMMAND_H_
#define COPPICE_COORDINATOR_COMMANDS_COMMAND_H_

#include <functional>

#include "absl/status/status.h"

namespace coppice::commands {

// The action of a subcommand of coppice-coordinator. The given subcommand sets it while the flags
// are read, and main runs it instead of serving. An error's message is printed unchanged.
using Action = std::function<absl::Status()>;

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_COMMAND_H_
