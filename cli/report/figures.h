// The figures of a report. Each has a drawing, a caption and a CSV. They are pure functions of the
// analysis. docs/report.md defines them and their CSVs' columns.
#ifndef COPPICE_CLI_REPORT_FIGURES_H_
#define COPPICE_CLI_REPORT_FIGURES_H_

#include <string>
#include <vector>

#include "cli/report/analysis.h"
#include "cli/report/plot.h"

namespace coppice::cli {

struct Figure {
  std::string name;  // base name of its files: lower-case words joined by '-'
  std::string title;
  std::string caption;  // plain text
  std::string csv;      // RFC 4180, header, LF, the fewest digits that read back equal
  Plot plot;
  // For a figure without data, whose plot is empty: the reason and the remedy.
  std::string absent;

  bool drawn() const { return !plot.empty(); }
};

struct FigureSet {
  std::vector<Figure> figures;       // in the order of the page, including absent ones
  std::vector<std::string> missing;  // sentences: what drawn figures lack, and why

  size_t drawn() const;
};

// `series` provides the settings to compare with the published ones.
FigureSet MakeFigures(const SweepSeries& series, const std::vector<TaskResult>& tasks);

// "share-above-80", "dynamics-question" ...: names that a report may have given files, for the
// known tasks.
bool IsFigureName(const std::string& name);

// A task's name as a part of a figure's.
std::string PlainName(const std::string& task);

// Each figure is absent if there is nothing to draw. Parts that a drawn one lacks are appended to
// `missing`.
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

// One panel for each depth. Twelve panels fill a figure, so that it fits a page. More depths give
// several figures.
inline constexpr size_t kMaxDepthPanels = 12;
std::vector<Figure> AccuracyFigures(const SweepSeries& series, const TaskResult& task,
                                    std::vector<std::string>* missing);
std::vector<Figure> LossFigures(const SweepSeries& series, const TaskResult& task,
                                std::vector<std::string>* missing);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_FIGURES_H_
