// What several figures draw alike.
#ifndef COPPICE_CLI_REPORT_DRAWING_H_
#define COPPICE_CLI_REPORT_DRAWING_H_

#include <string>
#include <vector>

#include "cli/report/analysis.h"
#include "cli/report/plot.h"
#include "cli/report/published.h"

namespace coppice::cli {

// Thin lines of single seeds are drawn for so many seeds; the rest is in the mean and the CSV.
inline constexpr size_t kMaxThinSeeds = 40;

// The part of a mean curve that at least half of `seeds` have reached: beyond it the mean would be
// that of a few early birds.
std::vector<MeanPoint> Drawn(const std::vector<MeanPoint>& mean, size_t seeds);

// "step mean mean-std mean+std" lines, of long curves every nth point and the last.
std::string MeanRows(const std::vector<MeanPoint>& mean);
// "step value" lines, curves parted by empty lines.
std::string CurveRows(const std::vector<const Curve*>& curves);

// Curves with few points get markers, without which a single report would be invisible.
const char* LineStyle(size_t points, bool bold);

// The n-th of `count` positions side by side, centred on 0.
double Spread(size_t n, size_t count, double width);

// The published points within the sweep's own steps; empty when fewer than two are.
std::vector<MeanPoint> PublishedWithin(const PublishedCurve* curve, uint32_t last_step);

// What to say of dashed curves: which depth they are of, and how this sweep's settings differ.
// Empty when `tasks` has no published curve of `metric` within its steps.
std::string PublishedCaption(const SweepSeries& series, const std::vector<const TaskResult*>& tasks,
                             const std::vector<Metric>& metrics);

// Whether some counted job has not ended, and what captions then say: of marks, and of curves
// (empty when all have ended).
bool AnyProvisional(const std::vector<TaskResult>& tasks);
inline constexpr char kProvisional[] =
    " Open marks: jobs that have not ended, at their latest report.";
std::string ProvisionalCurves(const std::vector<const TaskResult*>& tasks);

// "1 seed", "10 seeds".
std::string Seeds(size_t count);
std::string CsvRow(const std::vector<std::string>& cells);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_DRAWING_H_
