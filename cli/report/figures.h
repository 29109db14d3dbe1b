// The figures of a report: each is a drawing, the words under it and the numbers behind it. Pure
// functions of the analysis. docs/report.md defines each of them and its CSV's columns.
#ifndef COPPICE_CLI_REPORT_FIGURES_H_
#define COPPICE_CLI_REPORT_FIGURES_H_

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
  // Of a figure without data, whose plot is empty: why that is so and what would fill it.
  std::string absent;

  bool drawn() const { return !plot.empty(); }
};

struct FigureSet {
  std::vector<Figure> figures;       // in the order of the page, also those that are absent
  std::vector<std::string> missing;  // sentences: what drawn figures lack, and why

  size_t drawn() const;
};

// `series` gives the settings to compare with the published ones.
FigureSet MakeFigures(const SweepSeries& series, const std::vector<TaskResult>& tasks);

// "share-above-80", "dynamics-question" ...: what a report may have written as `name`.*, of the
// tasks there are.
bool IsFigureName(const std::string& name);

// A task's name as a part of a figure's.
std::string PlainName(const std::string& task);

// Each is absent when there is nothing to draw. What a drawn one lacks is appended to `missing`.
Figure GrokkingFigure(const SweepSeries& series, const std::vector<TaskResult>& tasks,
                      std::vector<std::string>* missing);
Figure EarlyStoppingFigure(const SweepSeries& series, const std::vector<TaskResult>& tasks,
                           std::vector<std::string>* missing);
Figure ShareFigure(const SweepSeries& series, const std::vector<TaskResult>& tasks,
                   std::vector<std::string>* missing);
Figure OnsetFigure(const SweepSeries& series, const std::vector<TaskResult>& tasks,
                   std::vector<std::string>* missing);
Figure DynamicsFigure(const SweepSeries& series, const TaskResult& task,
                      std::vector<std::string>* missing);

// A panel for each depth. Twelve panels fill a figure, so that it fits a page; there are several of
// more depths.
inline constexpr size_t kMaxDepthPanels = 12;
std::vector<Figure> AccuracyFigures(const SweepSeries& series, const TaskResult& task,
                                    std::vector<std::string>* missing);
std::vector<Figure> LossFigures(const SweepSeries& series, const TaskResult& task,
                                std::vector<std::string>* missing);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_FIGURES_H_
