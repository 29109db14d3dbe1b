#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "cli/report/drawing.h"
#include "cli/report/figures.h"

namespace coppice::cli {
namespace {

struct Measure {
  Metric metric;
  const char* title;
  const char* subtitle;
  bool unit;  // lies in [0, 1]
};
constexpr Measure kMeasures[] = {
    {kWeightNormPerLayer, "weight norm", "L2 norm of all parameters / depth", false},
    {kAttentionSparsity, "attention sparsity", "minus the mean attention entropy, nats", false},
    {kTScore, "tree score", "t_score: how tree-like the states compose", false},
    {kTParseval, "tree agreement", "t_parseval: F1 against the gold parses", true}};

// The trainer draws dyck's probe sample from the strings of at most 80 brackets, as the cost grows
// with the square of the length.
constexpr char kDyckSample[] =
    " This sweep's t_score is of strings of at most 80 brackets from its own training sets; the "
    "published sample of strings may have other lengths.";

struct Role {
  const DepthResult* depth;
  std::string name;  // "best", "shallowest and best"
  const char* colour;
};

// The shallowest, the best and the deepest depth with counted seeds; one that is two of them is
// named once.
std::vector<Role> RolesOf(const TaskResult& task) {
  std::vector<const DepthResult*> with;
  for (const DepthResult& depth : task.depths) {
    if (!depth.seeds.empty()) with.push_back(&depth);
  }
  std::vector<Role> roles;
  const auto add = [&](const DepthResult* depth, const char* name, const char* colour) {
    for (Role& role : roles) {
      if (role.depth != depth) continue;
      absl::StrAppend(&role.name, " and ", name);
      if (absl::string_view(name) == "best") role.colour = colour;
      return;
    }
    roles.push_back({depth, name, colour});
  };
  if (with.empty()) return roles;
  if (with.size() == 1) return {{with[0], "", colour::kBest}};
  add(with.front(), "shallowest", colour::kShallowest);
  if (task.best.has_value()) add(&task.depths[*task.best], "best", colour::kBest);
  add(with.back(), "deepest", colour::kDeepest);
  return roles;
}

void AppendCsv(const std::string& role, uint32_t depth, const char* metric,
               const std::vector<MeanPoint>& points, std::string* csv) {
  for (const MeanPoint& point : points) {
    const Moments& of = point.of;
    *csv += CsvRow({role, absl::StrCat(depth), metric, absl::StrCat(point.step), absl::StrCat(of.n),
                    FormatExact(of.mean), FormatExact(of.std), FormatExact(of.min),
                    FormatExact(of.max)});
  }
}

class Dynamics {
 public:
  Dynamics(const TaskResult& task, Figure* figure)
      : task_(task), roles_(RolesOf(task)), figure_(*figure) {}

  // False when no counted seed has the metric.
  bool Add(const Measure& measure);
  bool published() const { return published_; }
  bool right_branching() const { return right_branching_; }
  bool bands() const { return bands_; }
  const std::vector<Role>& roles() const { return roles_; }

 private:
  void AddMean(const Role& role, const std::vector<MeanPoint>& mean);
  void AddRightBranching();
  void AddPublished(const Measure& measure);

