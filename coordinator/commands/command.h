#ifndef COPPICE_COORDINATOR_COMMANDS_COMMAND_H_
#define COPPICE_COORDINATOR_COMMANDS_COMMAND_H_

#include <functional>

#include "absl/status/status.h"

namespace coppice::commands {

// What a subcommand of coppice-coordinator does once the flags are read: set by the one that was
// given, and run by main instead of serving. Its error's message is printed as it is.
using Action = std::function<absl::Status()>;

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_COMMAND_H_
