#include "common/spec/warnings.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/settings/run_warnings.h"
#include "common/spec/grid.h"
#include "common/spec/internal.h"
#include "common/spec/program.h"

namespace coppice::spec {
namespace {

// In the order of first occurrence.
class Found {
 public:
  void Add(Problem problem, std::string point) {
    const auto [at, is_new] =
        known_.emplace(std::make_pair(problem.path, problem.message), found_.size());
    if (is_new) found_.emplace_back(std::move(problem), std::vector<std::string>());
    found_[at->second].second.push_back(std::move(point));
  }
  std::vector<Problem> Texts(size_t points) const {
    std::vector<Problem> texts;
    texts.reserve(found_.size());
    for (const auto& [problem, of] : found_)
      texts.push_back({problem.path, absl::StrCat(problem.message, GroupsText(of, points))});
    return texts;
  }

 private:
  std::vector<std::pair<Problem, std::vector<std::string>>> found_;
  std::map<std::pair<std::string, std::string>, size_t> known_;
};

std::string PlaceOf(const Grid& grid, const Cell& cell, const settings::RunWarning& warning) {
  std::string place = grid.PlaceOf(cell, warning.setting);
  if (place.empty()) place = grid.PlaceOf(cell, warning.other);
  return place.empty() ? warning.setting : place;
}

}  // namespace

std::vector<Problem> Warnings(const v1::SweepSpec& spec) {
  const Grid grid(spec);
  Found found;
  size_t points = 0;
  grid.ForEachCell([&](const Cell& cell) {
    if (cell.exclude >= 0) return true;
    ++points;
    for (const settings::RunWarning& warning :
         settings::RunWarnings(settings::FactsOf(ValuesOf(grid.Resolve(cell))))) {
      if (spec.has_program() && !IsSettingOfPrograms(warning.setting)) continue;
      found.Add({PlaceOf(grid, cell, warning), absl::StrCat(warning.setting, " ", warning.message)},
                grid.TextOf(cell));
    }
    return true;
  });
  return found.Texts(points);
}

}  // namespace coppice::spec
