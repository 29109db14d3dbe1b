#include "cli/report/drawing.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"

namespace coppice::cli {
namespace {

bool IsProvisional(const TaskResult& task) {
  return std::any_of(task.depths.begin(), task.depths.end(),
                     [](const DepthResult& depth) { return depth.provisional > 0; });
}

// The reason that a task has no dashed curve of any of these metrics; "" if it has one.
std::string WhyNotPublished(const TaskResult& task, const std::vector<Metric>& metrics) {
  const PublishedCurve* known = nullptr;
  for (const Metric metric : metrics) {
    const PublishedCurve* curve = FindPublished(task.task, MetricName(metric));
    if (curve == nullptr) continue;
    if (!PublishedWithin(curve, StepAxis(task)).empty()) return "";
    known = curve;
  }
  if (known == nullptr) return absl::StrCat("none were published for ", task.task);
  return absl::StrCat("those of ", task.task, " begin at step ",
                      FormatCount(known->points.front().step),
                      ", and two of their points must lie within this sweep's reports, steps ",
                      FormatCount(task.first_step), " to ", FormatCount(task.last_step));
}

// "4, 6 layers".
std::string Layers(const TaskResult& task, const std::vector<size_t>& depths) {
  return absl::StrCat(
      absl::StrJoin(
          depths, ", ",
          [&](std::string* out, size_t i) { absl::StrAppend(out, task.depths[i].depth); }),
      depths.size() == 1 && task.depths[depths[0]].depth == 1 ? " layer" : " layers");
}

}  // namespace

double Spread(size_t n, size_t count, double width) {
  if (count < 2) return 0;
  return width * (static_cast<double>(n) / static_cast<double>(count - 1) - 0.5);
}

std::vector<MeanPoint> PublishedWithin(const PublishedCurve* curve, const StepAxis& axis) {
  std::vector<MeanPoint> within;
  if (curve == nullptr) return within;
  const uint32_t first = axis.log() ? axis.first() : 0;
  for (const MeanPoint& point : curve->points) {
    if (point.step >= first && point.step <= axis.last()) within.push_back(point);
  }
  if (within.size() < 2) within.clear();
  return within;
}

std::string PublishedCaption(const SweepSeries& series, const std::vector<const TaskResult*>& tasks,
                             const std::vector<Metric>& metrics) {
  std::vector<std::string> curves, differences, none;
  for (const TaskResult* task : tasks) {
    if (std::string why = WhyNotPublished(*task, metrics); !why.empty()) {
      none.push_back(std::move(why));
      continue;
    }
    uint32_t depth = 0;
    std::vector<MeanPoint> points;
    for (const Metric metric : metrics) {
      const PublishedCurve* curve = FindPublished(task->task, MetricName(metric));
      const auto within = PublishedWithin(curve, StepAxis(*task));
      if (!within.empty()) depth = curve->depth;
      points.insert(points.end(), within.begin(), within.end());
    }
    curves.push_back(absl::StrCat(tasks.size() == 1 ? "" : task->task + " ", "depth ", depth, ", ",
                                  SeedCount(points)));
    for (const v1::GroupSummary& group : series.sweep.groups()) {
      if (group.task() != task->task) continue;
      for (std::string& difference : DifferencesFromPublished(group.run())) {
        if (std::find(differences.begin(), differences.end(), difference) == differences.end())
          differences.push_back(std::move(difference));
      }
    }
  }
  std::string text;
  if (!curves.empty())
    absl::StrAppend(&text, " Dashed: the published means (Murty et al., ACL 2023; ",
                    absl::StrJoin(curves, "; "), " seeds).");
  if (!differences.empty()) {
    absl::StrAppend(
        &text,
        " This sweep's settings differ from the published ones, so the curves need not agree: ",
        absl::StrJoin(differences, ", "), ".");
  }
  if (!none.empty())
    absl::StrAppend(&text, curves.empty() ? " No published curves: " : " No others: ",
                    absl::StrJoin(none, "; "), ".");
  return text;
}

std::string RankingSentence(const TaskResult& task) {
  const std::vector<Verdict>& verdicts = task.ranking.verdicts;
  if (!task.ranking.highest.has_value()) return "";
  if (const auto best = task.ranking.best(); best.has_value())
    return absl::StrCat(task.task, ": depth ", task.depths[*best].depth,
                        " is best, told apart from each other depth.");
  std::vector<size_t> tied, single;
  for (size_t i = 0; i < verdicts.size(); ++i) {
    if (verdicts[i] == Verdict::kTied) tied.push_back(i);
    if (verdicts[i] == Verdict::kOneSeed) single.push_back(i);
    if (verdicts[i] == Verdict::kOnly)
      return absl::StrCat(task.task, ": only depth ", task.depths[i].depth,
                          " has values, so there is nothing to compare.");
  }
  std::string text = absl::StrCat(task.task, ": ");
  if (tied.size() > 1) absl::StrAppend(&text, "not told apart: ", Layers(task, tied));
  if (tied.size() == 1)
    absl::StrAppend(&text, "the highest mean of several seeds is that of ", Layers(task, tied));
  if (!single.empty())
    absl::StrAppend(&text, tied.empty() ? "" : "; ", "no claim about ", Layers(task, single),
                    ": one seed", single.size() == 1 ? "" : " each");
  return text + ".";
}

bool AnyProvisional(const std::vector<TaskResult>& tasks) {
  return std::any_of(tasks.begin(), tasks.end(), IsProvisional);
}

std::string ProvisionalJobs(const std::vector<const TaskResult*>& tasks) {
  const bool any = std::any_of(tasks.begin(), tasks.end(),
                               [](const TaskResult* task) { return IsProvisional(*task); });
  return any ? " Jobs that have not ended are drawn up to their latest report." : "";
}

std::string ProvisionalCurves(const std::vector<const TaskResult*>& tasks) {
  const bool choice = std::any_of(tasks.begin(), tasks.end(), [](const TaskResult* task) {
    return IsProvisional(*task) && task->depths.size() > 1;
  });
  return absl::StrCat(ProvisionalJobs(tasks),
                      choice ? " Until then another depth may come to have the highest mean." : "");
}

bool SayAbsent(const std::vector<std::string>& why, Figure* figure,
               std::vector<std::string>* missing) {
  if (!figure->drawn()) {
    figure->absent = why.empty() ? "The sweep has no jobs." : absl::StrJoin(why, " ");
    return true;
  }
  for (const std::string& sentence : why) {
    // Several figures may need the same metric.
    if (std::find(missing->begin(), missing->end(), sentence) == missing->end())
      missing->push_back(sentence);
  }
  return false;
}

std::string Seeds(size_t count) {
  return absl::StrCat(FormatCount(count), count == 1 ? " seed" : " seeds");
}

std::string ValueCell(const std::optional<double>& value) {
  return value.has_value() ? FormatExact(*value) : "";
}

std::string MeanCell(const Moments& of) { return of.n == 0 ? "" : FormatExact(of.mean); }

std::string DeviationCell(const Moments& of) { return of.n < 2 ? "" : FormatExact(of.std); }

std::string CsvRow(const std::vector<std::string>& cells) {
  return absl::StrCat(
      absl::StrJoin(cells, ",",
                    [](std::string* out, const std::string& cell) { *out += CsvCell(cell); }),
      "\n");
}

}  // namespace coppice::cli
