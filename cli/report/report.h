#ifndef COPPICE_CLI_REPORT_REPORT_H_
#define COPPICE_CLI_REPORT_REPORT_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/client.h"

namespace coppice::cli {

struct ReportOptions {
  std::string dir;                  // made if need be, with its parents
  std::string gnuplot = "gnuplot";  // a name that PATH finds, or a path
  int stop_fd = -1;                 // readable when the user wants to stop; -1: none
  int64_t now_ms = 0;               // Unix time, for the page
};

struct ReportFiles {
  std::string index;      // path of the page
  size_t figures = 0;     // each as .svg, .pdf, .csv and .gp (the gnuplot script) in figures/
  bool complete = false;  // every job has succeeded
  std::string warnings;   // lines that gnuplot wrote although it drew, each once; mostly empty
};

// Writes a report of a sweep, in whatever state it is: index.html, summary.csv, jobs.csv, figures/.
// Everything is made in a hidden folder first, in `dir` or beside it, and moved into place at the
// end: after an error `dir` is as it was. The files of an earlier report there are replaced; others
// stay. CANCELLED: `stop_fd`; end the client's calls too. FAILED_PRECONDITION: `dir` holds
// something else than a report, the sweep is too large for one (20,000 jobs), or gnuplot does not
// work; NOT_FOUND: no such sweep, or no gnuplot, with the remedy; INTERNAL: gnuplot fails or draws
// nothing; the errors of Client and of files.h.
absl::StatusOr<ReportFiles> WriteReport(Client* client, const std::string& sweep,
                                        const ReportOptions& options);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_REPORT_H_
