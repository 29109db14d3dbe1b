#include "cli/report/report.h"

#include "absl/strings/str_cat.h"
#include "cli/format.h"
#include "cli/report/analysis.h"
#include "cli/report/figures.h"
#include "cli/report/gnuplot.h"
#include "cli/report/page.h"
#include "cli/report/report_folder.h"
#include "cli/report/series.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

constexpr uint64_t kMaxJobs = 20'000;

// Draws a figure into `dir`; its SVG.
absl::StatusOr<std::string> Draw(const Figure& figure, const std::string& dir,
                                 const std::string& gnuplot) {
  const std::string script = absl::StrCat(figure.name, ".gp");
  const std::string svg_path = JoinPath(dir, figure.name + ".svg");
  COPPICE_RETURN_IF_ERROR(
      WriteFileAtomically(JoinPath(dir, script), figure.plot.Script(figure.name)));
  COPPICE_RETURN_IF_ERROR(WriteFileAtomically(JoinPath(dir, figure.name + ".csv"), figure.csv));
  COPPICE_RETURN_IF_ERROR(RunGnuplot(gnuplot, dir, script));
  COPPICE_ASSIGN_OR_RETURN(std::string svg, ReadFile(svg_path));
  svg = TidySvg(std::move(svg), figure.title);
  COPPICE_RETURN_IF_ERROR(WriteFileAtomically(svg_path, svg));
  return svg;
}

absl::Status CheckSize(Client* client, const std::string& sweep) {
  COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse found, client->GetSweep(sweep));
  if (found.sweep().jobs() <= kMaxJobs) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the sweep has ", FormatCount(found.sweep().jobs()), " jobs; a report shows at most ",
      FormatCount(kMaxJobs), "; use `coppice metrics ", sweep, " --csv`"));
}

}  // namespace

absl::StatusOr<ReportFiles> WriteReport(Client* client, const std::string& sweep,
                                        const ReportOptions& options) {
  COPPICE_RETURN_IF_ERROR(FindGnuplot(options.gnuplot));
  COPPICE_RETURN_IF_ERROR(CheckSize(client, sweep));
  COPPICE_ASSIGN_OR_RETURN(ReportFolder folder, ReportFolder::Prepare(options.dir));
  COPPICE_ASSIGN_OR_RETURN(const SweepSeries series, CollectSeries(client, sweep));
  const std::vector<TaskResult> tasks = Analyze(series);
  const FigureSet figures = MakeFigures(series, tasks);
  std::vector<std::string> svgs;
  for (const Figure& figure : figures.figures) {
    COPPICE_ASSIGN_OR_RETURN(svgs.emplace_back(),
                             Draw(figure, JoinPath(folder.path(), "figures"), options.gnuplot));
  }
  const auto write = [&](const char* name, const std::string& text) {
    return WriteFileAtomically(JoinPath(folder.path(), name), text);
  };
  COPPICE_RETURN_IF_ERROR(write("summary.csv", SummaryCsv(tasks)));
  COPPICE_RETURN_IF_ERROR(write("jobs.csv", JobsCsv(series)));
  COPPICE_RETURN_IF_ERROR(
      write("index.html", MakePage({series, tasks, figures, svgs, options.now_ms})));
  COPPICE_RETURN_IF_ERROR(folder.Publish());
  const v1::SweepSummary& summary = series.sweep.sweep();
  return ReportFiles{JoinPath(folder.destination(), "index.html"), figures.figures.size(),
                     summary.counts().succeeded() == summary.jobs()};
}

}  // namespace coppice::cli
