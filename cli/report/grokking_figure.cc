#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "cli/format.h"
#include "cli/report/absent.h"
#include "cli/report/drawing.h"
#include "cli/report/figures.h"

namespace coppice::cli {
namespace {

struct Line {
  Metric metric;
  const char* colour;
  const char* dark;  // for the published curve, over the bold one
};
constexpr Line kLines[] = {{kIdAccuracy, colour::kInDomain, "#002F4A"},
                           {kGenAccuracy, colour::kGeneralization, "#6B2F00"}};

// Rows of one group of numbers at each step; `of` is the text before the step.
struct Row {
  std::optional<double> id, gen, id_std, gen_std;
  size_t n = 0;
};

void AppendRows(const std::vector<std::string>& of, const std::map<uint32_t, Row>& rows,
                std::string* csv) {
  for (const auto& [step, row] : rows) {
    std::vector<std::string> cells = of;
    for (std::string& cell : std::vector<std::string>{absl::StrCat(step), absl::StrCat(row.n),
                                                      ValueCell(row.id), ValueCell(row.id_std),
                                                      ValueCell(row.gen), ValueCell(row.gen_std)})
      cells.push_back(std::move(cell));
    *csv += CsvRow(cells);
  }
}

std::map<uint32_t, Row> RowsOf(const std::vector<MeanPoint>& id,
                               const std::vector<MeanPoint>& gen) {
  std::map<uint32_t, Row> rows;
  for (const MeanPoint& point : id) {
    Row& row = rows[point.step];
    row.id = point.of.mean;
    if (point.of.n > 1) row.id_std = point.of.std;
    row.n = point.of.n;
  }
  for (const MeanPoint& point : gen) {
    Row& row = rows[point.step];
    row.gen = point.of.mean;
    if (point.of.n > 1) row.gen_std = point.of.std;
    row.n = std::max(row.n, point.of.n);
  }
  return rows;
}

void AppendCsv(const TaskResult& task, const DepthResult& depth, std::string* csv) {
  for (const SeedResult& seed : depth.seeds) {
    std::map<uint32_t, Row> rows;
    for (const Point& point : seed.job->curves[kIdAccuracy]) rows[point.step].id = point.value;
    for (const Point& point : seed.job->curves[kGenAccuracy]) rows[point.step].gen = point.value;
    for (auto& [step, row] : rows) row.n = 1;
    AppendRows({task.task, absl::StrCat(depth.depth), "seed", absl::StrCat(seed.job->job.seed())},
               rows, csv);
  }
  AppendRows(
      {task.task, absl::StrCat(depth.depth), "mean", ""},
      RowsOf(MeanCurve(CurvesOf(depth, kIdAccuracy)), MeanCurve(CurvesOf(depth, kGenAccuracy))),
      csv);
  const PublishedCurve* id = FindPublished(task.task, MetricName(kIdAccuracy));
  const PublishedCurve* gen = FindPublished(task.task, MetricName(kGenAccuracy));
  const StepAxis axis(task);
  const auto rows = RowsOf(PublishedWithin(id, axis), PublishedWithin(gen, axis));
  if (!rows.empty()) {
    AppendRows({task.task, absl::StrCat((gen != nullptr ? gen : id)->depth), "published", ""}, rows,
               csv);
  }
}

// The contents of a figure's panels, taken together.
struct Has {
  bool several = false, many = false, published = false;
  SeedNotes seeds;
};

Panel PanelOf(const TaskResult& task, const DepthResult& depth, Plot* plot, Has* has) {
  const StepAxis axis(task);
  Panel panel;
  panel.title = absl::StrCat(task.task, ", depth ", depth.depth);
  panel.y = UnitTicks();
  axis.Put(&panel);
  CurveLayers layers;
  std::vector<MeanPoint> all, published;
  uint32_t published_depth = 0;
  for (const Line& line : kLines) {
    const std::vector<const Curve*> curves = CurvesOf(depth, line.metric);
    if (curves.empty()) continue;
    const std::vector<MeanPoint> mean = Drawn(MeanCurve(curves), curves.size());
    all.insert(all.end(), mean.begin(), mean.end());
    has->seeds.AddCurve(absl::StrCat(task.task, " depth ", depth.depth), mean);
    has->several |= curves.size() > 1;
    has->many |= curves.size() > kMaxThinSeeds;
    if (curves.size() > 1) AddThinCurves(curves, axis, line.colour, plot, &layers);
    AddMeanCurve(mean, axis, {line.colour, 1.8, /*band=*/false, {0, 1}}, plot, &layers);
    const PublishedCurve* curve = FindPublished(task.task, MetricName(line.metric));
    const std::vector<MeanPoint> within = PublishedWithin(curve, axis);
    if (within.empty()) continue;
    published_depth = curve->depth;
    published.insert(published.end(), within.begin(), within.end());
    AddDashedCurve(within, axis, line.dark, plot, &layers);
  }
  has->published |= !published.empty();
  panel.subtitle = SeedCount(all);
  if (!published.empty())
    absl::StrAppend(&panel.subtitle, "; published, depth ", published_depth, ": ",
                    SeedCount(published));
  layers.MoveTo(&panel);
  return panel;
}

std::string Caption(const SweepSeries& series, const std::vector<const TaskResult*>& drawn,
                    const Has& has) {
  std::string caption = absl::StrCat(
      "In-domain and generalization accuracy over training steps at the depth with the highest "
      "mean final generalization accuracy",
      has.several ? "; bold: the mean over seeds (drawn where at least half of them have "
                    "reported), thin: single seeds"
                  : "",
      has.many ? absl::StrCat(" (the first ", kMaxThinSeeds, ")") : "",
      ". Depths by final generalization accuracy:");
  for (const TaskResult* task : drawn) absl::StrAppend(&caption, " ", RankingSentence(*task));
  return absl::StrCat(caption, has.seeds.Caption(), StepAxisCaption(drawn),
                      ProvisionalCurves(drawn),
                      PublishedCaption(series, drawn, {kIdAccuracy, kGenAccuracy}));
}

}  // namespace

Figure GrokkingFigure(const SweepSeries& series, const std::vector<TaskResult>& tasks,
                      std::vector<std::string>* missing) {
  Figure figure;
  figure.name = "grokking";
  figure.title = "Grokking curves at the depth with the highest mean";
  figure.csv =
      "task,depth,source,seed,step,n,id_accuracy,id_accuracy_std,gen_accuracy,gen_accuracy_std\n";
  std::vector<const TaskResult*> drawn;
  std::vector<std::string> absent;
  Has has;
  for (const TaskResult& task : tasks) {
    const DepthResult* depth = task.highest();
    if (depth == nullptr) {
      absent.push_back(WhyAbsent(series, task.task, {kGenAccuracy}));
      continue;
    }
    drawn.push_back(&task);
    Panel panel = PanelOf(task, *depth, &figure.plot, &has);
    if (drawn.size() == 1) panel.y_label = "accuracy";
    figure.plot.AddPanel(std::move(panel));
    AppendCsv(task, *depth, &figure.csv);
  }
  if (SayAbsent(absent, &figure, missing)) return figure;
  figure.plot.AddLegend(
      {LegendEntry::kLine, colour::kInDomain, has.several ? "in-domain (mean)" : "in-domain"});
  figure.plot.AddLegend({LegendEntry::kLine, colour::kGeneralization,
                         has.several ? "generalization (mean)" : "generalization"});
  if (has.several) figure.plot.AddLegend({LegendEntry::kThinLine, colour::kFaint, "single seeds"});
  if (has.published) figure.plot.AddLegend({LegendEntry::kDashed, colour::kReference, "published"});
  figure.caption = Caption(series, drawn, has);
  return figure;
}

}  // namespace coppice::cli
