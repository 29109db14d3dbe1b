// Small multiples over training steps, with a panel for each depth: accuracies and losses.
#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "cli/report/absent.h"
#include "cli/report/drawing.h"
#include "cli/report/figures.h"

namespace coppice::cli {
namespace {

struct KindLine {
  Metric metric;
  const char* legend;
  const char* colour;
  const char* dark;  // for the published curve, over the bold one
  double width;
};

struct Kind {
  const char* name;  // of files
  const char* title;
  const char* y_label;
  const char* sentence;  // of the caption
  bool unit;             // values lie in [0, 1]
  std::vector<KindLine> lines;
};

const Kind& Accuracy() {
  static const Kind* const kind =
      new Kind{"accuracy",
               "Accuracy at every depth",
               "accuracy",
               "In-domain and generalization accuracy over training steps, a panel for each depth",
               true,
               {{kIdAccuracy, "in-domain", colour::kInDomain, "#002F4A", 1.6},
                {kGenAccuracy, "generalization", colour::kGeneralization, "#6B2F00", 1.6}}};
  return *kind;
}

// The validation curve is thinner and drawn over the other, as the two often coincide.
const Kind& Loss() {
  static const Kind* const kind = new Kind{
      "loss",
      "Training and validation loss at every depth",
      "loss",
      "Training loss (mean since the report before, with dropout) and validation loss (without), "
      "in nats a token, over training steps, a panel for each depth",
      false,
      {{kTrainLoss, "training", colour::kEarlyStopped, "", 2.2},
       {kValLoss, "validation", colour::kInDomain, "", 1.1}}};
  return *kind;
}

// One depth's mean curves, in the order of the kind's lines.
struct DepthCurves {
  const DepthResult* depth;
  std::vector<std::vector<MeanPoint>> all, drawn;
};

std::vector<DepthCurves> CurvesOfDepths(const TaskResult& task, const Kind& kind) {
  std::vector<DepthCurves> curves;
  for (const DepthResult& depth : task.depths) {
    DepthCurves of = {&depth, {}, {}};
    bool any = false;
    for (const KindLine& line : kind.lines) {
      const std::vector<const Curve*> seeds = CurvesOf(depth, line.metric);
      any |= !seeds.empty();
      of.all.push_back(MeanCurve(seeds));
      of.drawn.push_back(Drawn(of.all.back(), seeds.size()));
    }
    if (any) curves.push_back(std::move(of));
  }
  return curves;
}

// One axis for all panels: logarithmic if the values are above 0 and span a factor of ten.
Ticks LossTicks(const std::vector<DepthCurves>& curves) {
  double low = 1e300, high = -1e300, band = 1e300;
  for (const DepthCurves& depth : curves) {
    for (const std::vector<MeanPoint>& mean : depth.drawn) {
      for (const MeanPoint& point : mean) {
        low = std::min(low, point.of.mean);
        band = std::min(band, point.of.mean - point.of.std);
        high = std::max(high, point.of.mean + point.of.std);
      }
    }
  }
  if (low > high) return Ticks();
  if (!(low > 0) || high / low < 10) return ValueTicks(band, high, 5);
  const double margin = std::pow(high / low, 0.05);
  return LogValueTicks(low / margin, high * margin);
}

// The published curves at this depth.
std::vector<MeanPoint> PublishedAt(const TaskResult& task, const DepthResult& depth, Metric metric,
                                   const StepAxis& axis) {
  const PublishedCurve* curve = FindPublished(task.task, MetricName(metric));
  if (curve == nullptr || curve->depth != depth.depth) return {};
  return PublishedWithin(curve, axis);
}

// Makes one of a task's figures.
class Multiples {
 public:
  Multiples(const TaskResult& task, const Kind& kind, const Ticks& y, Figure* figure)
      : task_(task), kind_(kind), axis_(task), y_(y), figure_(*figure) {}

  // `columns`: number of columns of panels.
  void Add(const DepthCurves& curves, size_t columns);
  void AddLegends();
  bool bands() const { return bands_; }
  bool published() const { return published_; }
  std::string SeedCaption() const { return seeds_.Caption(); }

