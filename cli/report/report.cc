#include "cli/report/report.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "cli/format.h"
#include "cli/local/waits.h"
#include "cli/report/analysis.h"
#include "cli/report/axes_figures.h"
#include "cli/report/axes_series.h"
#include "cli/report/figures.h"
#include "cli/report/gnuplot.h"
#include "cli/report/join.h"
#include "cli/report/page.h"
#include "cli/report/report_folder.h"
#include "cli/report/series.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/spec/axes.h"

namespace coppice::cli {
namespace {

constexpr uint64_t kMaxJobs = 20'000;

// Draws figures into one folder. Owner: WriteReport. Not thread-safe.
class Drawer {
 public:
  Drawer(std::string dir, const ReportOptions& options) : dir_(std::move(dir)), options_(options) {}

  // Returns the figure's SVG.
  absl::StatusOr<std::string> Draw(const Figure& figure);
  // Distinct lines that gnuplot printed although it drew.
  std::string warnings() const { return absl::StrJoin(warnings_, "\n"); }

 private:
  absl::Status Run(const std::string& name);

  const std::string dir_;
  const ReportOptions& options_;
  std::vector<std::string> warnings_;
};

absl::StatusOr<std::string> Drawer::Draw(const Figure& figure) {
  const std::string base = JoinPath(dir_, figure.name);
  COPPICE_RETURN_IF_ERROR(WriteFileAtomically(base + ".gp", figure.plot.Script(figure.name)));
  COPPICE_RETURN_IF_ERROR(WriteFileAtomically(base + ".csv", figure.csv));
  COPPICE_RETURN_IF_ERROR(Run(figure.name));
  COPPICE_ASSIGN_OR_RETURN(std::string svg, ReadFile(base + ".svg"));
  svg = TidySvg(std::move(svg), figure.title);
  COPPICE_RETURN_IF_ERROR(WriteFileAtomically(base + ".svg", svg));
  return svg;
}

absl::Status Drawer::Run(const std::string& name) {
  COPPICE_ASSIGN_OR_RETURN(
      const std::string said,
      RunGnuplot(options_.gnuplot, dir_, absl::StrCat(name, ".gp"), options_.stop_fd));
  for (const char* type : {".svg", ".pdf"}) {
    if (FileSize(JoinPath(dir_, name + type)).value_or(0) > 0) continue;
    return absl::InternalError(
        absl::StrCat(options_.gnuplot, " drew no ", name, type, said.empty() ? "" : ": ", said));
  }
  for (const absl::string_view line : absl::StrSplit(said, '\n', absl::SkipWhitespace())) {
    if (std::find(warnings_.begin(), warnings_.end(), line) == warnings_.end())
      warnings_.emplace_back(line);
  }
  return absl::OkStatus();
}

absl::Status CheckStop(const ReportOptions& options) {
  return IsReadable(options.stop_fd) ? absl::CancelledError("stopped") : absl::OkStatus();
}

// Whether all sweeps are of task, depth and seed alone. Fails if they are too large together.
absl::StatusOr<bool> AreClassic(Client* client, const std::vector<std::string>& sweeps) {
  uint64_t jobs = 0;
  bool classic = true;
  for (const std::string& sweep : sweeps) {
    COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse found, client->GetSweep(sweep));
    jobs += found.sweep().jobs();
    classic &= spec::IsClassic(found.spec());
  }
  if (jobs <= kMaxJobs) return classic;
  return absl::FailedPreconditionError(
      absl::StrCat(sweeps.size() == 1 ? "the sweep has " : "the sweeps have ", FormatCount(jobs),
                   " jobs; a report shows at most ", FormatCount(kMaxJobs),
                   "; use `coppice metrics ", absl::StrJoin(sweeps, " "), " --csv`"));
}

absl::Status CheckNamedOnce(const std::vector<std::string>& sweeps) {
  std::set<std::string> known;
  for (const std::string& sweep : sweeps) {
    if (!known.insert(sweep).second)
      return absl::InvalidArgumentError(absl::StrCat("the sweep ", sweep, " is named twice"));
  }
  return absl::OkStatus();
}

// Everything that a report writes, before it is drawn.
struct ReportParts {
  FigureSet figures;
  std::string summary_csv, jobs_csv;
  std::function<std::string(const FigureSet&, const std::vector<std::string>& svgs)> page;
  v1::SweepSummary sweep;
};

absl::StatusOr<ReportParts> StudyContents(Client* client, const std::vector<std::string>& sweeps,
                                          int64_t now_ms) {
  std::vector<SweepSeries> all;
  all.reserve(sweeps.size());
  for (const std::string& sweep : sweeps) {
    COPPICE_ASSIGN_OR_RETURN(all.emplace_back(), CollectSeries(client, sweep));
  }
  SweepSeries collected;
  if (all.size() == 1) {
    collected = std::move(all[0]);
  } else {
    COPPICE_ASSIGN_OR_RETURN(collected, JoinStudies(std::move(all)));
  }
  // The page and the analysis point into the series.
  const auto series = std::make_shared<const SweepSeries>(std::move(collected));
  const auto tasks = std::make_shared<const std::vector<TaskResult>>(Analyze(*series));
  ReportParts parts;
  parts.figures = MakeFigures(*series, *tasks);
  parts.summary_csv = SummaryCsv(*tasks);
  parts.jobs_csv = JobsCsv(*series);
  parts.page = [=](const FigureSet& figures, const std::vector<std::string>& svgs) {
    return MakePage({*series, *tasks, figures, svgs, now_ms});
  };
  parts.sweep = series->sweep.sweep();
  return parts;
}

absl::StatusOr<ReportParts> AxesContents(Client* client, const std::vector<std::string>& sweeps,
                                         const AxesChoice& wanted, int64_t now_ms) {
  std::vector<AxesSeries> all;
  all.reserve(sweeps.size());
  for (const std::string& sweep : sweeps) {
    COPPICE_ASSIGN_OR_RETURN(all.emplace_back(), CollectAxesSeries(client, sweep));
  }
  AxesSeries collected;
  if (all.size() == 1) {
    collected = std::move(all[0]);
  } else {
    COPPICE_ASSIGN_OR_RETURN(collected, JoinByAxes(std::move(all)));
  }
  const auto series = std::make_shared<const AxesSeries>(std::move(collected));
  COPPICE_ASSIGN_OR_RETURN(const AxesChoice choice, ChooseAxes(*series, wanted));
  ReportParts parts;
  parts.figures = AxesFigures(*series, choice);
  parts.summary_csv = AxesSummaryCsv(*series);
  parts.jobs_csv = AxesJobsCsv(*series);
  parts.page = [=](const FigureSet& figures, const std::vector<std::string>& svgs) {
    return MakeAxesPage(
        {series->sweep, figures, svgs, AxesSummaryTable(*series), series->not_finite, now_ms});
  };
  parts.sweep = series->sweep.sweep();
  return parts;
}

}  // namespace

