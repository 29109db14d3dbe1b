#include "cli/completion.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cli/commands/commands.h"

namespace coppice::cli {

void AddCompletion(CLI::App* root, Context* context, Action* action) {
  CLI::App* command = root->add_subcommand(
      "completion", "Print a completion script, for example: source <(coppice completion bash)");
  const auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([=] {
    *action = [=]() -> absl::StatusOr<int> {
      context->out << CompletionScript(*shell);
      return kExitDone;
    };
  });
}

}  // namespace coppice::cli
