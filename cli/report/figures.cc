#include "cli/report/figures.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace coppice::cli {
namespace {

// Matches "", "-2", "-3" ...: the suffix of a figure that is split into several.
bool IsPart(absl::string_view end) {
  uint32_t part = 0;
  return end.empty() || (absl::ConsumePrefix(&end, "-") && absl::SimpleAtoi(end, &part) &&
                         part >= 2 && absl::StrCat(part) == end);
}

}  // namespace

size_t FigureSet::drawn() const {
  return static_cast<size_t>(std::count_if(figures.begin(), figures.end(),
                                           [](const Figure& figure) { return figure.drawn(); }));
}

std::string PlainName(const std::string& task) {
  std::string plain;
  for (const char c : task)
    plain.push_back(absl::ascii_isalnum(static_cast<unsigned char>(c)) ? c : '_');
  return plain;
}

FigureSet MakeFigures(const SweepSeries& series, const std::vector<TaskResult>& tasks) {
  FigureSet set;
  const auto add = [&](std::vector<Figure> figures) {
    for (Figure& figure : figures) set.figures.push_back(std::move(figure));
  };
  set.figures.push_back(GrokkingFigure(series, tasks, &set.missing));
  for (const TaskResult& task : tasks) add(AccuracyFigures(series, task, &set.missing));
  for (const TaskResult& task : tasks) add(LossFigures(series, task, &set.missing));
  set.figures.push_back(EarlyStoppingFigure(series, tasks, &set.missing));
  set.figures.push_back(ShareFigure(series, tasks, &set.missing));
  set.figures.push_back(OnsetFigure(series, tasks, &set.missing));
  for (const TaskResult& task : tasks)
    set.figures.push_back(DynamicsFigure(series, task, &set.missing));
  return set;
}

bool IsFigureName(const std::string& name) {
  for (const char* known : {"grokking", "early-stopping", "share-above-80", "onset"}) {
    if (name == known) return true;
  }
  absl::string_view rest = name;
  uint32_t number = 0;
  if (absl::ConsumePrefix(&rest, "axes-") && absl::SimpleAtoi(rest, &number) &&
      absl::StrCat(number) == rest) {
    return true;
  }
  for (const char* task : {"question", "tense", "dyck"}) {
    if (name == absl::StrCat("dynamics-", task)) return true;
    for (const char* kind : {"accuracy-", "loss-"}) {
      absl::string_view end = name;
      if (absl::ConsumePrefix(&end, kind) && absl::ConsumePrefix(&end, task) && IsPart(end))
        return true;
    }
  }
  return false;
}

}  // namespace coppice::cli
