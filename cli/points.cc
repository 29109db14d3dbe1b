#include "cli/points.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "cli/format.h"
#include "common/spec/axes.h"

namespace coppice::cli {

std::string PointRows::Leading(size_t group, size_t count) const {
  std::string text;
  for (size_t i = 0; i < count; ++i)
    absl::StrAppend(&text, i == 0 ? "" : "/", axes[i], "=", values[group][i]);
  return text;
}

size_t PointRows::Fold(size_t most) const {
  size_t count = axes.size();
  for (; count > 0; --count) {
    std::set<std::string> distinct;
    for (size_t group = 0; group < values.size() && distinct.size() <= most; ++group)
      distinct.insert(Leading(group, count));
    if (distinct.size() <= most) break;
  }
  return count;
}

bool IsClassic(const Groups& groups) {
  return groups.empty() || (groups[0].point().empty() && !groups[0].task().empty());
}

PointRows PointRowsOf(const Groups& groups) {
  PointRows rows;
  if (IsClassic(groups)) {
    rows.axes = {"task", "depth"};
  } else {
    for (const v1::Coordinate& coordinate : groups[0].point())
      rows.axes.push_back(coordinate.axis());
  }
  rows.values.reserve(static_cast<size_t>(groups.size()));
  for (const v1::GroupSummary& group : groups) {
    std::vector<std::string>& values = rows.values.emplace_back();
    if (IsClassic(groups)) {
      values = {group.task(), absl::StrCat(group.depth())};
      continue;
    }
    for (const v1::Coordinate& coordinate : group.point()) values.push_back(coordinate.value());
    values.resize(rows.axes.size());
  }
  return rows;
}

std::string GroupName(const v1::GroupSummary& group) {
  return spec::PointText(group.point(), group.task(), group.depth());
}

PrimaryMetrics PrimaryMetricsOf(const v1::SweepSpec& spec) {
  if (!spec.has_program()) return {{"id_accuracy", "gen_accuracy"}, {"id", "gen"}, true};
  const std::vector<std::string> names(spec.program().primary().begin(),
                                       spec.program().primary().end());
  return {names, names, false};
}

std::string MetricCell(const PrimaryMetrics& primary, double value, bool known) {
  return primary.accuracies || !known ? FormatAccuracy(value, known) : FormatShort(value);
}

}  // namespace coppice::cli
