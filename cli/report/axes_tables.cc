// The tables of a report on a sweep by its axes.
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/format.h"
#include "cli/report/axes_figures.h"
#include "cli/report/drawing.h"
#include "cli/report/html.h"
#include "cli/report/numbers.h"

namespace coppice::cli {
namespace {

std::optional<double> LastValue(const AxesJob& job, const std::string& metric) {
  const auto curve = job.curves.find(metric);
  if (curve == job.curves.end() || curve->second.empty()) return std::nullopt;
  return curve->second.back().value;
}

struct PointResult {
  size_t jobs = 0;
  size_t seeds = 0;      // that count
  size_t not_ended = 0;  // of these
  std::vector<Moments> finals;
};

std::vector<PointResult> ResultsOf(const AxesSeries& series) {
  std::vector<PointResult> results(series.points.values.size());
  std::vector<std::vector<std::vector<double>>> values(results.size());
  for (auto& of_point : values) of_point.resize(series.metrics.size());
  for (const AxesJob& job : series.jobs) {
    PointResult& result = results[job.group];
    ++result.jobs;
    if (!job.counts()) continue;
    ++result.seeds;
    if (job.job.state() != v1::SUCCEEDED) ++result.not_ended;
    for (size_t metric = 0; metric < series.metrics.size(); ++metric) {
      if (const auto last = LastValue(job, series.metrics[metric]))
        values[job.group][metric].push_back(*last);
    }
  }
  for (size_t point = 0; point < results.size(); ++point) {
    for (const std::vector<double>& of_metric : values[point])
      results[point].finals.push_back(Summarize(of_metric));
  }
  return results;
}

std::string HtmlCell(const char* tag, const std::string& text, bool number) {
  return absl::StrCat("<", tag, number ? " class=\"n\">" : ">", EscapeHtml(text), "</", tag, ">");
}

}  // namespace

std::string AxesSummaryTable(const AxesSeries& series) {
  std::string text = "<div class=\"wide\"><table>\n<thead><tr>";
  for (const std::string& axis : series.points.axes) text += HtmlCell("th", axis, false);
  text += HtmlCell("th", "seeds", true);
  for (const std::string& metric : series.metrics)
    text += HtmlCell("th", absl::StrCat("final ", metric), true);
  text += "</tr></thead>\n<tbody>\n";
  const std::vector<PointResult> results = ResultsOf(series);
  for (size_t point = 0; point < results.size(); ++point) {
    text += "<tr>";
    for (const std::string& value : series.points.values[point])
      text += HtmlCell("td", value, false);
    text += HtmlCell(
        "td",
        absl::StrCat(FormatCount(results[point].seeds), " of ", FormatCount(results[point].jobs)),
        true);
    for (const Moments& final : results[point].finals)
      text += HtmlCell("td", final.n == 0 ? "-" : MeanText(final), true);
    text += "</tr>\n";
  }
  return absl::StrCat(
      text,
      "</tbody></table></div>\n<p class=\"soft\">Mean &plusmn; standard error of the mean of the "
      "last values, over the seeds that count: jobs that succeeded or can still go on, and have "
      "reported. <a href=\"summary.csv\">summary.csv</a> and <a href=\"jobs.csv\">jobs.csv</a> "
      "have all digits.</p>\n");
}

std::string AxesSummaryCsv(const AxesSeries& series) {
  std::vector<std::string> header = series.points.axes;
  header.insert(header.end(), {"jobs", "seeds", "not_ended"});
  for (const std::string& metric : series.metrics) {
    for (const char* end : {"_n", "_mean", "_std", "_min", "_max"})
      header.push_back(absl::StrCat("final_", metric, end));
  }
  std::string csv = CsvRow(header);
  const std::vector<PointResult> results = ResultsOf(series);
  for (size_t point = 0; point < results.size(); ++point) {
    const PointResult& result = results[point];
    std::vector<std::string> cells = series.points.values[point];
    cells.insert(cells.end(), {absl::StrCat(result.jobs), absl::StrCat(result.seeds),
                               absl::StrCat(result.not_ended)});
    for (const Moments& final : result.finals) {
      const bool known = final.n > 0;
      cells.insert(cells.end(),
                   {absl::StrCat(final.n), MeanCell(final), DeviationCell(final),
                    known ? FormatExact(final.min) : "", known ? FormatExact(final.max) : ""});
    }
    csv += CsvRow(cells);
  }
  return csv;
}

std::string AxesJobsCsv(const AxesSeries& series) {
  std::vector<std::string> header = {"job_id"};
  header.insert(header.end(), series.points.axes.begin(), series.points.axes.end());
  header.insert(header.end(), {"seed", "state", "step", "steps"});
  for (const std::string& metric : series.metrics) header.push_back(absl::StrCat("final_", metric));
  header.insert(header.end(), {"attempts", "failures", "reason"});
  std::string csv = CsvRow(header);
  for (const AxesJob& entry : series.jobs) {
    const v1::Job& job = entry.job;
    std::vector<std::string> cells = {absl::StrCat(job.id())};
    const std::vector<std::string>& values = series.points.values[entry.group];
    cells.insert(cells.end(), values.begin(), values.end());
    cells.insert(cells.end(), {absl::StrCat(job.seed()), StateWord(job.state()),
                               absl::StrCat(job.step()), absl::StrCat(job.steps())});
    for (const std::string& metric : series.metrics)
      cells.push_back(ValueCell(LastValue(entry, metric)));
    cells.insert(cells.end(),
                 {absl::StrCat(job.attempts()), absl::StrCat(job.failures()), job.reason()});
    csv += CsvRow(cells);
  }
  return csv;
}

}  // namespace coppice::cli
