#include "cli/report/drawing.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxPoints = 400;
constexpr size_t kFewPoints = 12;

bool IsProvisional(const TaskResult& task) {
  return std::any_of(task.depths.begin(), task.depths.end(),
                     [](const DepthResult& depth) { return depth.provisional > 0; });
}

// Calls `each` with the indices to draw of `count` points.
template <typename Each>
void ForDrawn(size_t count, const Each& each) {
  const size_t stride = (count + kMaxPoints - 1) / kMaxPoints;
  for (size_t i = 0; i < count; ++i) {
    if (i % stride == 0 || i + 1 == count) each(i);
  }
}

}  // namespace

std::vector<MeanPoint> Drawn(const std::vector<MeanPoint>& mean, size_t seeds) {
  std::vector<MeanPoint> drawn;
  for (const MeanPoint& point : mean) {
    if (2 * point.of.n >= seeds) drawn.push_back(point);
  }
  return drawn;
}

std::string MeanRows(const std::vector<MeanPoint>& mean) {
  std::string rows;
  ForDrawn(mean.size(), [&](size_t i) {
    const Moments& of = mean[i].of;
    absl::StrAppendFormat(&rows, "%d %.6g %.6g %.6g\n", mean[i].step, of.mean, of.mean - of.std,
                          of.mean + of.std);
  });
  return rows;
}

std::string CurveRows(const std::vector<const Curve*>& curves) {
  std::string rows;
  for (const Curve* curve : curves) {
    ForDrawn(curve->size(), [&](size_t i) {
      absl::StrAppendFormat(&rows, "%d %.6g\n", (*curve)[i].step, (*curve)[i].value);
    });
    rows += "\n";
  }
  return rows;
}

const char* LineStyle(size_t points, bool bold) {
  if (points == 1) return bold ? "points pt 7 ps 0.7*P" : "points pt 7 ps 0.35*P";
  if (points > kFewPoints) return "lines";
  return bold ? "linespoints pt 7 ps 0.5*P" : "linespoints pt 7 ps 0.25*P";
}

double Spread(size_t n, size_t count, double width) {
  if (count < 2) return 0;
  return width * (static_cast<double>(n) / static_cast<double>(count - 1) - 0.5);
}

std::vector<MeanPoint> PublishedWithin(const PublishedCurve* curve, uint32_t last_step) {
  std::vector<MeanPoint> within;
  if (curve == nullptr) return within;
  for (const MeanPoint& point : curve->points) {
    if (point.step <= last_step) within.push_back(point);
  }
  if (within.size() < 2) within.clear();
  return within;
}

std::string PublishedCaption(const SweepSeries& series, const std::vector<const TaskResult*>& tasks,
                             const std::vector<Metric>& metrics) {
  std::vector<std::string> curves, differences;
  for (const TaskResult* task : tasks) {
    const PublishedCurve* found = nullptr;
    for (const Metric metric : metrics) {
      const PublishedCurve* curve = FindPublished(task->task, MetricName(metric));
      if (!PublishedWithin(curve, task->last_step).empty()) found = curve;
    }
    if (found == nullptr) continue;
    curves.push_back(
        absl::StrCat(tasks.size() == 1 ? "" : task->task + " ", "depth ", found->depth));
    for (const v1::GroupSummary& group : series.sweep.groups()) {
      if (group.task() != task->task) continue;
      for (std::string& difference : DifferencesFromPublished(group.run())) {
        if (std::find(differences.begin(), differences.end(), difference) == differences.end())
          differences.push_back(std::move(difference));
      }
    }
  }
  if (curves.empty()) return "";
  std::string text = absl::StrCat(" Dashed: the published means (Murty et al., ACL 2023; ",
                                  absl::StrJoin(curves, ", "), ").");
  if (!differences.empty()) {
    absl::StrAppend(
        &text,
        " This sweep's settings differ from the published ones, so the curves need not agree: ",
        absl::StrJoin(differences, ", "), ".");
  }
  return text;
}

bool AnyProvisional(const std::vector<TaskResult>& tasks) {
  return std::any_of(tasks.begin(), tasks.end(), IsProvisional);
}

std::string ProvisionalCurves(const std::vector<const TaskResult*>& tasks) {
  bool provisional = false, depths = false;
  for (const TaskResult* task : tasks) {
    provisional |= IsProvisional(*task);
    depths |= IsProvisional(*task) && task->depths.size() > 1;
  }
  if (!provisional) return "";
  return absl::StrCat(" Jobs that have not ended are drawn up to their latest report",
                      depths ? ", and another depth may yet be the best." : ".");
}

std::string Seeds(size_t count) {
  return absl::StrCat(FormatCount(count), count == 1 ? " seed" : " seeds");
}

std::string CsvRow(const std::vector<std::string>& cells) {
  return absl::StrCat(
      absl::StrJoin(cells, ",",
                    [](std::string* out, const std::string& cell) { *out += CsvCell(cell); }),
      "\n");
}

}  // namespace coppice::cli
