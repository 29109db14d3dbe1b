#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/format.h"
#include "cli/report/absent.h"
#include "cli/report/drawing.h"
#include "cli/report/figures.h"

namespace coppice::cli {
namespace {

struct Measure {
  Metric metric;
  const char* title;
  const char* subtitle;
  bool unit;  // values lie in [0, 1]
};
constexpr Measure kMeasures[] = {
    {kWeightNormPerLayer, "weight norm", "L2 norm of all parameters / depth", false},
    {kAttentionSparsity, "attention sparsity", "minus the mean attention entropy, nats", false},
    {kTScore, "tree score", "t_score: how tree-like the states compose", false},
    {kTParseval, "tree agreement", "t_parseval: F1 against the gold parses", true}};

// The trainer draws dyck's probe sample from strings of at most 80 brackets, as the cost grows with
// the square of the length.
constexpr char kDyckSample[] =
    " This sweep's t_score is of strings of at most 80 brackets from its own training sets; the "
    "published sample of strings may have other lengths.";

struct Role {
  const DepthResult* depth;
  std::string name;  // "best", "shallowest and highest mean"
  const char* colour;
};

// The roles of depths: the shallowest, the one with the highest mean, and the deepest with counted
// seeds. A depth with two roles is listed once. The highest mean is called the best if it is told
// apart.
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
      if (absl::string_view(colour) == colour::kBest) role.colour = colour;
      return;
    }
    roles.push_back({depth, name, colour});
  };
  if (with.empty()) return roles;
  if (with.size() == 1) return {{with[0], "", colour::kBest}};
  add(with.front(), "shallowest", colour::kShallowest);
  if (task.highest() != nullptr)
    add(task.highest(), task.ranking.best().has_value() ? "best" : "highest mean", colour::kBest);
  add(with.back(), "deepest", colour::kDeepest);
  return roles;
}

void AppendCsv(const std::string& role, uint32_t depth, const char* metric,
               const std::vector<MeanPoint>& points, std::string* csv) {
  for (const MeanPoint& point : points) {
    const Moments& of = point.of;
    *csv += CsvRow({role, absl::StrCat(depth), metric, absl::StrCat(point.step), absl::StrCat(of.n),
                    MeanCell(of), DeviationCell(of), FormatExact(of.min), FormatExact(of.max)});
  }
}

class Dynamics {
 public:
  Dynamics(const TaskResult& task, Figure* figure)
      : task_(task), axis_(task), roles_(RolesOf(task)), figure_(*figure) {}

  // False if no counted seed has the metric.
  bool Add(const Measure& measure);
  bool published() const { return published_; }
  bool right_branching() const { return right_branching_; }
  bool bands() const { return bands_; }
  const std::vector<Role>& roles() const { return roles_; }
  // The points drawn for a role, over all panels, and for the published curves.
  const std::vector<MeanPoint>& points(size_t role) const { return points_[role]; }
  const std::vector<MeanPoint>& published_points() const { return published_points_; }
  std::string SeedCaption() const { return seeds_.Caption(); }

 private:
  void AddMean(size_t role, const std::vector<MeanPoint>& mean);
  void AddRightBranching();
  void AddPublished(const Measure& measure);

  const TaskResult& task_;
  const StepAxis axis_;
  const std::vector<Role> roles_;
  Figure& figure_;
  bool published_ = false, right_branching_ = false, bands_ = false;
  std::vector<std::vector<MeanPoint>> points_ = std::vector<std::vector<MeanPoint>>(roles_.size());
  std::vector<MeanPoint> published_points_;
  SeedNotes seeds_;
  CurveLayers layers_;  // of the panel under construction
  double low_ = 0, high_ = 0;
  bool any_ = false;
  void Widen(double low, double high) {
    low_ = any_ ? std::min(low_, low) : low;
    high_ = any_ ? std::max(high_, high) : high;
    any_ = true;
  }
};

void Dynamics::AddMean(size_t role, const std::vector<MeanPoint>& mean) {
  for (const MeanPoint& point : mean)
    Widen(point.of.mean - point.of.std, point.of.mean + point.of.std);
  const MeanStyle style = {roles_[role].colour, 1.6, /*band=*/true, {-1e300, 1e300}};
  bands_ |= AddMeanCurve(mean, axis_, style, &figure_.plot, &layers_);
  points_[role].insert(points_[role].end(), mean.begin(), mean.end());
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
      absl::StrFormat("%.9g %.6g\n%.9g %.6g\n", axis_.low(), mean, axis_.high(), mean));
  layers_.bold.push_back(absl::StrCat(data, " using 1:2 with lines lw 1.2 dt (1.5*D,2*D) lc rgb '",
                                      colour::kInk, "'"));
}

