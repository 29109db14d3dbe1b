#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/commands/pool/pool.h"
#include "cli/json.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

// Prints the pool's new state as JSON, or the sentence.
absl::StatusOr<int> Done(Client* client, const std::string& name, const std::string& sentence,
                         Context* context) {
  if (!context->json) {
    context->out << sentence << "\n";
    return kExitDone;
  }
  COPPICE_ASSIGN_OR_RETURN(const v1::GetPoolResponse pool, client->GetPool(name));
  context->out << ToJson(pool);
  return kExitDone;
}

absl::StatusOr<int> SetMode(const std::string& name, v1::PoolMode mode, const char* sentence,
                            Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  v1::SetPoolModeRequest request;
  request.set_name(name);
  request.set_mode(mode);
  COPPICE_RETURN_IF_ERROR(client->SetPoolMode(request).status());
  return Done(client, name, absl::StrCat(name, sentence), context);
}

absl::StatusOr<int> Scale(const std::string& name, const std::string& workers, Context* context) {
  v1::ScalePoolRequest request;
  request.set_name(name);
  uint32_t target = 0;
  if (absl::SimpleAtoi(workers, &target)) {
    request.set_target(target);
  } else if (workers != "auto") {
    return absl::InvalidArgumentError(
        absl::StrCat("'", workers, "' is not a number of workers; give one, or auto"));
  }
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  COPPICE_RETURN_IF_ERROR(client->ScalePool(request).status());
  return Done(client, name,
              request.has_target()
                  ? absl::StrCat(name, " keeps ", target, target == 1 ? " worker" : " workers",
                                 " while there is work; `coppice pool scale ", name,
                                 " auto` lets the work decide again")
                  : absl::StrCat(name, " asks for as many workers as the work needs"),
              context);
}

absl::StatusOr<int> Remove(const std::string& name, bool cancel, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  v1::RemovePoolRequest request;
  request.set_name(name);
  request.set_cancel(cancel);
  COPPICE_ASSIGN_OR_RETURN(const v1::RemovePoolResponse response, client->RemovePool(request));
  if (context->json) {
    context->out << ToJson(response);
  } else {
    context->out << name << " is removed"
                 << (cancel ? "; what is queued is cancelled, what runs ends by itself" : "")
                 << "\n";
  }
  return kExitDone;
}

void AddMode(CLI::App* app, const char* verb, const char* help, v1::PoolMode mode,
             const char* sentence, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(verb, help);
  const auto name = std::make_shared<std::string>();
  command->add_option("POOL", *name, "Its name")->required();
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return SetMode(*name, mode, sentence, context); }; });
}

}  // namespace

void AddPoolControl(CLI::App* app, Context* context, Action* action) {
  CLI::App* scale = app->add_subcommand("scale", "Fix the number of a pool's workers");
  const auto name = std::make_shared<std::string>();
  const auto workers = std::make_shared<std::string>();
  scale->add_option("POOL", *name, "Its name")->required();
  scale->add_option("WORKERS", *workers, "A number, or auto: the work decides again")->required();
  AddJsonFlag(scale, context);
  scale->callback([=] { *action = [=] { return Scale(*name, *workers, context); }; });

  AddMode(app, "pause", "Let a pool submit nothing; its allocations stay", v1::POOL_PAUSED,
          " submits nothing more; what is queued or runs stays", context, action);
  AddMode(app, "resume", "Let a paused, draining or stopped pool go on", v1::POOL_RUNNING,
          " goes on", context, action);
  AddMode(app, "drain", "Let a pool submit nothing and cancel what is queued", v1::POOL_DRAINING,
          " submits nothing more and cancels what is queued; what runs ends by itself", context,
          action);

  CLI::App* remove = app->add_subcommand("remove", "Remove a pool");
  const auto gone = std::make_shared<std::string>();
  const auto cancel = std::make_shared<bool>(false);
  remove->add_option("POOL", *gone, "Its name")->required();
  remove->add_flag("--cancel", *cancel,
                   "Also while it has allocations: queued ones are cancelled, running ones end by "
                   "themselves");
  AddJsonFlag(remove, context);
  remove->callback([=] { *action = [=] { return Remove(*gone, *cancel, context); }; });
}

}  // namespace coppice::cli
