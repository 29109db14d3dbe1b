#ifndef COPPICE_COORDINATOR_COMMANDS_BACKUP_H_
#define COPPICE_COORDINATOR_COMMANDS_BACKUP_H_

#include <CLI/CLI.hpp>
#include <string>

#include "common/base/clock.h"
#include "coordinator/commands/command.h"

namespace coppice::commands {

// Adds `backup FILE [--force]`, which copies the database of `data_dir` (filled by the parser). A
// coordinator may be running on it. The pointers outlive the action.
void AddBackup(CLI::App* app, const std::string* data_dir, Clock* clock, Action* action);

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_BACKUP_H_
