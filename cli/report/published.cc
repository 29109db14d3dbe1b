#include "cli/report/published.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/settings.h"
#include "common/spec/spec.h"

namespace coppice::cli {

namespace internal {
extern const char kPublishedCsv[];
}  // namespace internal

absl::StatusOr<std::vector<PublishedCurve>> ParsePublished(absl::string_view csv) {
  std::vector<PublishedCurve> curves;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(csv, '\n')) {
    ++number;
    if (number == 1 && line == "task,depth,metric,step,seeds,mean,std,min,max") continue;
    if (number > 1 && line.empty()) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, ',');
    uint32_t depth = 0;
    MeanPoint point = {};
    const bool good =
        number > 1 && cells.size() == 9 && absl::SimpleAtoi(cells[1], &depth) &&
        absl::SimpleAtoi(cells[3], &point.step) && absl::SimpleAtoi(cells[4], &point.of.n) &&
        absl::SimpleAtod(cells[5], &point.of.mean) && absl::SimpleAtod(cells[6], &point.of.std) &&
        absl::SimpleAtod(cells[7], &point.of.min) && absl::SimpleAtod(cells[8], &point.of.max);
    if (!good) {
      return absl::InvalidArgumentError(
          absl::StrCat("published curves, line ", number, ": '", line, "'"));
    }
    if (curves.empty() || curves.back().task != cells[0] || curves.back().depth != depth ||
        curves.back().metric != cells[2]) {
      curves.push_back({cells[0], depth, cells[2], {}});
    }
    std::vector<MeanPoint>& points = curves.back().points;
    if (!points.empty() && points.back().step >= point.step) {
      return absl::InvalidArgumentError(
          absl::StrCat("published curves, line ", number, ": steps must ascend"));
    }
    points.push_back(point);
  }
  return curves;
}

const std::vector<PublishedCurve>& PublishedCurves() {
  // A test parses the same text, so it has no error.
  static const auto* const curves = new std::vector<PublishedCurve>(
      ParsePublished(internal::kPublishedCsv).value_or(std::vector<PublishedCurve>()));
  return *curves;
}

const PublishedCurve* FindPublished(absl::string_view task, absl::string_view metric) {
  for (const PublishedCurve& curve : PublishedCurves()) {
    if (curve.task == task && curve.metric == metric) return &curve;
  }
  return nullptr;
}

std::vector<std::string> DifferencesFromPublished(const v1::RunConfig& run) {
  const auto theirs = SettingsOf(spec::ResolveRun(v1::SweepSpec(), run.task(), run.depth()));
  std::vector<std::string> differences;
  for (const auto& [path, value] : SettingsOf(run)) {
    const bool compared = path.rfind("model.", 0) == 0 ||
                          (path.rfind("train.", 0) == 0 && path != "train.steps") ||
                          path == "data.train" || path == "data.directory";
    const auto published = theirs.find(path);
    if (!compared || published == theirs.end() || published->second == value) continue;
    const std::string name =
        path == "data.train" ? "training examples" : path.substr(path.find('.') + 1);
    differences.push_back(absl::StrCat(name, " ", value, " (published ", published->second, ")"));
  }
  return differences;
}

}  // namespace coppice::cli
