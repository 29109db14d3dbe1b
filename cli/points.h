// The points of a sweep as rows of a table.
#ifndef COPPICE_CLI_POINTS_H_
#define COPPICE_CLI_POINTS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

using Groups = google::protobuf::RepeatedPtrField<v1::GroupSummary>;

// The axes without seed, outermost first, and the values of each group on them.
struct PointRows {
  std::vector<std::string> axes;
  std::vector<std::vector<std::string>> values;  // in the order of the groups

  // "task=question/size=small": the first `axes` axes of a group; "" for none.
  std::string Leading(size_t group, size_t axes) const;
  // The greatest number of leading axes that have at most `most` distinct combinations.
  size_t Fold(size_t most) const;
};

// Whether the groups are those of a sweep of task, depth and seed alone.
bool IsClassic(const Groups& groups);

// A classic sweep has the axes task and depth.
PointRows PointRowsOf(const Groups& groups);

// "question/2", or "task=question/size=small".
std::string GroupName(const v1::GroupSummary& group);

// The metrics that tables show, at most two: those that a program names, or the accuracies.
struct PrimaryMetrics {
  std::vector<std::string> names;
  std::vector<std::string> headers;  // "id", "gen", or the names
  bool accuracies = true;
};
PrimaryMetrics PrimaryMetricsOf(const v1::SweepSpec& spec);
// "0.98", or four digits for a metric of a program; "-" if the job has not reported it.
std::string MetricCell(const PrimaryMetrics& primary, double value, bool known);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_POINTS_H_
