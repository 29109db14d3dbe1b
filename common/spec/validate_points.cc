// Checks of a spec: the size of the grid, and the run of every point.
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/settings/table.h"
#include "common/spec/internal.h"
#include "common/spec/validate_internal.h"

namespace coppice::spec {
namespace {

constexpr size_t kMaxPointProblems = 100;

class PointChecker {
 public:
  PointChecker(const Grid& grid, std::vector<Problem>* problems)
      : grid_(grid),
        problems_(*problems),
        first_(problems->size()),
        classic_(IsClassic(grid.spec())),
        task_(grid.SettingNumber("task")),
        depth_(grid.SettingNumber("depth")) {}

  // False: enough mistakes are known.
  bool Check(const Cell& cell) {
    if (!classic_ && !CheckAxesOf(cell)) return problems_.size() - first_ < kMaxPointProblems;
    const settings::Values run = ValuesOf(grid_.Resolve(cell));
    if (grid_.spec().has_program()) {
      CheckSteps(cell, run);
      return problems_.size() - first_ < kMaxPointProblems;
    }
    for (const settings::CrossCheck* check :
         settings::RunSettings().Failed(run, settings::Origin::kSweep)) {
      Report(PlaceOf(cell, *check),
             absl::StrCat(check->mistake(run), " (", PointOf(cell, run), "); ", check->remedy));
    }
    return problems_.size() - first_ < kMaxPointProblems;
  }

 private:
  // Each mistake is reported once for its place.
  void Report(std::string path, std::string message) {
    if (reported_.insert(path).second) problems_.push_back({std::move(path), std::move(message)});
  }

  void CheckSteps(const Cell& cell, const settings::Values& run) {
    if (run.Has("train.steps")) return;
    const std::string point = grid_.TextOf(cell);
    Report("train.steps",
           absl::StrCat("is missing", point.empty() ? "" : absl::StrCat(" (", point, ")"),
                        "; give the steps of the program, for example `train: {steps: 10000}`"));
  }

  std::string PointOf(const Cell& cell, const settings::Values& run) const {
    if (!classic_) return grid_.TextOf(cell);
    return absl::StrCat("task ", run.Text("task"), ", depth ", run.Integer("depth"));
  }

  // The first of the check's settings that the spec sets.
  std::string PlaceOf(const Cell& cell, const settings::CrossCheck& check) const {
    for (const std::string& setting : check.settings) {
      std::string path = grid_.PlaceOf(cell, setting);
      if (!path.empty()) return path;
    }
    return check.settings.front();
  }

  // Whether every setting comes from one axis at most, and task and depth from one.
  bool CheckAxesOf(const Cell& cell) {
    std::vector<std::pair<int, size_t>> owners;  // settings and their axes
    const size_t before = problems_.size();
    for (size_t axis = 0; axis < cell.values.size(); ++axis) {
      for (const Assignment& given : grid_.Given(axis, cell.values[axis])) {
        for (const auto& [setting, other] : owners) {
          if (setting == given.setting) ReportTwoAxes(cell, setting, other, axis);
        }
        owners.emplace_back(given.setting, axis);
        CheckOverrides(cell, given.setting, axis);
      }
    }
    if (grid_.spec().has_program()) return problems_.size() == before;
    for (const auto& [setting, example] :
         {std::pair(task_, "task: [question]"), std::pair(depth_, "depth: [2, 4]")}) {
      bool found = false;
      for (const auto& [of, axis] : owners) found |= of == setting;
      if (found) continue;
      const std::string name = grid_.SettingName(setting);
      Report("axes", absl::StrCat("set no ", name, " (", grid_.TextOf(cell), "); add the axis `",
                                  example, "`, or set ", name, " in each value of another axis"));
    }
    return problems_.size() == before;
  }

  void ReportTwoAxes(const Cell& cell, int setting, size_t first, size_t second) {
    const std::vector<v1::Axis>& axes = grid_.axes();
    if (!conflicts_.insert({setting, static_cast<int>(first), static_cast<int>(second)}).second)
      return;
    std::string path = AxisValuePath(grid_.spec(), axes[second], cell.values[second]);
    const std::string name = grid_.SettingName(setting);
    if (!IsSettingAxis(grid_.spec(), axes[second].name())) absl::StrAppend(&path, ".", name);
    Report(std::move(path), absl::StrCat("sets ", name, ", which the axis ", axes[first].name(),
                                         " sets too (", grid_.TextOf(cell), "); remove one"));
  }

  // An override would make the axis a lie.
  void CheckOverrides(const Cell& cell, int setting, size_t axis) {
    const int change = cell.overrides.HighestCommon(grid_.OverridesOf(setting));
    if (change < 0) return;
    Report(grid_.OverridePath(change, setting),
           absl::StrCat("changes what the axis ", grid_.axes()[axis].name(), " sets (",
                        grid_.TextOf(cell),
                        "); remove it, or name other values of the axis under `where`"));
  }

  const Grid& grid_;
  std::vector<Problem>& problems_;
  const size_t first_;
  const bool classic_;
  const int task_;
  const int depth_;
  std::set<std::string> reported_;
  std::set<std::tuple<int, int, int>> conflicts_;
};

}  // namespace

bool CheckSize(const Grid& grid, bool overrides_are_sound, std::vector<Problem>* problems) {
  const v1::SweepSpec& spec = grid.spec();
  uint64_t points = 0;
  std::vector<bool> takes_out(static_cast<size_t>(spec.exclude_size()));
  Bits changed(static_cast<size_t>(spec.overrides_size()));
  grid.ForEachCell([&](const Cell& cell) {
    if (cell.exclude >= 0) {
      takes_out[static_cast<size_t>(cell.exclude)] = true;
      return true;
    }
    ++points;
    changed.AddAll(cell.overrides);
    return true;
  });
  const bool known = grid.cells() > 0;
  for (size_t i = 0; known && i < takes_out.size(); ++i) {
    if (takes_out[i]) continue;
    problems->push_back({absl::StrCat("exclude[", i, "]"),
                         "takes out no point that the ones before it leave; remove it"});
  }
  if (known && points == 0) {
    problems->push_back({"exclude", "takes out every point of the grid; remove an entry"});
    return false;
  }
  const bool may_miss = overrides_are_sound && !spec.exclude().empty();
  for (int i = 0; may_miss && i < spec.overrides_size(); ++i) {
    if (changed.Has(static_cast<size_t>(i))) continue;
    problems->push_back({absl::StrCat("overrides[", i, "]"),
                         "applies to no point that `exclude` leaves; remove it"});
  }
  if (points > kMaxPointsPerSweep) {
    problems->push_back({"axes", absl::StrCat("make ", points, " points; a sweep holds at most ",
                                              kMaxPointsPerSweep, ", so split it into several")});
    return false;
  }
  const uint64_t jobs = points * static_cast<uint64_t>(spec.seeds_size());
  if (jobs > kMaxJobsPerSweep) {
    problems->push_back({"seeds", absl::StrCat("make ", jobs, " jobs with these ",
                                               IsClassic(spec) ? "tasks and depths" : "points",
                                               "; a sweep holds at most ", kMaxJobsPerSweep,
                                               ", so split it into several")});
  }
  return true;
}

void CheckPoints(const Grid& grid, std::vector<Problem>* problems) {
  PointChecker checker(grid, problems);
  grid.ForEachCell([&](const Cell& cell) { return cell.exclude >= 0 || checker.Check(cell); });
}

}  // namespace coppice::spec
