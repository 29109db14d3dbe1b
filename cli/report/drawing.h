// Drawing helpers that figures share.
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

// The n-th of `count` positions side by side, centered on 0.
double Spread(size_t n, size_t count, double width);

// The published points within the steps that the sweep has reported; empty if they are fewer than
// two.
std::vector<MeanPoint> PublishedWithin(const PublishedCurve* curve, const StepAxis& axis);

// Caption text on dashed curves: their depth and number of seeds, and how this sweep's settings
// differ. For tasks without such curves it gives the reason. Begins with a space.
std::string PublishedCaption(const SweepSeries& series, const std::vector<const TaskResult*>& tasks,
                             const std::vector<Metric>& metrics);

// The statement that the data support about a task's depths: "question: depth 4 is best, told apart
// from each other depth.", "tense: not told apart: 4, 6 layers." ... Empty for a task without
// accuracies.
std::string RankingSentence(const TaskResult& task);

// Returns whether some counted job has not ended. The three captions below then describe marks,
// curves, and curves at a chosen depth. The last two are empty if all jobs have ended.
bool AnyProvisional(const std::vector<TaskResult>& tasks);
inline constexpr char kProvisional[] =
    " Open marks: jobs that have not ended, at their latest report.";
std::string ProvisionalJobs(const std::vector<const TaskResult*>& tasks);
std::string ProvisionalCurves(const std::vector<const TaskResult*>& tasks);

// Handles parts that a figure could not draw. A figure without any panel takes the sentences as its
// `absent`, and the result is true. Otherwise new sentences are added to `missing`.
bool SayAbsent(const std::vector<std::string>& why, Figure* figure,
               std::vector<std::string>* missing);

// "1 seed", "10 seeds".
std::string Seeds(size_t count);
// A cell with all digits; empty for an unknown value, such as the deviation of one value.
std::string ValueCell(const std::optional<double>& value);
std::string MeanCell(const Moments& of);
std::string DeviationCell(const Moments& of);
std::string CsvRow(const std::vector<std::string>& cells);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_DRAWING_H_
