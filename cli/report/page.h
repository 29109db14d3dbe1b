// The report's page: one HTML file that loads no other file.
#ifndef COPPICE_CLI_REPORT_PAGE_H_
#define COPPICE_CLI_REPORT_PAGE_H_

#include <string>
#include <vector>

#include "cli/report/analysis.h"
#include "cli/report/figures.h"

namespace coppice::cli {

// A tag in the head of every page, which identifies a report's folder.
inline constexpr char kGenerator[] = "<meta name=\"generator\" content=\"coppice report\">";

struct PageContent {
  const SweepSeries& series;
  const std::vector<TaskResult>& tasks;
  const FigureSet& figures;
  const std::vector<std::string>& svgs;  // one for each figure, as a document; empty: absent
  int64_t written_ms;                    // Unix time
};

// Every text from elsewhere is escaped. Figures are data URIs. Links lead to the files beside the
// page.
std::string MakePage(const PageContent& content);

struct AxesPageContent {
  const v1::GetSweepResponse& sweep;
  const FigureSet& figures;
  const std::vector<std::string>& svgs;  // as in PageContent
  std::string summary;                   // the table of points, as HTML
  uint64_t not_finite;                   // values that were left out
  int64_t written_ms;                    // Unix time
};

// The page of a sweep by its axes.
std::string MakeAxesPage(const AxesPageContent& content);

// The page's tables as CSV, with all digits.
std::string SummaryCsv(const std::vector<TaskResult>& tasks);
std::string JobsCsv(const SweepSeries& series);

// Parts of the page, as HTML.
std::string MissingBox(const PageContent& content);  // empty: nothing is missing
std::string SummaryTable(const std::vector<TaskResult>& tasks);
std::string JobTable(const SweepSeries& series);  // also what the jobs ran on
std::string SettingsSection(const v1::GetSweepResponse& sweep);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_PAGE_H_
