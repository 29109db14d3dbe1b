#include "cli/report/report.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/local/waits.h"
#include "cli/stop_watch.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

// A folder's name has at most 255 bytes; the hidden one beside it needs some.
constexpr size_t kMaxFolderBytes = 200;

// "coppice-report-a+b"
absl::StatusOr<std::string> FolderFor(const std::vector<std::string>& sweeps) {
  std::string folder = absl::StrCat("coppice-report-", absl::StrJoin(sweeps, "+"));
  if (folder.size() <= kMaxFolderBytes) return folder;
  return absl::InvalidArgumentError(
      "the sweeps' names are too long for a folder; name one with -o");
}

absl::StatusOr<int> WriteSweepReport(const std::vector<std::string>& names, ReportOptions options,
                                     Client* client, Context* context) {
  std::vector<std::string> sweeps;
  for (const std::string& name : names.empty() ? std::vector<std::string>{""} : names) {
    COPPICE_ASSIGN_OR_RETURN(sweeps.emplace_back(), ResolveSweep(client, name));
  }
  if (options.dir.empty()) {
    COPPICE_ASSIGN_OR_RETURN(options.dir, FolderFor(sweeps));
  }
  options.now_ms = Clock::Real()->NowMillis();
  COPPICE_ASSIGN_OR_RETURN(const ReportFiles files, WriteReport(client, sweeps, options));
  if (!files.joined.empty()) context->out << files.joined << "\n";
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

absl::StatusOr<int> Run(const std::vector<std::string>& names, ReportOptions options,
                        Context* context) {
  // Made before the client, whose threads must inherit the mask.
  COPPICE_ASSIGN_OR_RETURN(const auto signals, StopSignals::Block());
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  StopWatch watch(signals.get(), client);
  options.stop_fd = signals->fd();
  absl::StatusOr<int> code = WriteSweepReport(names, std::move(options), client, context);
  if (!code.ok() && IsReadable(signals->fd()))
    return absl::CancelledError("stopped; no report was written");
  return code;
}

}  // namespace

void AddReport(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "report", "Write a sweep's figures and tables: one HTML page, SVG, PDF and CSV files");
  const auto names = std::make_shared<std::vector<std::string>>();
  const auto options = std::make_shared<ReportOptions>();
  command->add_option("SWEEP", *names,
                      "Name of the sweep; not needed when there is one. Several are joined");
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
  command->callback([=] { *action = [=] { return Run(*names, *options, context); }; });
}

}  // namespace coppice::cli
