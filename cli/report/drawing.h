// What several figures draw alike.
#ifndef COPPICE_CLI_REPORT_DRAWING_H_
#define COPPICE_CLI_REPORT_DRAWING_H_

#include <optional>
#include <string>
#include <vector>

#include "cli/report/analysis.h"
#include "cli/report/curves.h"
#include "cli/report/figures.h"
#include "cli/report/plot.h"
#include "cli/report/published.h"
#include "cli/report/step_axis.h"

namespace coppice::cli {

// The n-th of `count` positions side by side, centred on 0.
double Spread(size_t n, size_t count, double width);

// The published points within the steps that the sweep has reported; empty when fewer than two are.
std::vector<MeanPoint> PublishedWithin(const PublishedCurve* curve, const StepAxis& axis);

// What to say of dashed curves: which depth and how many seeds they are of, and how this sweep's
// settings differ; of tasks without them, why there are none. With a space in front.
std::string PublishedCaption(const SweepSeries& series, const std::vector<const TaskResult*>& tasks,
                             const std::vector<Metric>& metrics);

// "question: depth 4 is best, told apart from each other depth.", "tense: not told apart: 4, 6
// layers." ...: what may be said of a task's depths. Empty for a task without accuracies.
std::string RankingSentence(const TaskResult& task);

// Whether some counted job has not ended, and what captions then say: of marks, of curves, and of
// curves at a depth that was chosen (the last two are empty when all have ended).
bool AnyProvisional(const std::vector<TaskResult>& tasks);
inline constexpr char kProvisional[] =
    " Open marks: jobs that have not ended, at their latest report.";
std::string ProvisionalJobs(const std::vector<const TaskResult*>& tasks);
std::string ProvisionalCurves(const std::vector<const TaskResult*>& tasks);

// Settles what a figure could not draw. Without any panel these sentences become its `absent`, and
// the result is true; otherwise those that `missing` does not have yet go there.
bool SayAbsent(const std::vector<std::string>& why, Figure* figure,
               std::vector<std::string>* missing);

// "1 seed", "10 seeds".
std::string Seeds(size_t count);
// A cell with every digit; empty for what is not known, such as a deviation of one value.
std::string ValueCell(const std::optional<double>& value);
std::string MeanCell(const Moments& of);
std::string DeviationCell(const Moments& of);
std::string CsvRow(const std::vector<std::string>& cells);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_DRAWING_H_
