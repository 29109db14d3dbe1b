#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/confirm.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/sweep_view.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

struct DeleteOptions {
  std::string sweep;
  bool yes = false;
  bool dry_run = false;
};

std::string Counted(uint64_t count, const char* one, const char* many) {
  return absl::StrCat(FormatCount(count), " ", count == 1 ? one : many);
}

// "demo with 12 jobs (10 succeeded, 2 failed) and 24 checkpoints (3.1 MB)"
std::string WhatGoes(const v1::DeleteSweepResponse& what) {
  const std::string counts = CountsText(Terminal(), what.sweep().counts());
  return absl::StrCat(
      what.sweep().name(), " with ", Counted(what.sweep().jobs(), "job", "jobs"),
      counts.empty() ? "" : absl::StrCat(" (", counts, ")"), " and ",
      Counted(what.checkpoints(), "checkpoint", "checkpoints"),
      what.checkpoints() == 0 ? "" : absl::StrCat(" (", FormatBytes(what.checkpoint_bytes()), ")"));
}

absl::StatusOr<int> Delete(const DeleteOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  v1::DeleteSweepRequest request;
  COPPICE_ASSIGN_OR_RETURN(*request.mutable_name(), NamedSweep(options.sweep, client));
  request.set_dry_run(true);
  COPPICE_ASSIGN_OR_RETURN(v1::DeleteSweepResponse response, client->DeleteSweep(request));
  if (!options.dry_run) {
    if (!options.yes) {
      COPPICE_ASSIGN_OR_RETURN(const bool yes, Confirm(absl::StrCat("delete ", WhatGoes(response),
                                                                    "? This cannot be undone."),
                                                       context));
      if (!yes) {
        context->err << "nothing was deleted\n";
        return kExitFailed;
      }
    }
    // The sweep that was counted, even if another one has got its name meanwhile.
    request.set_id(response.sweep().id());
    request.set_dry_run(false);
    COPPICE_ASSIGN_OR_RETURN(response, client->DeleteSweep(request));
  }
  if (context->json) {
    context->out << ToJson(response);
  } else if (options.dry_run) {
    context->out << "would delete " << WhatGoes(response) << "; nothing was changed\n";
  } else {
    context->out << "deleted " << WhatGoes(response)
                 << "; the coordinator frees the space in the background\n";
  }
  return kExitDone;
}

}  // namespace

void AddDelete(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "delete", "Delete a sweep that has ended: its jobs, metrics, logs and checkpoints");
  const auto options = std::make_shared<DeleteOptions>();
  command->add_option("SWEEP", options->sweep, "Its name")->required();
  command->add_flag("--yes,-y", options->yes, "Do not ask");
  command->add_flag("--dry-run", options->dry_run, "Only say what would be deleted");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Delete(*options, context); }; });
}

}  // namespace coppice::cli
