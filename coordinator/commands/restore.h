#ifndef COPPICE_COORDINATOR_COMMANDS_RESTORE_H_
#define COPPICE_COORDINATOR_COMMANDS_RESTORE_H_

#include <CLI/CLI.hpp>
#include <string>

#include "common/base/clock.h"
#include "coordinator/commands/command.h"

namespace coppice::commands {

// Adds `restore FILE [--force]`, which makes a backup the database of `data_dir` (filled by the
// parser). No coordinator may be running on it. The pointers outlive the action.
void AddRestore(CLI::App* app, const std::string* data_dir, Clock* clock, Action* action);

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_RESTORE_H_
