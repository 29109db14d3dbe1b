#include "cli/commands/pool/pool.h"

#include <CLI/CLI.hpp>

namespace coppice::cli {

void AddPool(CLI::App* app, Context* context, Action* action) {
  CLI::App* command =
      app->add_subcommand("pool", "Let the coordinator ask a batch system for workers");
  command->require_subcommand(1);
  AddPoolAdd(command, context, action);
  AddPoolList(command, context, action);
  AddPoolShow(command, context, action);
  AddPoolCheck(command, context, action);
  AddPoolRun(command, context, action);
  AddPoolControl(command, context, action);
}

}  // namespace coppice::cli
