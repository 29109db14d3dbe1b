// The figures of a report: each is a drawing, the words under it and the numbers behind it. Pure
// functions of the analysis. docs/report.md defines each of them and its CSV's columns.
#ifndef COPPICE_CLI_REPORT_FIGURES_H_
#define COPPICE_CLI_REPORT_FIGURES_H_

#include <optional>
#include <string>
#include <vector>

#include "cli/report/analysis.h"
#include "cli/report/plot.h"

namespace coppice::cli {

struct Figure {
  std::string name;  // of its files: lower-case words joined by '-'
  std::string title;
  std::string caption;  // plain text
  std::string csv;      // RFC 4180, header, LF, shortest digits that read back equal
  Plot plot;
};

struct FigureSet {
  std::vector<Figure> figures;
  std::vector<std::string> missing;  // sentences: what could not be drawn, and why
};

// `series` gives the settings to compare with the published ones.
FigureSet MakeFigures(const SweepSeries& series, const std::vector<TaskResult>& tasks);

// "share-above-80", "dynamics-question" ...: what a report may have written as `name`.*, of the
// tasks there are.
bool IsFigureName(const std::string& name);

// Each is none when there is nothing to draw, and then says so in `missing`.
std::optional<Figure> GrokkingFigure(const SweepSeries& series,
                                     const std::vector<TaskResult>& tasks,
                                     std::vector<std::string>* missing);
std::optional<Figure> EarlyStoppingFigure(const std::vector<TaskResult>& tasks,
                                          std::vector<std::string>* missing);
std::optional<Figure> ShareFigure(const std::vector<TaskResult>& tasks,
                                  std::vector<std::string>* missing);
std::optional<Figure> OnsetFigure(const std::vector<TaskResult>& tasks,
                                  std::vector<std::string>* missing);
std::optional<Figure> DynamicsFigure(const SweepSeries& series, const TaskResult& task,
                                     std::vector<std::string>* missing);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_FIGURES_H_
