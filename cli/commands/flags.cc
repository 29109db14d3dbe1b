#include <CLI/CLI.hpp>

#include "cli/commands/commands.h"

namespace coppice::cli {

void AddJsonFlag(CLI::App* command, Context* context) {
  command->add_flag("--json", context->json,
                    "Print JSON: the messages of proto/coppice/v1 under their own field names");
}

void AddFilterFlags(CLI::App* command, FilterFlags* flags) {
  // Each value is one argument, so that a positional may follow.
  command->add_option("--task", flags->tasks, "Only these tasks: question, tense, dyck")
      ->allow_extra_args(false);
  command->add_option("--depth", flags->depths, "Only these depths, e.g. 2 or 2-6 or 2,4")
      ->allow_extra_args(false);
  command->add_option("--seed", flags->seeds, "Only these seeds, e.g. 0-9")
      ->allow_extra_args(false);
  command
      ->add_option("--state", flags->states,
                   "Only these states: pending, running, succeeded, failed, cancelled")
      ->allow_extra_args(false);
}

}  // namespace coppice::cli
