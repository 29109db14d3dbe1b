#include "common/spec/warnings.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/settings/run_warnings.h"
#include "common/spec/internal.h"

namespace coppice::spec {
namespace {

std::string PlaceOf(const v1::SweepSpec& spec, const std::string& task, uint32_t depth,
                    const settings::RunWarning& warning) {
  std::string place = SettingPath(spec, task, depth, warning.setting);
  if (place.empty()) place = SettingPath(spec, task, depth, warning.other);
  return place.empty() ? warning.setting : place;
}

}  // namespace

std::vector<Problem> Warnings(const v1::SweepSpec& spec) {
  // In the order of first occurrence.
  std::vector<std::pair<Problem, std::vector<std::string>>> found;
  std::map<std::pair<std::string, std::string>, size_t> known;
  size_t groups = 0;
  for (const std::string& task : spec.tasks()) {
    for (const uint32_t depth : spec.depths()) {
      ++groups;
      for (const settings::RunWarning& warning : settings::RunWarnings(settings::FactsOf(
               ValuesOf(ResolveRun(spec, task, depth), settings::RunSettings())))) {
        Problem problem{PlaceOf(spec, task, depth, warning),
                        absl::StrCat(warning.setting, " ", warning.message)};
        const auto [at, is_new] =
            known.emplace(std::make_pair(problem.path, problem.message), found.size());
        if (is_new) found.emplace_back(std::move(problem), std::vector<std::string>());
        found[at->second].second.push_back(absl::StrCat(task, "/", depth));
      }
    }
  }
  std::vector<Problem> warnings;
  for (auto& [problem, of] : found) {
    warnings.push_back({problem.path, absl::StrCat(problem.message, GroupsText(of, groups))});
  }
  return warnings;
}

}  // namespace coppice::spec
