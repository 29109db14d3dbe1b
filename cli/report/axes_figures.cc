#include "cli/report/axes_figures.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "cli/report/drawing.h"
#include "common/base/nearest_word.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxLines = 12;
constexpr size_t kMaxAxesFigures = 48;
constexpr size_t kMaxBands = 4;  // more overlap too much

// The palette of plot.h, then darker and lighter ones of the same hues.
constexpr const char* kLineColours[kMaxLines] = {colour::kInDomain,   colour::kGeneralization,
                                                 colour::kBest,       colour::kEarlyStopped,
                                                 colour::kShallowest, colour::kDeepest,
                                                 colour::kInk,        "#002F4A",
                                                 "#6B2F00",           "#00432F",
                                                 "#7A5200",           "#66334F"};

bool HasSeveralValues(const AxesSeries& series, size_t axis) {
  const auto& values = series.points.values;
  return std::any_of(values.begin(), values.end(),
                     [&](const auto& point) { return point[axis] != values[0][axis]; });
}

// The outermost (or innermost) axis with several values, other than `taken`; else any other one.
std::string AnyAxis(const AxesSeries& series, bool outermost, const std::string& taken) {
  std::string found;
  bool several = false;
  const size_t axes = series.points.axes.size();
  for (size_t i = 0; i < axes; ++i) {
    const size_t axis = outermost ? i : axes - 1 - i;
    const std::string& name = series.points.axes[axis];
    if (name == taken || several) continue;
    several = HasSeveralValues(series, axis);
    if (found.empty() || several) found = name;
  }
  return found;
}

absl::Status CheckAxis(const AxesSeries& series, const char* flag, const std::string& name) {
  if (name.empty() || series.AxisIndex(name) < series.points.axes.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " '", name, "' is no axis of the sweep; use one of ",
                   absl::StrJoin(series.points.axes, ", "),
                   AfterSemicolon(DidYouMean(name, series.points.axes))));
}

// The points and jobs of each figure.
struct Layout {
  size_t panel, line;  // places of the axes; beyond all: none
  std::vector<std::string> panels, lines;
  std::vector<std::string> others;                // "size=small, depth=2" of each combination
  std::vector<std::vector<size_t>> points;        // of each combination
  std::vector<std::vector<const AxesJob*>> jobs;  // that count, of each point
};

Layout LayoutOf(const AxesSeries& series, const AxesChoice& choice) {
  Layout layout;
  const PointRows& rows = series.points;
  layout.panel = series.AxisIndex(choice.panel);
  layout.line = series.AxisIndex(choice.line);
  const auto values = [&](size_t axis) {
    return axis < rows.axes.size() ? series.ValuesOf(axis) : std::vector<std::string>{""};
  };
  layout.panels = values(layout.panel);
  layout.lines = values(layout.line);
  std::vector<size_t> others;
  for (size_t axis = 0; axis < rows.axes.size(); ++axis) {
    if (axis != layout.panel && axis != layout.line && HasSeveralValues(series, axis))
      others.push_back(axis);
  }
  std::map<std::string, size_t> known;
  for (size_t point = 0; point < rows.values.size(); ++point) {
    std::vector<std::string> parts;
    parts.reserve(others.size());
    for (const size_t axis : others)
      parts.push_back(absl::StrCat(rows.axes[axis], "=", rows.values[point][axis]));
    const std::string text = absl::StrJoin(parts, ", ");
    const auto [at, is_new] = known.emplace(text, layout.others.size());
    if (is_new) {
      layout.others.push_back(text);
      layout.points.emplace_back();
    }
    layout.points[at->second].push_back(point);
  }
  layout.jobs.resize(rows.values.size());
  for (const AxesJob& job : series.jobs) {
    if (job.counts()) layout.jobs[job.group].push_back(&job);
  }
  return layout;
}

// What StepAxis needs: the first and last steps of all reports.
TaskResult StepsOf(const AxesSeries& series) {
  TaskResult steps;
  for (const AxesJob& job : series.jobs) {
    for (const auto& [metric, curve] : job.curves) {
      for (const Point& point : curve) {
        steps.has_step_0 |= point.step == 0;
        steps.last_step = std::max(steps.last_step, point.step);
        if (point.step > 0)
          steps.first_step =
              steps.first_step == 0 ? point.step : std::min(steps.first_step, point.step);
      }
    }
  }
  return steps;
}

// One axis for all panels of a metric: from 0 to 1 for an accuracy; logarithmic if the values are
// above 0 and span a factor of ten.
Ticks TicksOf(const AxesSeries& series, const std::string& metric) {
  double low = 1e300, high = -1e300;
  for (const AxesJob& job : series.jobs) {
    const auto curve = job.curves.find(metric);
    if (curve == job.curves.end()) continue;
    for (const Point& point : curve->second) {
      low = std::min(low, point.value);
      high = std::max(high, point.value);
    }
  }
  if (absl::StrContains(metric, "accuracy") && low >= 0 && high <= 1) return UnitTicks();
  if (low > high) return Ticks();
  if (!(low > 0) || high / low < 10) return ValueTicks(low, high, 5);
  const double margin = std::pow(high / low, 0.05);
  return LogValueTicks(low / margin, high * margin);
}

