#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

struct ControlOptions {
  std::string target;
  FilterFlags filter;
};

const char* Jobs(uint64_t count) { return count == 1 ? " job" : " jobs"; }

absl::StatusOr<int> Cancel(const ControlOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  COPPICE_ASSIGN_OR_RETURN(const v1::JobFilter filter,
                           SelectToChange(client, options.target, options.filter));
  COPPICE_ASSIGN_OR_RETURN(const v1::CancelJobsResponse response, client->CancelJobs(filter));
  if (context->json) {
    context->out << ToJson(response);
  } else if (response.cancelled() == 0) {
    context->out << "every job of " << filter.sweep()
                 << " that matches has ended already; nothing changed\n";
  } else {
    context->out << "cancelled " << FormatCount(response.cancelled()) << Jobs(response.cancelled())
                 << " of " << filter.sweep() << "; `coppice retry` brings them back\n";
  }
  return kExitDone;
}

absl::StatusOr<int> Retry(const ControlOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  COPPICE_ASSIGN_OR_RETURN(const v1::JobFilter filter,
                           SelectToChange(client, options.target, options.filter));
  COPPICE_ASSIGN_OR_RETURN(const v1::RetryJobsResponse response, client->RetryJobs(filter));
  if (context->json) {
    context->out << ToJson(response);
  } else if (response.retried() == 0) {
    context->out << "no failed or cancelled job of " << filter.sweep()
                 << " matches; nothing changed\n";
  } else {
    context->out << FormatCount(response.retried()) << Jobs(response.retried()) << " of "
                 << filter.sweep() << " wait again; they continue from their checkpoints\n";
  }
  return kExitDone;
}

absl::StatusOr<int> Pause(const std::string& name, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  COPPICE_ASSIGN_OR_RETURN(const std::string sweep, NamedSweep(name, client));
  COPPICE_ASSIGN_OR_RETURN(const v1::PauseSweepResponse response, client->PauseSweep(sweep));
  if (context->json) {
    context->out << ToJson(response);
  } else {
    context->out
        << sweep
        << " is paused: running jobs write a checkpoint and give their slots back; `coppice resume "
        << sweep << "` goes on\n";
  }
  return kExitDone;
}

absl::StatusOr<int> Resume(const std::string& name, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  COPPICE_ASSIGN_OR_RETURN(const std::string sweep, NamedSweep(name, client));
  COPPICE_ASSIGN_OR_RETURN(const v1::ResumeSweepResponse response, client->ResumeSweep(sweep));
  if (context->json) {
    context->out << ToJson(response);
  } else {
    context->out << sweep << " goes on\n";
  }
  return kExitDone;
}

constexpr char kTargetHelp[] = "SWEEP, SWEEP/TASK[/DEPTH[/SEED]] or a job number";

using NameAction = absl::StatusOr<int> (*)(const std::string&, Context*);

// The name is required even if there is only one sweep: a missing word must not pause or resume
// everything.
void AddByName(CLI::App* app, const char* verb, const char* help, NameAction run, Context* context,
               Action* action) {
  CLI::App* command = app->add_subcommand(verb, help);
  const auto name = std::make_shared<std::string>();
  command->add_option("SWEEP", *name, "Its name")->required();
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return run(*name, context); }; });
}

}  // namespace

absl::StatusOr<std::string> NamedSweep(const std::string& name, Client* client) {
  if (name.empty())
    return absl::InvalidArgumentError("'' names no sweep; name the sweep to change");
  return ResolveSweep(client, name);
}

void AddCancel(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("cancel", "End jobs that have not ended");
  const auto options = std::make_shared<ControlOptions>();
  command->add_option("SWEEP|JOB", options->target, kTargetHelp)->required();
  AddFilterFlags(command, &options->filter);
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Cancel(*options, context); }; });
}

void AddRetry(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "retry", "Put failed and cancelled jobs back in line, from their checkpoints");
  const auto options = std::make_shared<ControlOptions>();
  command->add_option("SWEEP|JOB", options->target, kTargetHelp)->required();
  AddFilterFlags(command, &options->filter);
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Retry(*options, context); }; });
}

void AddPause(CLI::App* app, Context* context, Action* action) {
  AddByName(app, "pause", "Let a sweep's jobs checkpoint and wait", Pause, context, action);
}

void AddResume(CLI::App* app, Context* context, Action* action) {
  AddByName(app, "resume", "Let a paused sweep go on", Resume, context, action);
}

}  // namespace coppice::cli
