#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

struct LogsOptions {
  std::string job;
  bool follow = false;
  uint64_t attempt = 0;
};

absl::StatusOr<int> Logs(const LogsOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  v1::GetLogsRequest request;
  COPPICE_ASSIGN_OR_RETURN(const uint64_t id, ResolveJob(client, options.job));
  request.set_job_id(id);
  request.set_attempt(options.attempt);
  request.set_follow(options.follow);
  const bool clean = context->terminal.interactive;
  bool any = false;
  COPPICE_RETURN_IF_ERROR(client->GetLogs(request, [&](const v1::GetLogsResponse& part) {
    any = true;
    if (context->json) {
      context->out << ToJson(part, false) << "\n";
    } else {
      // A file gets the raw bytes; a terminal must not be driven by them.
      context->out << (clean ? Printable(part.text()) : part.text());
    }
    context->out << std::flush;
    return context->out.good();
  }));
  if (!any && context->json) context->out << ToJson(v1::GetLogsResponse(), false) << "\n";
  if (!any && !context->json) context->err << "coppice: the trainer of this job wrote nothing\n";
  return kExitDone;
}

}  // namespace

void AddLogs(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("logs", "Print what a job's trainer wrote");
  const auto options = std::make_shared<LogsOptions>();
  command->add_option("JOB", options->job, "Its number, or SWEEP/TASK/DEPTH/SEED")->required();
  command->add_flag("--follow,-f", options->follow, "Go on until the job ends");
  command->add_option("--attempt", options->attempt, "Of this attempt instead of the newest");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Logs(*options, context); }; });
}

}  // namespace coppice::cli
