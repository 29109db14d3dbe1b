// Several sweeps as one, for a report.
#ifndef COPPICE_CLI_REPORT_JOIN_H_
#define COPPICE_CLI_REPORT_JOIN_H_

#include <vector>

#include "absl/status/statusor.h"
#include "cli/report/axes_series.h"
#include "cli/report/series.h"

namespace coppice::cli {

// The result's sweep is named "A + B", and its note says what was joined. Its counts are sums. Jobs
// keep their numbers, which differ between sweeps of one coordinator.

// The points of all sweeps, with `sweep` as the outermost axis. A sweep without one of the others'
// axes has the value "-" on it. INVALID_ARGUMENT: a sweep has an axis named `sweep` itself.
absl::StatusOr<AxesSeries> JoinByAxes(std::vector<AxesSeries> parts);

// Sweeps of task, depth and seed alone as one study. Jobs of the same task and depth are of one
// group, wherever their seeds come from. INVALID_ARGUMENT, which names them and the remedy: two
// sweeps have the same job, or other settings at the same point.
absl::StatusOr<SweepSeries> JoinStudies(std::vector<SweepSeries> parts);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_JOIN_H_
