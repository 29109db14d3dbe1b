// Runs the batch system's commands for a coordinator on a machine without them.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <memory>
#include <ostream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cli/commands/pool/pool.h"
#include "cli/local/waits.h"
#include "cli/stop_watch.h"
#include "common/base/command_runner.h"
#include "common/base/ids.h"
#include "common/base/printable.h"
#include "common/base/slurm_environment.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

constexpr absl::string_view kPrograms[] = {"sbatch", "squeue", "scontrol", "scancel"};
constexpr int kMaxArguments = 20'000;
constexpr absl::Duration kLongestLimit = absl::Minutes(5);
constexpr size_t kMaxOutput = 4 << 20;
constexpr absl::Duration kRetryPause = absl::Seconds(5);

// The coordinator may ask for Slurm's four commands and for nothing else.
absl::Status CheckCommand(const v1::CommandToRun& command) {
  if (command.argv().empty() || command.argv_size() > kMaxArguments) {
    return absl::FailedPreconditionError("a command without a program, or with too many arguments");
  }
  if (std::find(std::begin(kPrograms), std::end(kPrograms), command.argv(0)) ==
      std::end(kPrograms)) {
    return absl::FailedPreconditionError(
        absl::StrCat("'", PrintableLine(command.argv(0)), "' is none of Slurm's commands"));
  }
  const absl::Duration limit = absl::Milliseconds(command.limit_ms());
  if (limit <= absl::ZeroDuration() || limit > kLongestLimit) {
    return absl::FailedPreconditionError("a command without a sensible time limit");
  }
  return absl::OkStatus();
}

CommandResult RunHere(const v1::CommandToRun& asked, CommandRunner* runner) {
  CommandResult result;
  if (result.status = CheckCommand(asked); !result.status.ok()) return result;
  Command command;
  command.argv = {asked.argv().begin(), asked.argv().end()};
  command.environment = SlurmEnvironment(::environ);
  command.input = asked.input();
  command.folder = asked.folder();
  command.time_limit = absl::Milliseconds(asked.limit_ms());
  command.max_output = kMaxOutput;
  absl::Notification over;
  runner->Run(std::move(command), [&](CommandResult got) {
    result = std::move(got);
    over.Notify();
  });
  over.WaitForNotification();
  return result;
}

void FillAnswer(uint64_t id, CommandResult result, v1::CommandAnswer* answer) {
  answer->set_id(id);
  answer->set_end(result.status.ok()                          ? v1::CommandAnswer::EXITED
                  : absl::IsFailedPrecondition(result.status) ? v1::CommandAnswer::NOT_BEGUN
                                                              : v1::CommandAnswer::CUT_OFF);
  answer->set_message(PrintableLine(std::string(result.status.message()).substr(0, 1000)));
  answer->set_exit_code(result.code);
  answer->set_out(std::move(result.out));
  answer->set_err(std::move(result.err));
}

// A coordinator that is away is asked again, with the same answers, unless the pools only get one
// look.
absl::StatusOr<v1::RunCommandsResponse> Ask(Client* client, const v1::RunCommandsRequest& request,
                                            bool once, Context* context) {
  for (bool said = false;; said = true) {
    absl::StatusOr<v1::RunCommandsResponse> response = client->RunCommands(request);
    if (response.ok() || once || !absl::IsUnavailable(response.status())) return response;
    if (!said) context->err << "coppice: " << Printable(response.status().message()) << std::endl;
    COPPICE_RETURN_IF_ERROR(client->Wait(kRetryPause));
  }
}

// The goodbye, with the last answers: without it the coordinator keeps the next client waiting.
absl::Status Leave(v1::RunCommandsRequest request, Context* context) {
  request.set_leaving(true);
  // A stop has ended the calls of the other client, which has also given the warnings.
  std::ostringstream warnings;
  Context own(context->out, warnings, context->terminal);
  own.access = context->access;
  COPPICE_ASSIGN_OR_RETURN(Client * client, own.Connect());
  return client->RunCommands(request).status();
}

absl::StatusOr<int> RunCommands(bool once, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(const std::unique_ptr<StopSignals> signals, StopSignals::Block());
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  const StopWatch watch(signals.get(), client);
  LocalCommands runner;
  v1::RunCommandsRequest request;
  request.set_session(RandomId());
  request.set_host(HostName());
  int commands = 0;
  for (;;) {
    const absl::StatusOr<v1::RunCommandsResponse> response = Ask(client, request, once, context);
    const bool stopped = IsReadable(signals->fd());
    if (!response.ok() && stopped) break;
    COPPICE_RETURN_IF_ERROR(response.status());
    request.clear_answers();
    for (const v1::CommandToRun& command : response->commands()) {
      FillAnswer(command.id(), RunHere(command, &runner), request.add_answers());
      ++commands;
    }
    if (stopped || (once && response->settled())) break;
  }
  COPPICE_RETURN_IF_ERROR(Leave(request, context));
  context->out << "the pools have looked: " << commands << " of Slurm's commands have run\n";
  return kExitDone;
}

}  // namespace

void AddPoolRun(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "run",
      "Run Slurm's commands here, for a coordinator with --slurm-by-client on a machine without "
      "them");
  const auto once = std::make_shared<bool>(false);
  command->add_flag("--once", *once,
                    "Let the pools look once, and end: for cron or scrontab, every minute or so");
  command->callback([=] { *action = [=] { return RunCommands(*once, context); }; });
}

}  // namespace coppice::cli
