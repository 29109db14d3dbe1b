#include <map>

#include "absl/strings/str_cat.h"
#include "cli/format.h"
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

std::string Cell(const std::optional<double>& value) {
  return value.has_value() ? FormatExact(*value) : "";
}

// Rows of one group of numbers at each step; `of` is what stands before the step.
struct Row {
  std::optional<double> id, gen, id_std, gen_std;
  size_t n = 0;
};

void AppendRows(const std::vector<std::string>& of, const std::map<uint32_t, Row>& rows,
                std::string* csv) {
  for (const auto& [step, row] : rows) {
    std::vector<std::string> cells = of;
    for (std::string& cell :
         std::vector<std::string>{absl::StrCat(step), absl::StrCat(row.n), Cell(row.id),
                                  Cell(row.id_std), Cell(row.gen), Cell(row.gen_std)})
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
    row.id_std = point.of.std;
    row.n = point.of.n;
  }
  for (const MeanPoint& point : gen) {
    Row& row = rows[point.step];
    row.gen = point.of.mean;
    row.gen_std = point.of.std;
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
  const auto rows =
      RowsOf(PublishedWithin(id, task.last_step), PublishedWithin(gen, task.last_step));
  if (!rows.empty()) {
    AppendRows({task.task, absl::StrCat((gen != nullptr ? gen : id)->depth), "published", ""}, rows,
               csv);
  }
}

Panel PanelOf(const TaskResult& task, const DepthResult& depth, Plot* plot, std::string* dashed) {
  Panel panel;
  panel.title = task.task;
  panel.subtitle = absl::StrCat("depth ", depth.depth, ", ", Seeds(depth.seeds.size()));
  panel.x_label = "training step";
  panel.x = StepTicks(task.last_step, 4);
  panel.y = UnitTicks();
  std::vector<std::string> thin, bold, published;
  for (const Line& line : kLines) {
    std::vector<const Curve*> curves = CurvesOf(depth, line.metric);
    if (curves.empty()) continue;
    const std::vector<MeanPoint> mean = Drawn(MeanCurve(curves), curves.size());
    if (curves.size() > 1) {
      curves.resize(std::min(curves.size(), kMaxThinSeeds));
      thin.push_back(absl::StrCat(plot->AddData(CurveRows(curves)), " using 1:2 with ",
                                  LineStyle(mean.size(), false), " lw 0.5 lc rgb '",
                                  Faded(line.colour, 0.45), "'"));
    }
    bold.push_back(absl::StrCat(plot->AddData(MeanRows(mean)), " using 1:2 with ",
                                LineStyle(mean.size(), true), " lw 1.8 lc rgb '", line.colour,
                                "'"));
    const PublishedCurve* curve = FindPublished(task.task, MetricName(line.metric));
    const std::vector<MeanPoint> within = PublishedWithin(curve, task.last_step);
    if (within.empty()) continue;
    *dashed = absl::StrCat("; published: depth ", curve->depth);
    published.push_back(absl::StrCat(plot->AddData(MeanRows(within)),
                                     " using 1:2 with lines lw 1.1 dt (5*D,3*D) lc rgb '",
                                     line.dark, "'"));
  }
  panel.subtitle += *dashed;
  for (const auto& layers : {thin, bold, published})
    panel.layers.insert(panel.layers.end(), layers.begin(), layers.end());
  return panel;
}

}  // namespace

std::optional<Figure> GrokkingFigure(const SweepSeries& series,
                                     const std::vector<TaskResult>& tasks,
                                     std::vector<std::string>* missing) {
  Figure figure;
  figure.name = "grokking";
  figure.title = "Grokking curves at each task's best depth";
  figure.csv =
      "task,depth,source,seed,step,n,id_accuracy,id_accuracy_std,gen_accuracy,gen_accuracy_std\n";
  std::vector<const TaskResult*> drawn;
  bool several = false, many = false, published = false;
  for (const TaskResult& task : tasks) {
    if (!task.best.has_value()) {
      missing->push_back(
          absl::StrCat("No curves of ", task.task,
                       ": none of its jobs has reported gen_accuracy and still counts."));
      continue;
    }
    const DepthResult& depth = task.depths[*task.best];
    drawn.push_back(&task);
    several |= depth.seeds.size() > 1;
    many |= depth.seeds.size() > kMaxThinSeeds;
    std::string dashed;
    Panel panel = PanelOf(task, depth, &figure.plot, &dashed);
    published |= !dashed.empty();
    if (drawn.size() == 1) panel.y_label = "accuracy";
    figure.plot.AddPanel(std::move(panel));
    AppendCsv(task, depth, &figure.csv);
  }
  if (drawn.empty()) return std::nullopt;
  figure.plot.AddLegend(
      {LegendEntry::kLine, colour::kInDomain, several ? "in-domain (mean)" : "in-domain"});
  figure.plot.AddLegend({LegendEntry::kLine, colour::kGeneralization,
                         several ? "generalization (mean)" : "generalization"});
  if (several) figure.plot.AddLegend({LegendEntry::kThinLine, colour::kFaint, "single seeds"});
  if (published) figure.plot.AddLegend({LegendEntry::kDashed, colour::kReference, "published"});
  figure.caption = absl::StrCat(
      "In-domain and generalization accuracy over training steps at the depth with the highest "
      "mean final generalization accuracy",
      several ? "; bold: the mean over seeds (drawn where at least half of them have reported), "
                "thin: single seeds"
              : "",
      many ? absl::StrCat(" (the first ", kMaxThinSeeds, ")") : "", ".", ProvisionalCurves(drawn),
      PublishedCaption(series, drawn, {kIdAccuracy, kGenAccuracy}));
  return figure;
}

}  // namespace coppice::cli