  const TaskResult& task_;
  const std::vector<Role> roles_;
  Figure& figure_;
  bool published_ = false, right_branching_ = false, bands_ = false;
  // Of the panel being made.
  std::vector<std::string> bands_layers_, lines_;
  double low_ = 0, high_ = 0;
  bool any_ = false;
  void Widen(double low, double high) {
    low_ = any_ ? std::min(low_, low) : low;
    high_ = any_ ? std::max(high_, high) : high;
    any_ = true;
  }
};

void Dynamics::AddMean(const Role& role, const std::vector<MeanPoint>& mean) {
  const std::string data = figure_.plot.AddData(MeanRows(mean));
  bool spread = false;
  for (const MeanPoint& point : mean) {
    Widen(point.of.mean - point.of.std, point.of.mean + point.of.std);
    spread |= point.of.std > 0;
  }
  if (spread && mean.size() > 1) {
    bands_layers_.push_back(absl::StrCat(data, " using 1:3:4 with filledcurves fc rgb '",
                                         role.colour, "' fs transparent solid 0.22 noborder"));
  } else if (spread) {
    bands_layers_.push_back(absl::StrCat(
        data, " using 1:2:3:4 with yerrorbars pt 7 ps 0.01 lw 0.9 lc rgb '", role.colour, "'"));
  }
  bands_ |= spread;
  lines_.push_back(absl::StrCat(data, " using 1:2 with ", LineStyle(mean.size(), true),
                                " lw 1.6 lc rgb '", role.colour, "'"));
}

void Dynamics::AddRightBranching() {
  std::vector<double> values;
  for (const Role& role : roles_) {
    for (const Curve* curve : CurvesOf(*role.depth, kRightBranching)) {
      for (const Point& point : *curve) values.push_back(point.value);
    }
  }
  if (values.empty()) return;
  right_branching_ = true;
  const double mean = Summarize(values).mean;
  const std::string data = figure_.plot.AddData(
      absl::StrFormat("0 %.6g\n%d %.6g\n", mean, std::max(1u, task_.last_step), mean));
  lines_.push_back(absl::StrCat(data, " using 1:2 with lines lw 1.2 dt (1.5*D,2*D) lc rgb '",
                                colour::kInk, "'"));
}

void Dynamics::AddPublished(const Measure& measure) {
  const PublishedCurve* curve = FindPublished(task_.task, MetricName(measure.metric));
  const std::vector<MeanPoint> within = PublishedWithin(curve, task_.last_step);
  if (within.empty()) return;
  published_ = true;
  for (const MeanPoint& point : within) Widen(point.of.mean, point.of.mean);
  lines_.push_back(absl::StrCat(figure_.plot.AddData(MeanRows(within)),
                                " using 1:2 with lines lw 1.1 dt (5*D,3*D) lc rgb '",
                                colour::kReference, "'"));
  AppendCsv("published", curve->depth, MetricName(measure.metric), within, &figure_.csv);
}

bool Dynamics::Add(const Measure& measure) {
  bands_layers_.clear();
  lines_.clear();
  any_ = false;
  for (const Role& role : roles_) {
    const std::vector<const Curve*> curves = CurvesOf(*role.depth, measure.metric);
    if (curves.empty()) continue;
    const std::vector<MeanPoint> mean = MeanCurve(curves);
    AddMean(role, Drawn(mean, curves.size()));
    const std::string name = role.name.empty() ? "only" : role.name;
    if (measure.metric == kWeightNormPerLayer)
      AppendCsv(name, role.depth->depth, MetricName(kWeightNorm),
                MeanCurve(CurvesOf(*role.depth, kWeightNorm)), &figure_.csv);
    AppendCsv(name, role.depth->depth, MetricName(measure.metric), mean, &figure_.csv);
    if (measure.metric == kTParseval)
      AppendCsv(name, role.depth->depth, MetricName(kRightBranching),
                MeanCurve(CurvesOf(*role.depth, kRightBranching)), &figure_.csv);
  }
  if (!any_) return false;
  if (measure.metric == kTParseval) AddRightBranching();
  AddPublished(measure);
  Panel panel;
  panel.title = measure.title;
  panel.subtitle = measure.subtitle;
  panel.x_label = "training step";
  panel.x = StepTicks(task_.last_step, 4);
  panel.y = measure.unit ? UnitTicks() : ValueTicks(low_, high_, 5);
  panel.layers = bands_layers_;
  panel.layers.insert(panel.layers.end(), lines_.begin(), lines_.end());
  figure_.plot.AddPanel(std::move(panel));
  return true;
}

bool ProbesOff(const SweepSeries& series, const std::string& task) {
  for (const v1::GroupSummary& group : series.sweep.groups()) {
    if (group.task() == task && group.run().report().probes().sentences() == 0) return true;
  }
  return false;
}

// A task's name as a part of a file's name.
std::string Plain(const std::string& task) {
  std::string plain;
  for (const char c : task)
    plain.push_back(absl::ascii_isalnum(static_cast<unsigned char>(c)) ? c : '_');
  return plain;
}

}  // namespace

std::optional<Figure> DynamicsFigure(const SweepSeries& series, const TaskResult& task,
                                     std::vector<std::string>* missing) {
  Figure figure;
  figure.name = absl::StrCat("dynamics-", Plain(task.task));
  figure.title = absl::StrCat("Inside the models over training: ", task.task);
  figure.csv = "role,depth,metric,step,n,mean,std,min,max\n";
  Dynamics dynamics(task, &figure);
  std::vector<std::string> absent;
  for (const Measure& measure : kMeasures) {
    // Bracket strings have no gold parse other than their own brackets, so none is expected.
    if (!dynamics.Add(measure) && !(measure.metric == kTParseval && task.task == "dyck"))
      absent.push_back(
          MetricName(measure.metric == kWeightNormPerLayer ? kWeightNorm : measure.metric));
  }
  if (!absent.empty() && !dynamics.roles().empty()) {
    missing->push_back(absl::StrCat(
        task.task, ": no job has reported ", absl::StrJoin(absent, ", "),
        ProbesOff(series, task.task) ? "; the probes are off (report.probes.sentences is 0)."
                                     : "."));
  }
  if (figure.plot.empty()) return std::nullopt;
  for (const Role& role : dynamics.roles()) {
    figure.plot.AddLegend(
        {LegendEntry::kLine, role.colour,
         absl::StrCat("depth ", role.depth->depth,
                      role.name.empty() ? "" : absl::StrCat(" (", role.name, ")"))});
  }
  if (dynamics.bands())
    figure.plot.AddLegend({LegendEntry::kBand, colour::kReference, "\u00b11 standard deviation"});
  if (dynamics.right_branching())
    figure.plot.AddLegend({LegendEntry::kDotted, colour::kInk, "right-branching trees"});
  if (dynamics.published()) {
    const PublishedCurve* curve = FindPublished(task.task, MetricName(kTScore));
    figure.plot.AddLegend(
        {LegendEntry::kDashed, colour::kReference,
         curve == nullptr ? "published" : absl::StrCat("published (depth ", curve->depth, ")")});
  }
  figure.caption = absl::StrCat(
      "Means over seeds",
      dynamics.bands() ? " and, shaded, one standard deviation to each side" : "",
      " at the depths in the legend.",
      dynamics.right_branching()
          ? " Dotted: F1 of purely right-branching trees on the same sentences."
          : "",
      ProvisionalCurves({&task}), PublishedCaption(series, {&task}, {kTScore, kTParseval}),
      dynamics.published() && task.task == "dyck" ? kDyckSample : "");
  return figure;
}

FigureSet MakeFigures(const SweepSeries& series, const std::vector<TaskResult>& tasks) {
  FigureSet set;
  const auto add = [&](std::optional<Figure> figure) {
    if (figure.has_value()) set.figures.push_back(*std::move(figure));
  };
  std::vector<std::string> same;  // what the first figure says of a task without accuracies
  add(GrokkingFigure(series, tasks, &set.missing));
  add(EarlyStoppingFigure(tasks, &same));
  add(ShareFigure(tasks, &same));
  add(OnsetFigure(tasks, &same));
  for (const TaskResult& task : tasks) add(DynamicsFigure(series, task, &set.missing));
  return set;
}

bool IsFigureName(const std::string& name) {
  for (const char* known : {"grokking", "early-stopping", "share-above-80", "onset"}) {
    if (name == known) return true;
  }
  for (const char* task : {"question", "tense", "dyck"}) {
    if (name == absl::StrCat("dynamics-", task)) return true;
  }
  return false;
}

}  // namespace coppice::cli