 private:
  void AddCsv(const DepthCurves& curves, const char* source, Metric metric,
              const std::vector<MeanPoint>& mean);

  const TaskResult& task_;
  const Kind& kind_;
  const StepAxis axis_;
  const Ticks& y_;
  Figure& figure_;
  SeedNotes seeds_;
  size_t panels_ = 0;
  std::set<size_t> lines_;  // those drawn
  bool bands_ = false, published_ = false;
};

void Multiples::AddCsv(const DepthCurves& curves, const char* source, Metric metric,
                       const std::vector<MeanPoint>& mean) {
  for (const MeanPoint& point : mean) {
    figure_.csv +=
        CsvRow({absl::StrCat(curves.depth->depth), source, MetricName(metric),
                absl::StrCat(point.step), absl::StrCat(point.of.n), MeanCell(point.of),
                DeviationCell(point.of), FormatExact(point.of.min), FormatExact(point.of.max)});
  }
}

void Multiples::Add(const DepthCurves& curves, size_t columns) {
  Panel panel;
  panel.title = absl::StrCat("depth ", curves.depth->depth);
  panel.y = y_;
  if (panels_++ % columns == 0) panel.y_label = absl::StrCat(kind_.y_label, y_.log ? " (log)" : "");
  axis_.Put(&panel);
  const Interval clip = kind_.unit ? Interval{0, 1} : Interval{y_.low, y_.high};
  CurveLayers layers;
  std::vector<MeanPoint> points, published;
  for (size_t i = 0; i < kind_.lines.size(); ++i) {
    const KindLine& line = kind_.lines[i];
    const std::vector<MeanPoint>& drawn = curves.drawn[i];
    if (drawn.empty()) continue;
    lines_.insert(i);
    bands_ |= AddMeanCurve(drawn, axis_, {line.colour, line.width, /*band=*/true, clip},
                           &figure_.plot, &layers);
    points.insert(points.end(), drawn.begin(), drawn.end());
    seeds_.AddCurve(panel.title, drawn);
    AddCsv(curves, "mean", line.metric, curves.all[i]);
    const auto within = PublishedAt(task_, *curves.depth, line.metric, axis_);
    if (within.empty()) continue;
    AddDashedCurve(within, axis_, line.dark, &figure_.plot, &layers);
    AddCsv(curves, "published", line.metric, within);
    published.insert(published.end(), within.begin(), within.end());
  }
  panel.subtitle = SeedCount(points);
  if (!published.empty()) absl::StrAppend(&panel.subtitle, "; published: ", SeedCount(published));
  published_ |= !published.empty();
  layers.MoveTo(&panel);
  figure_.plot.AddPanel(std::move(panel));
}

void Multiples::AddLegends() {
  for (size_t i = 0; i < kind_.lines.size(); ++i) {
    const KindLine& line = kind_.lines[i];
    if (lines_.contains(i))
      figure_.plot.AddLegend(
          {LegendEntry::kLine, line.colour, absl::StrCat(line.legend, " (mean)")});
  }
  if (bands_)
    figure_.plot.AddLegend({LegendEntry::kBand, colour::kReference, "\u00b11 standard deviation"});
  if (published_) figure_.plot.AddLegend({LegendEntry::kDashed, colour::kReference, "published"});
}

// Sentences on metrics that no depth has, and on depths that lack some.
std::vector<std::string> WhyNot(const SweepSeries& series, const TaskResult& task, const Kind& kind,
                                const std::vector<DepthCurves>& curves) {
  std::vector<std::string> why;
  for (size_t i = 0; i < kind.lines.size(); ++i) {
    const bool any = std::any_of(curves.begin(), curves.end(),
                                 [&](const DepthCurves& depth) { return !depth.drawn[i].empty(); });
    if (!any && !curves.empty())
      why.push_back(WhyAbsent(series, task.task, {kind.lines[i].metric}));
  }
  std::vector<Metric> metrics;
  for (const KindLine& line : kind.lines) metrics.push_back(line.metric);
  if (curves.empty()) return {WhyAbsent(series, task.task, metrics)};
  std::vector<uint32_t> nothing, others;  // depths without any report, and without these metrics
  for (const DepthResult& depth : task.depths) {
    const bool has = std::any_of(curves.begin(), curves.end(),
                                 [&](const DepthCurves& of) { return of.depth == &depth; });
    if (!has) (depth.seeds.empty() ? nothing : others).push_back(depth.depth);
  }
  const auto say = [&](const std::string& what, const std::vector<uint32_t>& depths) {
    if (depths.empty()) return;
    why.push_back(absl::StrCat(task.task, ": no job that counts has reported ", what, "at depth ",
                               absl::StrJoin(depths, ", "),
                               ", so there is no panel; the job table has their states."));
  };
  say("", nothing);
  say(absl::StrCat(
          absl::StrJoin(metrics, ", ", [](std::string* out, Metric m) { *out += MetricName(m); }),
          " "),
      others);
  return why;
}

std::string Caption(const SweepSeries& series, const TaskResult& task, const Kind& kind,
                    const Ticks& y, const Multiples& multiples) {
  std::string text = absl::StrCat(
      kind.sentence,
      ". Lines: means over seeds (drawn where at least half of a depth's seeds have "
      "reported)",
      multiples.bands() ? "; shaded: one standard deviation to each side, cut at the axis." : ".",
      kind.unit ? ""
      : y.log   ? " The loss is on a log axis, the same in every panel."
                : " The loss is on a linear axis, the same in every panel: for a log axis it would "
                  "have to be above 0 and span a factor of ten.",
      multiples.SeedCaption(), StepAxisCaption({&task}), ProvisionalJobs({&task}));
  if (!kind.unit) return absl::StrCat(text, " No losses were published.");
  const PublishedCurve* curve = FindPublished(task.task, MetricName(kGenAccuracy));
  const bool elsewhere = !multiples.published() && !PublishedWithin(curve, StepAxis(task)).empty();
  if (!elsewhere) return text + PublishedCaption(series, {&task}, {kIdAccuracy, kGenAccuracy});
  return absl::StrCat(text, " No published curves here: those of ", task.task, " are of depth ",
                      curve->depth, ".");
}

std::vector<Figure> Figures(const SweepSeries& series, const TaskResult& task, const Kind& kind,
                            std::vector<std::string>* missing) {
  const std::vector<DepthCurves> curves = CurvesOfDepths(task, kind);
  const Ticks y = kind.unit ? UnitTicks() : LossTicks(curves);
  const std::vector<std::string> why = WhyNot(series, task, kind, curves);
  const size_t parts = std::max<size_t>(1, (curves.size() + kMaxDepthPanels - 1) / kMaxDepthPanels);
  std::vector<Figure> figures;
  for (size_t part = 0; part < parts; ++part) {
    Figure& figure = figures.emplace_back();
    figure.name = absl::StrCat(kind.name, "-", PlainName(task.task),
                               part == 0 ? "" : absl::StrCat("-", part + 1));
    figure.title = absl::StrCat(kind.title, ": ", task.task,
                                parts == 1 ? "" : absl::StrCat(", ", part + 1, " of ", parts));
    figure.csv = "depth,source,metric,step,n,mean,std,min,max\n";
    const size_t first = part * kMaxDepthPanels;
    const size_t last = std::min(curves.size(), first + kMaxDepthPanels);
    Multiples multiples(task, kind, y, &figure);
    for (size_t i = first; i < last; ++i) multiples.Add(curves[i], Plot::Columns(last - first));
    if (SayAbsent(why, &figure, missing)) return figures;
    multiples.AddLegends();
    figure.caption = Caption(series, task, kind, y, multiples);
  }
  return figures;
}

}  // namespace

std::vector<Figure> AccuracyFigures(const SweepSeries& series, const TaskResult& task,
                                    std::vector<std::string>* missing) {
  return Figures(series, task, Accuracy(), missing);
}

std::vector<Figure> LossFigures(const SweepSeries& series, const TaskResult& task,
                                std::vector<std::string>* missing) {
  return Figures(series, task, Loss(), missing);
}

}  // namespace coppice::cli
