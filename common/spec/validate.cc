// Checks of a spec: the name, the grid, the overrides, every resolved run.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/names.h"
#include "common/settings/table.h"
#include "common/spec/axes.h"
#include "common/spec/grid.h"
#include "common/spec/internal.h"
#include "common/spec/spec.h"
#include "common/spec/tags.h"
#include "common/spec/validate_internal.h"

namespace coppice::spec {
namespace {

// All existing tasks and depths. Further entries are reported as repetitions.
constexpr int kMaxTasks = 3;
constexpr int kMaxDepths = 256;
constexpr int kMaxSeeds = 1'000'000;
constexpr int kMaxOverrides = 1'000;
// Limits of an override's `where`: all existing tasks and depths, with room for repetitions.
constexpr int kMaxWhereTasks = 16;
constexpr int kMaxWhereDepths = 1'024;
// The mistake in one entry of a list of tasks or depths; empty: none.
std::string CheckEntry(absl::string_view setting, settings::Value value) {
  return WhatIsWrong(*settings::RunSettings().Find(setting), value, settings::Origin::kSweep)
      .value_or("");
}

std::string CheckTask(const std::string& task) { return CheckEntry("task", task); }
std::string CheckDepth(uint32_t depth) { return CheckEntry("depth", int64_t{depth}); }

void CheckName(const std::string& name, std::vector<Problem>* problems) {
  if (name.empty()) {
    problems->push_back({"name", "is missing; give the sweep a name, for example `name: first`"});
  } else if (!IsPlainName(name, kMaxSweepNameBytes)) {
    problems->push_back(
        {"name", absl::StrCat("is not a sweep name; use at most ", kMaxSweepNameBytes,
                              " letters, digits, '.', '_' and '-', "
                              "the first a letter or a digit")});
  }
}

// Runs `check(value)` (empty result: valid) on each entry of a list, which must be neither empty
// nor hold a value twice.
template <typename List, typename Check>
void CheckList(const std::string& path, const List& list, const char* example, Check check,
               std::vector<Problem>* problems) {
  if (list.empty()) {
    problems->push_back({path, absl::StrCat("is missing or empty; name at least one, for example `",
                                            path, ": ", example, "`")});
  }
  absl::flat_hash_set<std::decay_t<decltype(list.Get(0))>> seen;
  int found = 0;
  for (int i = 0; i < list.size() && found < kMaxProblemsPerList; ++i) {
    std::string message = check(list.Get(i));
    if (message.empty() && !seen.insert(list.Get(i)).second) {
      message = absl::StrCat("names ", list.Get(i), " a second time; remove one");
    }
    if (message.empty()) continue;
    problems->push_back({absl::StrCat(path, "[", i, "]"), std::move(message)});
    ++found;
  }
}

// False: the grid is too large for a Grid to be made of it.
bool CheckTasksAndDepths(const v1::SweepSpec& spec, std::vector<Problem>* problems) {
  CheckList("tasks", spec.tasks(), "[question]", CheckTask, problems);
  CheckList("depths", spec.depths(), "[2, 4]", CheckDepth, problems);
  return spec.tasks_size() <= kMaxTasks && spec.depths_size() <= kMaxDepths;
}

// False: there are too many seeds to check each.
bool CheckSeeds(const v1::SweepSpec& spec, std::vector<Problem>* problems) {
  if (spec.seeds_size() > kMaxSeeds) {
    problems->push_back({"seeds", absl::StrCat("holds ", spec.seeds_size(), " seeds; use at most ",
                                               kMaxSeeds, " and several sweeps")});
    return false;
  }
  CheckList(
      "seeds", spec.seeds(), "0-9", [](uint32_t) { return std::string(); }, problems);
  return true;
}

void CheckTags(const v1::SweepSpec& spec, std::vector<Problem>* problems) {
  if (static_cast<size_t>(spec.tags_size()) > kMaxTagsOfSweep) {
    problems->push_back(
        {"tags", absl::StrCat("holds ", spec.tags_size(), " tags; use at most ", kMaxTagsOfSweep)});
    return;
  }
  absl::flat_hash_set<std::string> seen;
  for (int i = 0; i < spec.tags_size(); ++i) {
    std::string mistake = TagMistake(spec.tags(i));
    if (mistake.empty() && !seen.insert(spec.tags(i)).second)
      mistake = absl::StrCat("names ", spec.tags(i), " a second time; remove one");
    if (!mistake.empty()) problems->push_back({absl::StrCat("tags[", i, "]"), std::move(mistake)});
  }
}

void CheckScheduling(const v1::SweepSpec& spec, std::vector<Problem>* problems) {
  if (spec.priority() < -1000 || spec.priority() > 1000) {
    problems->push_back({"priority", absl::StrCat("is ", spec.priority(),
                                                  "; use a whole number from -1000 to 1000")});
  }
  if (spec.has_max_failures() && (spec.max_failures() < 1 || spec.max_failures() > 1000)) {
    problems->push_back({"max_failures", absl::StrCat("is ", spec.max_failures(),
                                                      "; use a whole number from 1 to 1000")});
  }
}

// The lists must be short, because every group of the sweep searches them.
bool WhereFits(const v1::Where& where, const std::string& path, std::vector<Problem>* problems) {
  const auto fits = [&](const char* list, int size, int most) {
    if (size <= most) return true;
    problems->push_back({absl::StrCat(path, ".where.", list),
                         absl::StrCat("holds ", size, " entries; use at most ", most)});
    return false;
  };
  const bool tasks = fits("task", where.task_size(), kMaxWhereTasks);
  return fits("depth", where.depth_size(), kMaxWhereDepths) && tasks;
}

// The tasks and depths that an override of a classic sweep names.
void CheckClassicWhere(const v1::SweepSpec& spec, const std::string& path, const v1::Where& where,
                       std::vector<Problem>* problems) {
  for (int i = 0; i < std::min(where.task_size(), kMaxProblemsPerList); ++i) {
    const std::string at = absl::StrCat(path, ".where.task[", i, "]");
    const std::string unknown = CheckTask(where.task(i));
    if (!unknown.empty()) {
      problems->push_back({at, unknown});
    } else if (!absl::c_linear_search(spec.tasks(), where.task(i))) {
      problems->push_back({at, absl::StrCat("is ", where.task(i),
                                            ", which is not one of the "
                                            "sweep's tasks; add it to `tasks` or remove it here")});
    }
  }
  for (int i = 0; i < std::min(where.depth_size(), kMaxProblemsPerList); ++i) {
    if (absl::c_linear_search(spec.depths(), where.depth(i))) continue;
    problems->push_back({absl::StrCat(path, ".where.depth[", i, "]"),
                         absl::StrCat("is ", where.depth(i),
                                      ", which is not one of the sweep's "
                                      "depths; add it to `depths` or remove it here")});
  }
}

// False: the overrides or their lists are too many to check each.
bool CheckOverrideLists(const v1::SweepSpec& spec, std::vector<Problem>* problems) {
  if (spec.overrides_size() > kMaxOverrides) {
    problems->push_back({"overrides", absl::StrCat("holds ", spec.overrides_size(),
                                                   " entries; use at most ", kMaxOverrides)});
    return false;
  }
  bool fits = true;
  for (int i = 0; i < spec.overrides_size(); ++i)
    fits &= WhereFits(spec.overrides(i).where(), absl::StrCat("overrides[", i, "]"), problems);
  return fits;
}

void CheckOverride(const v1::SweepSpec& spec, const std::vector<v1::Axis>& axes, int index,
                   std::vector<Problem>* problems) {
  const v1::Override& change = spec.overrides(index);
  const std::string path = absl::StrCat("overrides[", index, "]");
  ValidateSettings(change, path + ".", settings::RunSettings(), problems);
  if (spec.has_program()) CheckOnlyProgramSettings(change, path + ".", problems);
  CheckProgramSettings(spec, change.settings(), path + ".settings", problems);
  v1::Override settings = change;
  settings.clear_where();
  if (settings.ByteSizeLong() == 0) {
    problems->push_back({path,
                         "changes nothing; give it settings, for example "
                         "`train: {steps: 1000}`, or remove it"});
  }
  if (IsClassic(spec) && change.where().axes().empty()) {
    CheckClassicWhere(spec, path, change.where(), problems);
  } else {
    CheckWhere(change.where(), axes, path, problems);
  }
}

}  // namespace

std::vector<Problem> ValidateSweepSpec(const v1::SweepSpec& spec) {
  std::vector<Problem> problems;
  CheckName(spec.name(), &problems);
  CheckTags(spec, &problems);
  const bool program_fits = !spec.has_program() || CheckProgram(spec, &problems);
  bool grid_fits =
      IsClassic(spec) ? CheckTasksAndDepths(spec, &problems) : CheckAxes(spec, &problems);
  grid_fits &= program_fits;
  const bool seeds_fit = CheckSeeds(spec, &problems);
  const std::vector<v1::Axis> axes = grid_fits ? AxesOf(spec) : std::vector<v1::Axis>();
  if (grid_fits) grid_fits = CheckExcludes(spec, axes, &problems);
  std::vector<Problem> of_overrides;
  const bool overrides_fit = CheckOverrideLists(spec, &of_overrides);
  for (int i = 0; overrides_fit && grid_fits && i < spec.overrides_size(); ++i)
    CheckOverride(spec, axes, i, &of_overrides);
  const bool sound = of_overrides.empty();
  std::optional<Grid> grid;
  if (grid_fits && overrides_fit) grid.emplace(spec);
  const bool points_fit = grid && (!seeds_fit || CheckSize(*grid, sound, &problems));
  ValidateSettings(spec, "", settings::RunSettings(), &problems);
  if (spec.has_program()) CheckOnlyProgramSettings(spec, "", &problems);
  problems.insert(problems.end(), of_overrides.begin(), of_overrides.end());
  if (!overrides_fit) return problems;
  CheckScheduling(spec, &problems);
  if (points_fit && (sound || IsClassic(spec))) CheckPoints(*grid, &problems);
  return problems;
}

absl::Status ProblemsToStatus(const std::vector<Problem>& problems) {
  if (problems.empty()) return absl::OkStatus();
  std::string message;
  for (const Problem& problem : problems) {
    absl::StrAppend(&message, message.empty() ? "" : "\n", problem.path, " ", problem.message);
  }
  return absl::InvalidArgumentError(message);
}

}  // namespace coppice::spec
