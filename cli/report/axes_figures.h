// Figures and tables of a sweep by its axes: curves over training steps, with a panel for each
// value of one axis and a line for each value of another, seeds collapsed.
#ifndef COPPICE_CLI_REPORT_AXES_FIGURES_H_
#define COPPICE_CLI_REPORT_AXES_FIGURES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/report/axes_choice.h"
#include "cli/report/axes_series.h"
#include "cli/report/figures.h"

namespace coppice::cli {

// Completes a user's choice. The default of the panels is task, otherwise the outermost axis with
// several values; that of the lines is depth, otherwise the innermost axis with several values.
// INVALID_ARGUMENT: no such axis, one axis for both, more values than lines fit into a panel, or
// more figures than a page holds. The message names the flags.
absl::StatusOr<AxesChoice> ChooseAxes(const AxesSeries& series, const AxesChoice& wanted);

// A figure for each metric and each combination of the other axes, of at most twelve panels. Points
// without reports, and metrics that no job has reported, are named in `missing`.
FigureSet AxesFigures(const AxesSeries& series, const AxesChoice& choice);

// A row for each point: its seeds and, for each metric, the mean of the last values.
std::string AxesSummaryTable(const AxesSeries& series);  // HTML
std::string AxesSummaryCsv(const AxesSeries& series);
std::string AxesJobsCsv(const AxesSeries& series);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_AXES_FIGURES_H_
