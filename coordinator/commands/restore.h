#ifndef COPPICE_COORDINATOR_COMMANDS_RESTORE_H_
#define COPPICE_COORDINATOR_COMMANDS_RESTORE_H_

#include <CLI/CLI.hpp>
#include <string>

#include "common/base/clock.h"
#include "coordinator/commands/command.h"

namespace coppice::commands {

// Adds `restore FILE [--force]`: makes a backup the database of `data_dir` (filled by the parser),
// on which no coordinator may run. The pointers outlive the action.
void AddRestore(CLI::App* app, const std::string* data_dir, Clock* clock, Action* action);

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_RESTORE_H_