// Draws one figure: a metric at one combination of the other axes.
class AxesFigure {
 public:
  AxesFigure(const AxesSeries& series, const Layout& layout, const StepAxis& steps,
             const std::string& metric, size_t combination)
      : series_(series),
        layout_(layout),
        steps_(steps),
        metric_(metric),
        combination_(combination),
        y_(TicksOf(series, metric)),
        in_panels_(layout.lines.size()) {}

  // Draws the panels from `first` to before `last`.
  Figure Draw(const std::string& name, size_t first, size_t last) {
    const std::string& others = layout_.others[combination_];
    figure_.name = name;
    figure_.title = others.empty() ? metric_ : absl::StrCat(metric_, ", ", others);
    figure_.csv =
        CsvRow(Joined(series_.points.axes, {"metric", "step", "n", "mean", "std", "min", "max"}));
    const size_t columns = Plot::Columns(last - first);
    for (size_t i = first; i < last; ++i) AddPanel(i, (i - first) % columns == 0);
    if (figure_.plot.empty()) {
      figure_.absent = absl::StrCat("No job that counts has reported ", metric_,
                                    others.empty() ? "." : absl::StrCat(" at ", others, "."));
      return std::move(figure_);
    }
    for (size_t i = 0; i < layout_.lines.size(); ++i) {
      if (in_panels_[i] == 0) continue;
      figure_.plot.AddLegend(
          {LegendEntry::kLine, kLineColours[i],
           HasLine() ? absl::StrCat(series_.points.axes[layout_.line], "=", layout_.lines[i])
                     : "mean"});
    }
    if (bands_)
      figure_.plot.AddLegend(
          {LegendEntry::kBand, colour::kReference, "\u00b11 standard deviation"});
    figure_.caption = Caption();
    return std::move(figure_);
  }

 private:
  bool HasPanel() const { return layout_.panel < series_.points.axes.size(); }
  bool HasLine() const { return layout_.line < series_.points.axes.size(); }

  static std::vector<std::string> Joined(std::vector<std::string> a,
                                         const std::vector<std::string>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }

  // The curves of a panel's line, and its point. Both axes and the combination leave one.
  std::vector<const Curve*> CurvesOfLine(size_t panel, size_t line, size_t* point) const {
    std::vector<const Curve*> curves;
    for (const size_t candidate : layout_.points[combination_]) {
      const std::vector<std::string>& values = series_.points.values[candidate];
      if (HasPanel() && values[layout_.panel] != layout_.panels[panel]) continue;
      if (HasLine() && values[layout_.line] != layout_.lines[line]) continue;
      *point = candidate;
      for (const AxesJob* job : layout_.jobs[candidate]) {
        const auto curve = job->curves.find(metric_);
        if (curve != job->curves.end()) curves.push_back(&curve->second);
      }
    }
    return curves;
  }

  void AddPanel(size_t index, bool leftmost) {
    Panel panel;
    if (HasPanel())
      panel.title = absl::StrCat(series_.points.axes[layout_.panel], "=", layout_.panels[index]);
    panel.y = y_;
    if (leftmost) panel.y_label = absl::StrCat(metric_, y_.log ? " (log)" : "");
    steps_.Put(&panel);
    CurveLayers layers;
    std::vector<MeanPoint> points;
    for (size_t i = 0; i < layout_.lines.size(); ++i) {
      size_t point = 0;
      const std::vector<const Curve*> curves = CurvesOfLine(index, i, &point);
      const std::vector<MeanPoint> mean = MeanCurve(curves);
      const std::vector<MeanPoint> drawn = Drawn(mean, curves.size());
      if (drawn.empty()) continue;
      ++in_panels_[i];
      const bool band = layout_.lines.size() <= kMaxBands;
      bands_ |= AddMeanCurve(drawn, steps_, {kLineColours[i], 1.6, band, {y_.low, y_.high}},
                             &figure_.plot, &layers);
      points.insert(points.end(), drawn.begin(), drawn.end());
      seeds_.AddCurve(absl::StrCat(panel.title, panel.title.empty() ? "" : " ", layout_.lines[i]),
                      drawn);
      AddCsv(point, mean);
    }
    if (points.empty()) return;
    panel.subtitle = SeedCount(points);
    layers.MoveTo(&panel);
    figure_.plot.AddPanel(std::move(panel));
  }

  void AddCsv(size_t point, const std::vector<MeanPoint>& mean) {
    for (const MeanPoint& at : mean) {
      figure_.csv +=
          CsvRow(Joined(series_.points.values[point],
                        {metric_, absl::StrCat(at.step), absl::StrCat(at.of.n), MeanCell(at.of),
                         DeviationCell(at.of), FormatExact(at.of.min), FormatExact(at.of.max)}));
    }
  }

