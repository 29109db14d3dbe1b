#include "cli/report/report.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/local/waits.h"
#include "cli/stop_watch.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

absl::StatusOr<int> WriteSweepReport(const std::string& name, ReportOptions options, Client* client,
                                     Context* context) {
  COPPICE_ASSIGN_OR_RETURN(const std::string sweep, ResolveSweep(client, name));
  if (options.dir.empty()) options.dir = absl::StrCat("coppice-report-", sweep);
  options.now_ms = Clock::Real()->NowMillis();
  COPPICE_ASSIGN_OR_RETURN(const ReportFiles files, WriteReport(client, sweep, options));
  context->out << "report: " << files.index << " (" << files.figures
               << (files.figures == 1 ? " figure" : " figures") << ")\n";
  if (!files.warnings.empty())
    context->err << "coppice: warning: " << options.gnuplot
                 << " drew the figures, and wrote: " << Printable(files.warnings) << "\n"
                 << std::flush;
  if (!files.complete)
    context->out << "not every job has succeeded; the page says what is missing\n";
  context->out << std::flush;
  return kExitDone;
}

absl::StatusOr<int> Run(const std::string& name, ReportOptions options, Context* context) {
  // Made before the client, whose threads must inherit the mask.
  COPPICE_ASSIGN_OR_RETURN(const auto signals, StopSignals::Block());
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  StopWatch watch(signals.get(), client);
  options.stop_fd = signals->fd();
  absl::StatusOr<int> code = WriteSweepReport(name, std::move(options), client, context);
  if (!code.ok() && IsReadable(signals->fd()))
    return absl::CancelledError("stopped; no report was written");
  return code;
}

}  // namespace

void AddReport(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "report", "Write a sweep's figures and tables: one HTML page, SVG, PDF and CSV files");
  const auto name = std::make_shared<std::string>();
  const auto options = std::make_shared<ReportOptions>();
  command->add_option("SWEEP", *name, "Name of the sweep; not needed when there is one");
  command->add_option(
      "-o,--output", options->dir,
      "Folder to write; new, empty or an earlier report [./coppice-report-<sweep>]");
  command->add_option(
      "--panel", options->axes.panel,
      "A report by axes: a panel for each value of this one [task, or the outermost]");
  command->add_option(
      "--line", options->axes.line,
      "A report by axes: a line for each value of this one [depth, or the innermost]");
  command->add_option("--gnuplot", options->gnuplot, "The program that draws")
      ->capture_default_str();
  command->callback([=] { *action = [=] { return Run(*name, *options, context); }; });
}

}  // namespace coppice::cli
