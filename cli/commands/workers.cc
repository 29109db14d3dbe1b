#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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
  if (worker.departed_ms() != 0) return "departed";
  return absl::StrCat(worker.connected() ? "connected" : "away",
                      worker.draining() ? ", draining" : "",
                      worker.suspect_until_ms() != 0 ? ", suspect" : "");
}

std::string EndOf(const v1::Worker& worker, int64_t now) {
  if (worker.ends_ms() == 0 || worker.departed_ms() != 0) return "-";
  if (worker.ends_ms() <= now) return "over";
  return absl::StrCat("in ", FormatDuration(static_cast<double>(worker.ends_ms() - now) / 1e3));
}

std::string HeardOf(const v1::Worker& worker, int64_t now) {
  if (worker.last_seen_ms() == 0) return "-";
  const double ago = static_cast<double>(now - worker.last_seen_ms()) / 1e3;
  return absl::StrCat(FormatDuration(ago < 0 ? 0 : ago), " ago");
}

std::string OrNone(const std::string& text) { return text.empty() ? "-" : text; }

// One column of the list. An optional one is left out if no worker has a value for it.
struct WorkerColumn {
  Table::Column column;
  bool optional = false;
  std::function<std::string(const v1::Worker&)> cell;  // "-": no value
};

std::vector<WorkerColumn> WorkerColumns(int64_t now) {
  using W = v1::Worker;
  const auto number = [](uint64_t value) { return value == 0 ? "-" : absl::StrCat(value); };
  return {
      {{"worker"}, false, [](const W& w) { return w.name(); }},
      {{"host"}, false, [](const W& w) { return w.host(); }},
      {{"state"}, false, StateOf},
      {{"slots", Align::kRight}, false, [](const W& w) { return absl::StrCat(w.slots()); }},
      {{"idle", Align::kRight}, true, [number](const W& w) { return number(w.idle_slots()); }},
      {{"pack", Align::kRight}, false, [](const W& w) { return absl::StrCat(w.pack_width()); }},
      {{"jobs", Align::kRight}, false, [](const W& w) { return absl::StrCat(w.running_jobs()); }},
      {{"batch job"}, true, [](const W& w) { return OrNone(w.allocation().job_id()); }},
      {{"requeued", Align::kRight},
       true,
       [number](const W& w) { return number(w.allocation().restarts()); }},
      {{"partition"}, true, [](const W& w) { return OrNone(w.allocation().partition()); }},
      {{"node"},
       true,
       [](const W& w) {
         return w.allocation().node() == w.host() ? "-" : OrNone(w.allocation().node());
       }},
      {{"GPUs"},
       true,
       [](const W& w) { return OrNone(absl::StrJoin(w.allocation().gpus(), ",")); }},
      {{"device"}, false, [](const W& w) { return w.device(); }},
      {{"checkpoints"},
       false,
       [](const W& w) { return std::string(w.shared_checkpoints() ? "shared" : "sent"); }},
      {{"last heard"}, false, [now](const W& w) { return HeardOf(w, now); }},
      {{"ends"}, false, [now](const W& w) { return EndOf(w, now); }},
      {{"version"}, false, [](const W& w) { return w.version(); }},
      {{"departed"}, true, [](const W& w) { return OrNone(w.departed_reason()); }},
  };
}

Table WorkerTable(const v1::ListWorkersResponse& response, int64_t now) {
  std::vector<WorkerColumn> shown;
  std::vector<Table::Column> columns;
  for (WorkerColumn& column : WorkerColumns(now)) {
    const bool filled =
        std::any_of(response.workers().begin(), response.workers().end(),
                    [&](const v1::Worker& worker) { return column.cell(worker) != "-"; });
    if (column.optional && !filled) continue;
    columns.push_back(column.column);
    shown.push_back(std::move(column));
  }
  Table table(std::move(columns));
  for (const v1::Worker& worker : response.workers()) {
    std::vector<std::string> cells;
    cells.reserve(shown.size());
    for (const WorkerColumn& column : shown) cells.push_back(column.cell(worker));
    table.AddRow(std::move(cells));
  }
  return table;
}

// Printed here because the machines' administrators see it: an expired certificate disconnects all
// workers.
void WarnOfCoordinator(const v1::ListWorkersResponse& response, Context* context) {
  for (const std::string& warning : response.warnings()) {
    context->out << "coordinator: " << warning << "\n";
  }
}

absl::StatusOr<int> Workers(bool all, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const v1::ListWorkersResponse response, client->ListWorkers(all));
  if (context->json) {
    context->out << ToJson(response);
    return kExitDone;
  }
  if (response.workers().empty()) {
    context->out << (all ? "no worker has registered" : "no worker is here") << "; ";
    const absl::StatusOr<v1::ListPoolsResponse> pools = client->ListPools();
    if (pools.ok() && !pools->pools().empty()) {
      context->out << "`coppice pool list` says when the pools bring some\n";
    } else {
      context->out << "start one with `coppice-worker --coordinator " << client->address() << "`\n";
    }
    WarnOfCoordinator(response, context);
    return kExitDone;
  }
  const int64_t now = Clock::Real()->NowMillis();
  context->out << WorkerTable(response, now).Render(context->terminal.width);
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
  const absl::StatusOr<v1::ListWorkersResponse> list = client->ListWorkers(/*all=*/true);
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

absl::StatusOr<int> Forget(const std::string& worker, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  const absl::StatusOr<v1::ForgetWorkerResponse> forgotten = client->ForgetWorker(worker);
  if (absl::IsNotFound(forgotten.status())) return NoWorker(worker, client);
  COPPICE_RETURN_IF_ERROR(forgotten.status());
  if (context->json) {
    context->out << ToJson(*forgotten);
  } else {
    context->out << forgotten->name() << " is forgotten\n";
  }
  return kExitDone;
}

}  // namespace

void AddWorkers(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("workers", "List the workers");
  const auto all = std::make_shared<bool>(false);
  command->add_flag("--all", *all, "The departed too: those that said goodbye or are long gone");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Workers(*all, context); }; });
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

void AddForget(CLI::App* app, Context* context, Action* action) {
  CLI::App* command =
      app->add_subcommand("forget", "Forget a worker that has departed, and a drain of its name");
  const auto worker = std::make_shared<std::string>();
  command->add_option("WORKER", *worker, "Its name or id")->required();
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Forget(*worker, context); }; });
}

}  // namespace coppice::cli
