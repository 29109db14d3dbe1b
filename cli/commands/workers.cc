#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/table.h"
#include "common/base/clock.h"
#include "common/base/nearest_word.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

std::string StateOf(const v1::Worker& worker) {
  return absl::StrCat(worker.connected() ? "connected" : "away",
                      worker.draining() ? ", draining" : "",
                      worker.suspect_until_ms() != 0 ? ", suspect" : "");
}

std::string EndOf(const v1::Worker& worker, int64_t now) {
  if (worker.ends_ms() == 0) return "-";
  if (worker.ends_ms() <= now) return "over";
  return absl::StrCat("in ", FormatDuration(static_cast<double>(worker.ends_ms() - now) / 1e3));
}

// Printed here because the machines' administrators see it: an expired certificate disconnects all
// workers.
void WarnOfCoordinator(const v1::ListWorkersResponse& response, Context* context) {
  for (const std::string& warning : response.warnings()) {
    context->out << "coordinator: " << warning << "\n";
  }
}

absl::StatusOr<int> Workers(Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const v1::ListWorkersResponse response, client->ListWorkers());
  if (context->json) {
    context->out << ToJson(response);
    return kExitDone;
  }
  if (response.workers().empty()) {
    context->out << "no worker has registered; start one with `coppice-worker --coordinator "
                 << client->address() << "`\n";
    WarnOfCoordinator(response, context);
    return kExitDone;
  }
  const int64_t now = Clock::Real()->NowMillis();
  Table table({{"worker"},
               {"host"},
               {"state"},
               {"slots", Align::kRight},
               {"pack", Align::kRight},
               {"jobs", Align::kRight},
               {"device"},
               {"checkpoints"},
               {"last heard"},
               {"ends"},
               {"version"}});
  for (const v1::Worker& worker : response.workers()) {
    const double ago = static_cast<double>(now - worker.last_seen_ms()) / 1e3;
    table.AddRow(
        {worker.name(), worker.host(), StateOf(worker), absl::StrCat(worker.slots()),
         absl::StrCat(worker.pack_width()), absl::StrCat(worker.running_jobs()), worker.device(),
         worker.shared_checkpoints() ? "shared" : "sent",
         worker.last_seen_ms() == 0 ? "-" : absl::StrCat(FormatDuration(ago < 0 ? 0 : ago), " ago"),
         EndOf(worker, now), worker.version()});
  }
  context->out << table.Render(context->terminal.width);
  for (const v1::Worker& worker : response.workers()) {
    if (worker.superseded_ms() == 0) continue;
    context->out << worker.name() << ": an older process of this name, on "
                 << worker.superseded_host() << ", was superseded and told to end at "
                 << FormatTime(worker.superseded_ms())
                 << "; if both are wanted, start each with a --name of its own.\n";
  }
  for (const v1::Worker& worker : response.workers()) {
    if (worker.suspect_until_ms() == 0) continue;
    const double left = static_cast<double>(worker.suspect_until_ms() - now) / 1e3;
    context->out << worker.name() << ": " << worker.suspect_reason() << "\n  It gets no work for "
                 << FormatDuration(left < 0 ? 0 : left)
                 << " while another worker is connected; starting it anew clears it.\n";
  }
  WarnOfCoordinator(response, context);
  return kExitDone;
}

absl::Status NoWorker(const std::string& name, Client* client) {
  std::vector<std::string> names;
  const absl::StatusOr<v1::ListWorkersResponse> list = client->ListWorkers();
  if (list.ok()) {
    for (const v1::Worker& worker : list->workers()) names.push_back(worker.name());
  }
  const std::string advice = DidYouMean(name, names);
  return absl::NotFoundError(
      absl::StrCat("the coordinator at ", client->address(), " has no worker '", name, "';",
                   advice.empty() ? " `coppice workers` shows those there are" : advice));
}

absl::StatusOr<int> Drain(const v1::DrainWorkerRequest& request, Context* context) {
  if (request.preempt() && request.undo()) {
    return absl::InvalidArgumentError("--preempt and --undo exclude each other; give one of them");
  }
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  const absl::StatusOr<v1::DrainWorkerResponse> drained = client->DrainWorker(request);
  if (absl::IsNotFound(drained.status())) return NoWorker(request.worker(), client);
  COPPICE_RETURN_IF_ERROR(drained.status());
  const v1::DrainWorkerResponse& response = *drained;
  if (context->json) {
    context->out << ToJson(response);
    return kExitDone;
  }
  const std::string& name = response.worker().name();
  if (request.undo()) {
    context->out << name << " takes jobs again\n";
  } else {
    context->out << name << " takes no new jobs; " << response.worker().running_jobs()
                 << " running "
                 << (request.preempt() ? "write a checkpoint and go elsewhere" : "finish there")
                 << "\n";
  }
  return kExitDone;
}

}  // namespace

void AddWorkers(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("workers", "List the workers");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Workers(context); }; });
}

void AddDrain(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("drain", "Let a worker take no new jobs");
  struct Options {
    std::string worker;
    bool preempt = false;
    bool undo = false;
  };
  const auto options = std::make_shared<Options>();
  command->add_option("WORKER", options->worker, "Its name or id")->required();
  command->add_flag("--preempt", options->preempt,
                    "Its running jobs write a checkpoint and give their slots back too");
  command->add_flag("--undo", options->undo, "Let it take jobs again");
  AddJsonFlag(command, context);
  command->callback([=] {
    *action = [=] {
      v1::DrainWorkerRequest request;
      request.set_worker(options->worker);
      request.set_preempt(options->preempt);
      request.set_undo(options->undo);
      return Drain(request, context);
    };
  });
}

}  // namespace coppice::cli
