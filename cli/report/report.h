#ifndef COPPICE_CLI_REPORT_REPORT_H_
#define COPPICE_CLI_REPORT_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "cli/report/axes_choice.h"

namespace coppice::cli {

struct ReportOptions {
  std::string dir;                  // created with its parents if missing
  std::string gnuplot = "gnuplot";  // a name to find in PATH, or a path
  int stop_fd = -1;                 // readable when the user asks to stop; -1: none
  int64_t now_ms = 0;               // Unix time, for the page
  AxesChoice axes;                  // if the report is by axes
};

struct ReportFiles {
  std::string index;      // path of the page
  size_t figures = 0;     // each as .svg, .pdf, .csv and .gp (the gnuplot script) in figures/
  bool complete = false;  // every job has succeeded
  std::string joined;     // what was joined; empty: one sweep
  std::string warnings;   // distinct lines that gnuplot printed although it drew; usually empty
};

// Writes a report of a sweep in any state: index.html, summary.csv, jobs.csv, figures/. Everything
// is written to a hidden folder first, in `dir` or beside it, and moved into place at the end, so
// after an error `dir` is unchanged. The files of an earlier report are replaced; other files stay.
// A sweep of task, depth and seed alone has the figures of the study, unless `axes` names an axis.
// Every other sweep has a report by its axes.
// Several sweeps are joined (join.h): as one study if all are of task, depth and seed alone and
// `axes` names no axis, otherwise by axes with the sweep as one more.
// INVALID_ARGUMENT: as of ChooseAxes and join.h, or a sweep is named twice. CANCELLED: `stop_fd` is
// readable; the caller should also end the client's calls. FAILED_PRECONDITION: `dir` holds
// something other than a report, the sweeps are too large for one (20,000 jobs), or gnuplot does
// not work. NOT_FOUND, with the remedy: there is no such sweep, or no gnuplot. INTERNAL: gnuplot
// fails or draws nothing. Otherwise the codes of Client and of files.h.
absl::StatusOr<ReportFiles> WriteReport(Client* client, const std::vector<std::string>& sweeps,
                                        const ReportOptions& options);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_REPORT_H_
