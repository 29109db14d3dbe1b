// The input of a report on a sweep by its axes, as the coordinator provides it.
#ifndef COPPICE_CLI_REPORT_AXES_SERIES_H_
#define COPPICE_CLI_REPORT_AXES_SERIES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "cli/points.h"
#include "cli/report/statistics.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

struct AxesJob {
  v1::Job job;
  size_t group = 0;                     // its point
  std::map<std::string, Curve> curves;  // by metric

  // Whether it has reported, and has succeeded or can still go on.
  bool counts() const;
};

struct AxesSeries {
  v1::GetSweepResponse sweep;
  PointRows points;
  std::vector<AxesJob> jobs;         // by point, then seed
  std::vector<std::string> metrics;  // those to show, in order
  uint64_t not_finite = 0;           // number of NaN or infinite values that were left out

  // The place of an axis; points.axes.size(): there is none of this name.
  size_t AxisIndex(const std::string& name) const;
  // The distinct values of the axis among the points, in the order of the grid.
  std::vector<std::string> ValuesOf(size_t axis) const;
};

// Fetches the sweep, its jobs, and their curves: accuracies and losses, or the metrics that a
// program names as primary, or if it names none, the first six by name. Codes as of Client.
absl::StatusOr<AxesSeries> CollectAxesSeries(Client* client, const std::string& sweep);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_AXES_SERIES_H_