void Dynamics::AddPublished(const Measure& measure) {
  const PublishedCurve* curve = FindPublished(task_.task, MetricName(measure.metric));
  const std::vector<MeanPoint> within = PublishedWithin(curve, axis_);
  if (within.empty()) return;
  published_ = true;
  for (const MeanPoint& point : within) Widen(point.of.mean, point.of.mean);
  published_points_.insert(published_points_.end(), within.begin(), within.end());
  AddDashedCurve(within, axis_, colour::kReference, &figure_.plot, &layers_);
  AppendCsv("published", curve->depth, MetricName(measure.metric), within, &figure_.csv);
}

bool Dynamics::Add(const Measure& measure) {
  any_ = false;
  for (size_t i = 0; i < roles_.size(); ++i) {
    const Role& role = roles_[i];
    const std::vector<const Curve*> curves = CurvesOf(*role.depth, measure.metric);
    if (curves.empty()) continue;
    const std::vector<MeanPoint> mean = MeanCurve(curves);
    const std::vector<MeanPoint> drawn = Drawn(mean, curves.size());
    AddMean(i, drawn);
    const bool all = curves.size() == role.depth->seeds.size();
    seeds_.AddCurve(
        absl::StrCat("depth ", role.depth->depth, all ? "" : absl::StrCat(" ", measure.title)),
        drawn);
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
  axis_.Put(&panel);
  panel.y = measure.unit ? UnitTicks() : ValueTicks(low_, high_, 5);
  layers_.MoveTo(&panel);
  figure_.plot.AddPanel(std::move(panel));
  return true;
}

// Adds the panels and returns the metrics without data.
std::vector<Metric> AddMeasures(const TaskResult& task, Dynamics* dynamics) {
  std::vector<Metric> absent;
  for (const Measure& measure : kMeasures) {
    // Bracket strings have no gold parse other than their own brackets, so none is expected.
    if (!dynamics->Add(measure) && !(measure.metric == kTParseval && task.task == "dyck"))
      absent.push_back(measure.metric == kWeightNormPerLayer ? kWeightNorm : measure.metric);
  }
  return absent;
}

void AddLegends(const TaskResult& task, const Dynamics& dynamics, Plot* plot) {
  for (size_t i = 0; i < dynamics.roles().size(); ++i) {
    const Role& role = dynamics.roles()[i];
    plot->AddLegend(
        {LegendEntry::kLine, role.colour,
         absl::StrCat("depth ", role.depth->depth, " (", role.name, role.name.empty() ? "" : ", ",
                      SeedCount(dynamics.points(i)), ")")});
  }
  if (dynamics.bands())
    plot->AddLegend({LegendEntry::kBand, colour::kReference, "\u00b11 standard deviation"});
  if (dynamics.right_branching())
    plot->AddLegend({LegendEntry::kDotted, colour::kInk, "right-branching trees"});
  if (!dynamics.published()) return;
  const PublishedCurve* curve = FindPublished(task.task, MetricName(kTScore));
  plot->AddLegend({LegendEntry::kDashed, colour::kReference,
                   absl::StrCat("published (",
                                curve == nullptr ? "" : absl::StrCat("depth ", curve->depth, ", "),
                                SeedCount(dynamics.published_points()), ")")});
}

}  // namespace

Figure DynamicsFigure(const SweepSeries& series, const TaskResult& task,
                      std::vector<std::string>* missing) {
  Figure figure;
  figure.name = absl::StrCat("dynamics-", PlainName(task.task));
  figure.title = absl::StrCat("Inside the models over training: ", task.task);
  figure.csv = "role,depth,metric,step,n,mean,std,min,max\n";
  Dynamics dynamics(task, &figure);
  std::vector<std::string> why;
  if (const std::vector<Metric> absent = AddMeasures(task, &dynamics); !absent.empty())
    why.push_back(WhyAbsent(series, task.task, absent));
  if (SayAbsent(why, &figure, missing)) return figure;
  AddLegends(task, dynamics, &figure.plot);
  figure.caption = absl::StrCat(
      "Means over seeds",
      dynamics.bands() ? " and, shaded, one standard deviation to each side" : "",
      " at the depths in the legend.",
      dynamics.right_branching()
          ? " Dotted: F1 of purely right-branching trees on the same sentences."
          : "",
      task.task == "dyck" ? " Bracket strings have no t_parseval." : "",
      dynamics.roles().size() > 1 && task.highest() != nullptr
          ? absl::StrCat(" Depths by final generalization accuracy: ", RankingSentence(task))
          : "",
      dynamics.SeedCaption(), StepAxisCaption({&task}), ProvisionalCurves({&task}),
      PublishedCaption(series, {&task}, {kTScore, kTParseval}),
      dynamics.published() && task.task == "dyck" ? kDyckSample : "");
  return figure;
}

}  // namespace coppice::cli
