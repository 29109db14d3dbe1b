#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "cli/commands/commands.h"
#include "cli/follow.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/repainter.h"
#include "cli/select.h"
#include "cli/selection.h"
#include "cli/sweep_view.h"
#include "cli/table.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

// A watcher waits this long for a coordinator that went away.
constexpr absl::Duration kWatchPatience = absl::Minutes(10);

struct StatusOptions {
  std::string target;
  FilterFlags filter;
  bool watch = false;
};

void PrintLines(std::ostream& out, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) out << line << "\n";
  out << std::flush;
}

// The exit code of a sweep that was watched to its end.
int ExitCode(const v1::SweepSummary& ended) {
  return AllSucceeded(ended) ? kExitDone : kExitFailed;
}

absl::StatusOr<int> WatchJson(Client* client, const std::string& sweep, Context* context) {
  COPPICE_RETURN_IF_ERROR(client->WatchSweep(
      sweep, kWatchPatience, [] {},
      [&](const v1::WatchSweepResponse& update) {
        context->out << ToJson(update, false) << std::endl;
        return context->out.good();
      }));
  COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse ended, client->GetSweep(sweep));
  return ExitCode(ended.sweep());
}

absl::StatusOr<int> Watch(Client* client, const std::string& sweep, Context* context) {
  absl::Mutex mutex;
  SweepFollower follower(context->out, context->terminal, Clock::Real());
  absl::Status watching;
  {
    const Repainter repainter([&] {
      absl::MutexLock lock(&mutex);
      follower.Tick();
    });
    watching = FollowSweep(client, sweep, kWatchPatience, [&](SweepNews news) {
      absl::MutexLock lock(&mutex);
      follower.Take(std::move(news));
      return context->out.good();
    });
  }
  follower.Stop();
  COPPICE_RETURN_IF_ERROR(watching);
  SweepModel last;
  COPPICE_RETURN_IF_ERROR(last.Load(client, sweep));
  PrintLines(context->out, StatusLines(last, context->terminal));
  return ExitCode(last.summary());
}

// Selects a sweep, or some points of it.
absl::StatusOr<v1::JobFilter> SelectPoints(Client* client, const StatusOptions& options) {
  v1::JobFilter filter;
  const FilterFlags& flags = options.filter;
  if (!absl::StrContains(options.target, '/') && flags.tasks.empty() && flags.depths.empty() &&
      flags.where.empty()) {
    COPPICE_ASSIGN_OR_RETURN(*filter.mutable_sweep(), ResolveSweep(client, options.target));
    return filter;
  }
  if (options.watch) {
    return absl::InvalidArgumentError(
        "--watch follows a whole sweep; leave it out to see some of its points");
  }
  COPPICE_ASSIGN_OR_RETURN(filter, Select(client, options.target, flags));
  if (filter.seeds().empty() && filter.job_ids().empty()) return filter;
  return absl::InvalidArgumentError(
      "a status shows points with all their seeds; `coppice jobs` shows single jobs");
}

absl::StatusOr<int> StatusJson(Client* client, const v1::JobFilter& filter, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(v1::GetSweepResponse response, client->GetSweepWithRuns(filter.sweep()));
  KeepPoints(filter, response.mutable_groups());
  context->out << ToJson(response);
  return kExitDone;
}

absl::StatusOr<int> Status(const StatusOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const v1::JobFilter filter, SelectPoints(client, options));
  const std::string& sweep = filter.sweep();
  if (options.watch)
    return context->json ? WatchJson(client, sweep, context) : Watch(client, sweep, context);
  if (context->json) return StatusJson(client, filter, context);
  SweepModel model;
  COPPICE_RETURN_IF_ERROR(model.LoadPoints(client, filter));
  PrintLines(context->out, StatusLines(model, context->terminal));
  return kExitDone;
}

constexpr size_t kNoteWidth = 40;

absl::StatusOr<int> ListSweeps(const std::vector<std::string>& tags, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const v1::ListSweepsResponse response, client->ListSweeps(tags));
  if (context->json) {
    context->out << ToJson(response);
    return kExitDone;
  }
  if (response.sweeps().empty()) {
    context->out << (tags.empty()
                         ? "no sweep yet; submit one with `coppice submit SPEC`\n"
                         : "no sweep has all of these tags; `coppice list` shows every sweep\n");
    return kExitDone;
  }
  bool tagged = false, noted = false;
  for (const v1::SweepSummary& sweep : response.sweeps()) {
    tagged |= !sweep.tags().empty();
    noted |= !sweep.note().empty();
  }
  std::vector<Table::Column> columns = {
      {"sweep"}, {"jobs", Align::kRight}, {"done", Align::kRight},
      {"state"}, {"submitted"},           {"priority", Align::kRight}};
  if (tagged) columns.push_back({"tags"});
  if (noted) columns.push_back({"note"});
  Table table(std::move(columns));
  for (const v1::SweepSummary& sweep : response.sweeps()) {
    std::string state = CountsText(context->terminal, sweep.counts());
    if (sweep.paused()) state += " (paused)";
    std::vector<std::string> cells = {sweep.name(),
                                      FormatCount(sweep.jobs()),
                                      std::to_string(static_cast<int>(Fraction(sweep) * 100)) + "%",
                                      state,
                                      FormatTime(sweep.created_ms()),
                                      std::to_string(sweep.priority())};
    if (tagged) cells.push_back(absl::StrJoin(sweep.tags(), ", "));
    if (noted) cells.push_back(Truncate(PrintableLine(sweep.note()), kNoteWidth));
    table.AddRow(std::move(cells));
  }
  context->out << table.Render(context->terminal.width);
  return kExitDone;
}

}  // namespace

void AddStatus(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "status", "Show a sweep: a depth x seed table per task, totals, throughput, ETA");
  const auto options = std::make_shared<StatusOptions>();
  command->add_option("SWEEP", options->target,
                      "Its name, which may be left out where there is only one; or some of its "
                      "points, SWEEP/TASK[/DEPTH] or SWEEP/AXIS=VALUE/...");
  AddPointFlags(command, &options->filter);
  command->add_flag("--watch,-w", options->watch,
                    "Go on until every job has ended, with exit code 1 when one failed or was "
                    "cancelled; with --json one update a line");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Status(*options, context); }; });
}

void AddList(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("list", "List the sweeps");
  const auto tags = std::make_shared<std::vector<std::string>>();
  command->add_option("--tag", *tags, "Only sweeps with this tag; each of several must be there")
      ->allow_extra_args(false)
      ->delimiter(',');
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return ListSweeps(*tags, context); }; });
}

}  // namespace coppice::cli