  std::string Caption() const {
    std::string text = absl::StrCat(metric_, " over training steps");
    if (HasPanel())
      absl::StrAppend(&text, ", a panel for each value of ", series_.points.axes[layout_.panel]);
    if (HasLine())
      absl::StrAppend(&text, ", a line for each value of ", series_.points.axes[layout_.line]);
    const std::string& others = layout_.others[combination_];
    if (!others.empty()) absl::StrAppend(&text, ", at ", others);
    absl::StrAppend(
        &text,
        ". Lines: means over seeds (drawn where at least half of a point's seeds have reported)",
        bands_ ? "; shaded: one standard deviation to each side, cut at the axis." : ".",
        seeds_.Caption());
    const bool open = std::any_of(series_.jobs.begin(), series_.jobs.end(), [](const AxesJob& job) {
      return job.counts() && job.job.state() != v1::SUCCEEDED;
    });
    if (open) text += " Jobs that have not ended count with what they have reported.";
    const TaskResult steps = StepsOf(series_);
    return text + StepAxisCaption({&steps});
  }

  const AxesSeries& series_;
  const Layout& layout_;
  const StepAxis& steps_;
  const std::string& metric_;
  const size_t combination_;
  const Ticks y_;
  std::vector<size_t> in_panels_;  // panels in which each line is
  Figure figure_;
  SeedNotes seeds_;
  bool bands_ = false;
};

}  // namespace

namespace {

// Whether the lines fit into a panel and the figures onto a page.
absl::StatusOr<AxesChoice> CheckChoice(const AxesSeries& series, const AxesChoice& choice) {
  const Layout layout = LayoutOf(series, choice);
  const std::string& sweep = series.sweep.sweep().name();
  if (layout.lines.size() > kMaxLines) {
    return absl::InvalidArgumentError(absl::StrCat(
        choice.line, " has ", layout.lines.size(), " values, and a panel holds at most ", kMaxLines,
        " lines; choose another axis with --line, or use `coppice metrics ", sweep, " --csv`"));
  }
  const size_t parts = (layout.panels.size() + kMaxDepthPanels - 1) / kMaxDepthPanels;
  const size_t figures = layout.others.size() * series.metrics.size() * parts;
  if (figures > kMaxAxesFigures) {
    return absl::InvalidArgumentError(absl::StrCat(
        "with --panel ", choice.panel, " and --line ", choice.line, " the other axes make ",
        figures, " figures, and a report holds at most ", kMaxAxesFigures,
        "; give --panel and --line the axes with most values, or use ", "`coppice metrics ", sweep,
        " --csv`"));
  }
  return choice;
}

}  // namespace

absl::StatusOr<AxesChoice> ChooseAxes(const AxesSeries& series, const AxesChoice& wanted) {
  for (const auto& [flag, name] :
       {std::pair("--panel", wanted.panel), std::pair("--line", wanted.line)}) {
    const absl::Status known = CheckAxis(series, flag, name);
    if (!known.ok()) return known;
  }
  if (!wanted.panel.empty() && wanted.panel == wanted.line) {
    return absl::InvalidArgumentError(
        absl::StrCat("--panel and --line both name ", wanted.line, "; give two axes"));
  }
  const auto has = [&](const char* name) {
    return series.AxisIndex(name) < series.points.axes.size();
  };
  AxesChoice choice = wanted;
  if (choice.line.empty()) {
    const bool free = has("depth") && wanted.panel != "depth";
    choice.line =
        free ? "depth"
             : AnyAxis(series, false, has("task") && wanted.panel.empty() ? "task" : wanted.panel);
    if (choice.line.empty()) choice.line = AnyAxis(series, false, wanted.panel);
  }
  if (choice.panel.empty() && choice.line != "task" && has("task")) choice.panel = "task";
  if (choice.panel.empty()) choice.panel = AnyAxis(series, true, choice.line);
  return CheckChoice(series, choice);
}

FigureSet AxesFigures(const AxesSeries& series, const AxesChoice& choice) {
  FigureSet set;
  const TaskResult all = StepsOf(series);
  const StepAxis steps(all);
  const Layout layout = LayoutOf(series, choice);
  for (const std::string& metric : series.metrics) {
    for (size_t at = 0; at < layout.others.size(); ++at) {
      for (size_t first = 0; first < layout.panels.size(); first += kMaxDepthPanels) {
        const size_t last = std::min(layout.panels.size(), first + kMaxDepthPanels);
        set.figures.push_back(
            AxesFigure(series, layout, steps, metric, at)
                .Draw(absl::StrCat("axes-", set.figures.size() + 1), first, last));
      }
    }
  }
  return set;
}

}  // namespace coppice::cli
