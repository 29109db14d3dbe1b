#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <ostream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/points.h"
#include "cli/sweep_model.h"
#include "cli/table.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

struct JobsOptions {
  std::string target;
  FilterFlags filter;
};

std::string OneLine(const std::string& text) {
  std::string line = Printable(text);
  for (char& c : line) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  return line;
}

std::string WorkerOf(const v1::Job& job) {
  if (job.silent_seconds() == 0) return job.worker();
  return absl::StrCat(job.worker(), ", no report for ", job.silent_seconds(), " s");
}

// Printed page by page, since a sweep may have millions of jobs.
absl::Status PrintJson(Client* client, const v1::JobFilter& filter, std::ostream& out) {
  bool first = true;
  out << "{\"jobs\": [";
  COPPICE_RETURN_IF_ERROR(client->ListJobs(filter, true, [&](const v1::ListJobsResponse& page) {
    for (const v1::Job& job : page.jobs()) {
      out << (first ? "\n" : ",\n") << ToJson(job, false);
      first = false;
    }
    return out.good();
  }));
  out << "\n]}\n";
  return absl::OkStatus();
}

// A folded table repeats these columns, which identify the job of a row, as far as other columns
// have room.
size_t PinnedColumns(const Terminal& terminal, size_t axes) {
  return terminal.width < 60 ? 1 : axes + 2;
}

// The axes of a job without seed, and its values on them.
std::vector<std::pair<std::string, std::string>> AxesOfJob(const v1::Job& job) {
  if (job.point().empty()) return {{"task", job.task()}, {"depth", absl::StrCat(job.depth())}};
  std::vector<std::pair<std::string, std::string>> axes;
  for (const v1::Coordinate& coordinate : job.point())
    axes.emplace_back(coordinate.axis(), coordinate.value());
  return axes;
}

Table TableOf(const v1::ListJobsResponse& page, const PrimaryMetrics& primary) {
  std::vector<Table::Column> columns = {{"job", Align::kRight}};
  for (const auto& [axis, value] : AxesOfJob(page.jobs(0)))
    columns.push_back({axis, axis == "task" ? Align::kLeft : Align::kRight});
  columns.insert(
      columns.end(),
      {{"seed", Align::kRight}, {"state"}, {"step", Align::kRight}, {"of", Align::kRight}});
  for (const std::string& name : primary.headers) columns.push_back({name, Align::kRight});
  columns.insert(columns.end(), {{"attempts", Align::kRight}, {"worker"}, {"reason"}});
  Table table(std::move(columns));
  for (const v1::Job& job : page.jobs()) {
    std::vector<std::string> cells = {absl::StrCat(job.id())};
    for (const auto& [axis, value] : AxesOfJob(job)) cells.push_back(value);
    cells.insert(cells.end(), {absl::StrCat(job.seed()), v1::JobState_Name(job.state()),
                               absl::StrCat(job.step()), absl::StrCat(job.steps())});
    for (const std::string& name : primary.names) {
      double value = 0;
      const bool known = LatestMetric(job, name, &value);
      cells.push_back(MetricCell(primary, value, known));
    }
    cells.insert(cells.end(), {absl::StrCat(job.attempts()), WorkerOf(job), OneLine(job.reason())});
    table.AddRow(std::move(cells));
  }
  return table;
}

// Only a program's sweep has metrics of its own, and a spec that must be asked for.
absl::StatusOr<PrimaryMetrics> FindPrimary(Client* client, const v1::Job& job) {
  if (!job.task().empty()) return PrimaryMetricsOf(v1::SweepSpec());
  COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse sweep, client->GetSweep(job.sweep()));
  return PrimaryMetricsOf(sweep.spec());
}

absl::StatusOr<int> Jobs(const JobsOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const v1::JobFilter filter,
                           Select(client, options.target, options.filter));
  if (context->json) {
    COPPICE_RETURN_IF_ERROR(PrintJson(client, filter, context->out));
    return kExitDone;
  }
  uint64_t shown = 0;
  std::optional<PrimaryMetrics> primary;
  absl::Status failure;
  // Each page is a table of its own, so that the first lines appear at once.
  COPPICE_RETURN_IF_ERROR(client->ListJobs(filter, true, [&](const v1::ListJobsResponse& page) {
    shown += static_cast<uint64_t>(page.jobs_size());
    if (page.jobs_size() == 0) return context->out.good();
    if (!primary.has_value()) {
      const absl::StatusOr<PrimaryMetrics> found = FindPrimary(client, page.jobs(0));
      failure = found.status();
      if (!failure.ok()) return false;
      primary = *found;
    }
    const size_t axes = AxesOfJob(page.jobs(0)).size();
    context->out << TableOf(page, *primary)
                        .Render(context->terminal.width, PinnedColumns(context->terminal, axes));
    return context->out.good();
  }));
  COPPICE_RETURN_IF_ERROR(failure);
  if (shown == 0) {
    COPPICE_ASSIGN_OR_RETURN(const std::string none, NoneInState(client, filter));
    context->out << none << "\n";
  }
  return kExitDone;
}

}  // namespace

void AddJobs(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("jobs", "List jobs");
  const auto options = std::make_shared<JobsOptions>();
  command->add_option("SWEEP", options->target,
                      "SWEEP, SWEEP/TASK[/DEPTH[/SEED]], SWEEP/AXIS=VALUE/... or a job number");
  AddFilterFlags(command, &options->filter);
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Jobs(*options, context); }; });
}

}  // namespace coppice::cli
