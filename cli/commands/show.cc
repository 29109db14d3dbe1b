#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/table.h"
#include "common/base/status_macros.h"
#include "common/spec/spec.h"

namespace coppice::cli {
namespace {

constexpr int kEventsShown = 20;

void Heading(const Context& context, const std::string& text) {
  context.out << "\n" << Paint(context.terminal, Colour::kBold, text) << "\n";
}

// Returns only the first line: a message may carry a log's tail.
std::string FirstLine(const std::string& text) {
  const std::vector<std::string> lines = absl::StrSplit(Printable(text), absl::MaxSplits('\n', 1));
  return lines[0];
}

using WorkersByName = std::map<std::string, v1::Worker>;  // by name

// "hpc-120_4-0 (Slurm job 120_4, node n3, partition low)". The name alone if that process of the
// worker is not known any more, or was in no batch job.
std::string WorkerWithAllocation(const v1::Attempt& attempt, const WorkersByName& workers) {
  const auto found = workers.find(attempt.worker());
  if (found == workers.end() || attempt.granted_ms() < found->second.registered_ms()) {
    return attempt.worker();
  }
  const v1::Allocation& allocation = found->second.allocation();
  if (allocation.job_id().empty()) return attempt.worker();
  const std::string& node = allocation.node().empty() ? found->second.host() : allocation.node();
  return Printable(absl::StrCat(
      attempt.worker(), allocation.system() == "slurm" ? " (Slurm job " : " (batch job ",
      allocation.job_id(), node.empty() ? "" : ", node " + node,
      allocation.partition().empty() ? "" : ", partition " + allocation.partition(), ")"));
}

// The workers that are known by now, also those that have departed. None if they cannot be listed:
// the job itself is shown all the same.
WorkersByName KnownWorkers(Client* client) {
  WorkersByName workers;
  absl::StatusOr<v1::ListWorkersResponse> list = client->ListWorkers(/*all=*/true);
  if (!list.ok()) return workers;
  for (v1::Worker& worker : *list->mutable_workers()) {
    std::string name = worker.name();
    workers.emplace(std::move(name), std::move(worker));
  }
  return workers;
}

void PrintHead(const v1::Job& job, const Context& context) {
  std::ostream& out = context.out;
  out << "job " << job.id() << "  " << job.sweep() << "/" << JobName(job) << "  "
      << Paint(context.terminal, Colour::kBold, v1::JobState_Name(job.state()))
      << (job.paused() ? " (paused)" : "") << "\nstep " << job.step() << " of " << job.steps()
      << ", checkpoint at " << job.checkpoint_step() << ", attempt " << job.attempt() << ", "
      << job.attempts() << (job.attempts() == 1 ? " attempt, " : " attempts, ") << job.failures()
      << " charged\n";
  if (!job.worker().empty()) out << "worker " << job.worker() << "\n";
  if (!job.reason().empty()) out << "reason: " << Printable(job.reason()) << "\n";
  out << "created " << FormatTime(job.created_ms()) << ", started " << FormatTime(job.started_ms())
      << ", ended " << FormatTime(job.finished_ms()) << "\n";
}

void PrintMetrics(const v1::Job& job, const Context& context) {
  if (job.latest().empty()) return;
  Heading(context, "last metrics");
  Table table({{"name"}, {"value", Align::kRight}});
  std::vector<std::pair<std::string, double>> values;
  for (const v1::MetricValue& metric : job.latest())
    values.emplace_back(metric.name(), metric.value());
  std::sort(values.begin(), values.end());
  for (const auto& [name, value] : values) table.AddRow({name, FormatShort(value)});
  context.out << table.Render();
}

void PrintAttempts(const v1::GetJobResponse& response, const WorkersByName& workers,
                   const Context& context) {
  if (response.attempts().empty()) return;
  Heading(context, "attempts");
  Table table({{"attempt", Align::kRight},
               {"worker"},
               {"granted"},
               {"ended"},
               {"from", Align::kRight},
               {"to", Align::kRight},
               {"outcome"},
               {"message"}});
  for (const v1::Attempt& attempt : response.attempts()) {
    table.AddRow({absl::StrCat(attempt.number()), WorkerWithAllocation(attempt, workers),
                  FormatTime(attempt.granted_ms()), FormatTime(attempt.ended_ms()),
                  absl::StrCat(attempt.start_step()), absl::StrCat(attempt.end_step()),
                  attempt.outcome().empty() ? "running" : attempt.outcome(),
                  FirstLine(attempt.message())});
  }
  context.out << table.Render();
  const std::string& provenance = response.attempts(response.attempts_size() - 1).provenance();
  if (!provenance.empty())
    context.out << "provenance of the last: " << Printable(provenance) << "\n";
}

void PrintCheckpoints(const v1::GetJobResponse& response, const Context& context) {
  if (response.checkpoints().empty()) return;
  Heading(context, "checkpoints (the first is current)");
  Table table({{"step", Align::kRight},
               {"attempt", Align::kRight},
               {"size", Align::kRight},
               {"committed"},
               {"path"}});
  for (const v1::Checkpoint& checkpoint : response.checkpoints()) {
    table.AddRow({absl::StrCat(checkpoint.step()), absl::StrCat(checkpoint.attempt()),
                  FormatBytes(checkpoint.bytes()), FormatTime(checkpoint.committed_ms()),
                  checkpoint.path()});
  }
  context.out << table.Render();
}

void PrintEvents(const v1::GetJobResponse& response, bool all, const Context& context) {
  if (response.events().empty()) return;
  const int first = all ? 0 : std::max(0, response.events_size() - kEventsShown);
  Heading(context, first == 0 ? "events"
                              : absl::StrCat("events (the last ", kEventsShown, " of ",
                                             response.events_size(), "; --all shows them)"));
  Table table({{"time"}, {"attempt", Align::kRight}, {"event"}, {"message"}});
  for (int i = first; i < response.events_size(); ++i) {
    const v1::JobEvent& event = response.events(i);
    table.AddRow({FormatTime(event.time_ms()), absl::StrCat(event.attempt()), event.type(),
                  FirstLine(event.message())});
  }
  context.out << table.Render();
}

// Prints the client requests for the job's sweep, unless the coordinator does not list them.
void PrintOperations(const v1::GetSweepResponse& sweep, bool all, const Context& context) {
  if (sweep.operations().empty()) return;
  const int first = all ? 0 : std::max(0, sweep.operations_size() - kEventsShown);
  Heading(context, absl::StrCat("what was asked of the sweep ", sweep.sweep().name(), ", by whom"));
  Table table({{"time"}, {"what"}, {"which"}, {"who"}});
  for (int i = first; i < sweep.operations_size(); ++i) {
    const v1::Operation& operation = sweep.operations(i);
    table.AddRow({FormatTime(operation.time_ms()), Printable(operation.action()),
                  Printable(operation.detail()), Printable(operation.who())});
  }
  context.out << table.Render();
}

absl::StatusOr<int> ShowJob(const std::string& job, bool all, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const uint64_t id, ResolveJob(client, job));
  COPPICE_ASSIGN_OR_RETURN(const v1::GetJobResponse response, client->GetJob(id));
  if (context->json) {
    context->out << ToJson(response);
    return kExitDone;
  }
  PrintHead(response.job(), *context);
  PrintMetrics(response.job(), *context);
  PrintAttempts(response, KnownWorkers(client), *context);
  PrintCheckpoints(response, *context);
  PrintEvents(response, all, *context);
  const absl::StatusOr<v1::GetSweepResponse> sweep = client->GetSweep(response.job().sweep());
  if (sweep.ok()) PrintOperations(*sweep, all, *context);  // the job itself has been shown
  Heading(*context, "settings");
  context->out << spec::RunConfigToJson(response.run()) << "\n";
  return kExitDone;
}

absl::StatusOr<int> Why(const std::string& job, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const uint64_t id, ResolveJob(client, job));
  COPPICE_ASSIGN_OR_RETURN(const v1::ExplainJobResponse response, client->ExplainJob(id));
  if (context->json) {
    context->out << ToJson(response);
    return kExitDone;
  }
  context->out << "job " << id << "  " << response.job().sweep() << "/" << JobName(response.job())
               << "  " << v1::JobState_Name(response.job().state()) << "\n";
  for (const std::string& reason : response.reasons())
    context->out << "- " << Printable(reason) << "\n";
  return kExitDone;
}

constexpr char kJobHelp[] = "Its number, or SWEEP/TASK/DEPTH/SEED, e.g. demo/question/2/0";

}  // namespace

void AddShow(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "show", "Show a job: attempts, events, checkpoints, last metrics, settings");
  const auto job = std::make_shared<std::string>();
  const auto all = std::make_shared<bool>(false);
  command->add_option("JOB", *job, kJobHelp)->required();
  command->add_flag("--all", *all, "Every event, not only the last ones");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return ShowJob(*job, *all, context); }; });
}

void AddWhy(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("why", "Say why a job is where it is");
  const auto job = std::make_shared<std::string>();
  command->add_option("JOB", *job, kJobHelp)->required();
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Why(*job, context); }; });
}

}  // namespace coppice::cli