absl::StatusOr<ReportFiles> WriteReport(Client* client, const std::vector<std::string>& sweeps,
                                        const ReportOptions& options) {
  COPPICE_RETURN_IF_ERROR(CheckNamedOnce(sweeps));
  COPPICE_RETURN_IF_ERROR(FindGnuplot(options.gnuplot, options.stop_fd));
  COPPICE_ASSIGN_OR_RETURN(const bool classic, AreClassic(client, sweeps));
  COPPICE_ASSIGN_OR_RETURN(ReportFolder folder, ReportFolder::Prepare(options.dir));
  const bool by_axes = !classic || !options.axes.panel.empty() || !options.axes.line.empty();
  COPPICE_ASSIGN_OR_RETURN(const ReportParts parts,
                           by_axes ? AxesContents(client, sweeps, options.axes, options.now_ms)
                                   : StudyContents(client, sweeps, options.now_ms));
  Drawer drawer(JoinPath(folder.path(), "figures"), options);
  std::vector<std::string> svgs;
  for (const Figure& figure : parts.figures.figures) {
    svgs.emplace_back();
    if (!figure.drawn()) continue;
    COPPICE_ASSIGN_OR_RETURN(svgs.back(), drawer.Draw(figure));
  }
  const auto write = [&](const char* name, const std::string& text) {
    return WriteFileAtomically(JoinPath(folder.path(), name), text);
  };
  COPPICE_RETURN_IF_ERROR(write("summary.csv", parts.summary_csv));
  COPPICE_RETURN_IF_ERROR(write("jobs.csv", parts.jobs_csv));
  COPPICE_RETURN_IF_ERROR(write("index.html", parts.page(parts.figures, svgs)));
  COPPICE_RETURN_IF_ERROR(CheckStop(options));
  COPPICE_RETURN_IF_ERROR(folder.Publish());
  const v1::SweepSummary& summary = parts.sweep;
  return ReportFiles{JoinPath(folder.destination(), "index.html"), parts.figures.drawn(),
                     summary.counts().succeeded() == summary.jobs(),
                     sweeps.size() == 1 ? "" : summary.note(), drawer.warnings()};
}

}  // namespace coppice::cli
