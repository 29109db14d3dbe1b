// Checks of a spec: its axes, and the conditions on them.
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/limits.h"
#include "common/base/nearest_word.h"
#include "common/settings/table.h"
#include "common/spec/internal.h"
#include "common/spec/program.h"
#include "common/spec/validate_internal.h"

namespace coppice::spec {
namespace {

constexpr int kMaxAxes = 16;
constexpr int kMaxExcludes = 1'000;
constexpr size_t kMaxAxisNameBytes = 64;
// With points that `exclude` takes out.
constexpr uint64_t kMaxCells = 1'000'000;
// Words that stand beside axes in filters and tables.
constexpr std::array<absl::string_view, 5> kReserved = {"state", "sweep", "step", "job", "worker"};

bool IsAxisName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxAxisNameBytes &&
         absl::ascii_isalpha(static_cast<unsigned char>(name.front())) &&
         absl::c_all_of(name, [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
         });
}

// Whether a user means a setting by such a name: "train.stpes".
bool LooksLikeASetting(absl::string_view name) {
  const size_t point = name.find('.');
  if (point == absl::string_view::npos) return false;
  return absl::c_linear_search(settings::RunSettings().NamesBelow(""), name.substr(0, point));
}

std::string AxisNameMistake(const v1::SweepSpec& spec, const std::string& name) {
  const bool of_run = settings::RunSettings().Find(name) != nullptr;
  if (spec.has_program() && of_run && !IsSettingOfPrograms(name))
    return "is a setting of Coppice's own trainer; use one of the program's, from "
           "`program.settings`";
  if (IsSettingAxis(spec, name)) return "";
  if (name == "seed") return "is always the innermost axis; give its values as `seeds`";
  if (absl::c_linear_search(kReserved, name))
    return absl::StrCat("is a word of filters and tables; use another name, for example ", name,
                        "s");
  if (LooksLikeASetting(name)) return UnknownSettingAxis(spec, name);
  if (IsAxisName(name)) return "";
  return absl::StrCat("is ", settings::Quoted(name), "; use at most ", kMaxAxisNameBytes,
                      " letters, digits, '.', '_' and '-', the first a letter");
}

std::string ValueNameMistake(const std::string& name) {
  if (name.empty()) return "is empty; give the value a name, or remove it";
  if (IsAxisValueName(name)) return "";
  return absl::StrCat("is ", settings::Quoted(name),
                      ", which cannot stand in the name of a job; use an axis of your own whose "
                      "values have names of at most ",
                      kMaxAxisValueBytes, " letters, digits, '_', '.', '+' and '-'");
}

// A value must be named after what it sets: `text`.
std::string ValueTextMistake(const std::string& text, const std::string& name) {
  std::string mistake = ValueNameMistake(text);
  if (mistake.empty() && text != name)
    mistake =
        absl::StrCat("is named ", settings::Quoted(name), "; name it after its value, ", text);
  return mistake;
}

// The value of an axis that varies one setting of the program must be that setting.
std::string ProgramValueMistake(const v1::SweepSpec& spec, const v1::Axis& axis,
                                const v1::AxisValue& value) {
  const v1::AxisSettings& given = value.settings();
  const settings::Values of_run = ValuesOf(given);
  if (given.program_size() != 1 || given.program(0).name() != axis.name() || !of_run.all().empty())
    return absl::StrCat("must set ", axis.name(),
                        " and nothing else; use an axis of your own for a set of settings");
  std::string mistake = ProgramSettingMistake(spec, given.program(0));
  if (!mistake.empty()) return mistake;
  return ValueTextMistake(ProgramValueName(*ProgramScalar(given.program(0).value())), value.name());
}

// The value of an axis that varies one setting of the table must be that setting.
void CheckSettingValue(const v1::SweepSpec& spec, const v1::Axis& axis, int index,
                       const std::string& path, std::vector<Problem>* problems) {
  const settings::Table& table = settings::RunSettings();
  const settings::Setting* setting = table.Find(axis.name());
  const v1::AxisValue& value = axis.values(index);
  if (setting == nullptr) {
    std::string mistake = ProgramValueMistake(spec, axis, value);
    if (!mistake.empty()) problems->push_back({path, std::move(mistake)});
    return;
  }
  const settings::Values given = ValuesOf(value.settings());
  const settings::Value* own = given.Find(axis.name());
  if (own == nullptr || given.all().size() != 1 || value.settings().program_size() != 0) {
    problems->push_back({path, absl::StrCat("must set ", axis.name(),
                                            " and nothing else; use an axis of your own for a set "
                                            "of settings")});
    return;
  }
  if (const auto wrong = WhatIsWrong(*setting, *own, settings::Origin::kSweep); wrong) {
    problems->push_back({path, *wrong});
    return;
  }
  std::string mistake = ValueTextMistake(settings::ValueText(*own), value.name());
  if (!mistake.empty()) problems->push_back({path, std::move(mistake)});
}

void CheckNamedValue(const v1::SweepSpec& spec, const v1::AxisValue& value, const std::string& path,
                     std::vector<Problem>* problems) {
  ValidateSettings(value.settings(), path + ".", settings::RunSettings(), problems);
  if (spec.has_program()) CheckOnlyProgramSettings(value.settings(), path + ".", problems);
  CheckProgramSettings(spec, value.settings().program(), path, problems);
}

void CheckValues(const v1::SweepSpec& spec, const v1::Axis& axis, const std::string& path,
                 std::vector<Problem>* problems) {
  if (axis.values().empty()) {
    problems->push_back({path, "has no values; give it at least one, or remove the axis"});
    return;
  }
  const bool setting_axis = IsSettingAxis(spec, axis.name());
  absl::flat_hash_set<std::string> seen;
  const size_t before = problems->size();
  bool sets_something = false;
  for (int i = 0; i < axis.values_size(); ++i) {
    if (problems->size() - before >= kMaxProblemsPerList) return;
    const v1::AxisValue& value = axis.values(i);
    const std::string at = absl::StrCat(path, "[", i, "]");
    sets_something |= value.settings().ByteSizeLong() > 0;
    const size_t known = problems->size();
    if (setting_axis) {
      CheckSettingValue(spec, axis, i, at, problems);
    } else if (std::string mistake = ValueNameMistake(value.name()); !mistake.empty()) {
      problems->push_back({at, std::move(mistake)});
    } else {
      CheckNamedValue(spec, value, AxisValuePath(spec, axis, i), problems);
    }
    if (!seen.insert(value.name()).second && problems->size() == known) {
      problems->push_back({at, absl::StrCat("names ", value.name(), " a second time; remove one")});
    }
  }
  if (!setting_axis && !sets_something)
    problems->push_back({path, UnknownSettingAxis(spec, axis.name())});
}

bool CheckAxisCount(const v1::SweepSpec& spec, std::vector<Problem>* problems) {
  for (const auto& [path, size] :
       {std::pair("tasks", spec.tasks_size()), std::pair("depths", spec.depths_size())}) {
    if (size > 0 && !spec.has_program()) {
      problems->push_back({path, "stands beside `axes`; give its values to the axis of that name"});
      return false;
    }
  }
  if (spec.axes_size() > kMaxAxes) {
    problems->push_back({"axes", absl::StrCat("holds ", spec.axes_size(), " axes; use at most ",
                                              kMaxAxes, " and axes of linked settings")});
    return false;
  }
  if (spec.axes_size() == 2 && spec.axes(0).name() == "task" && spec.axes(1).name() == "depth") {
    problems->push_back({"axes", "are task and depth alone; give them as `tasks` and `depths`"});
    return false;
  }
  return true;
}

// A condition as the user wrote it, from whichever field holds it.
struct Condition {
  std::string axis;
  std::vector<std::string> values;
};

std::string AxisNames(const std::vector<v1::Axis>& axes) {
  return absl::StrJoin(axes, ", ", [](std::string* out, const v1::Axis& axis) {
    absl::StrAppend(out, axis.name());
  });
}

void CheckConditionValues(const v1::Axis& axis, const Condition& condition, const std::string& at,
                          std::vector<Problem>* problems) {
  if (condition.values.empty())
    problems->push_back({at, "has no values; give it at least one, or remove it"});
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(axis.values_size()));
  for (const v1::AxisValue& value : axis.values()) names.push_back(value.name());
  const absl::flat_hash_set<std::string> known(names.begin(), names.end());
  int found = 0;
  for (size_t i = 0; i < condition.values.size() && found < kMaxProblemsPerList; ++i) {
    const std::string& value = condition.values[i];
    if (known.contains(value)) continue;
    ++found;
    const bool cut = names.size() > 8;
    if (cut) names.resize(8);
    problems->push_back(
        {absl::StrCat(at, "[", i, "]"),
         absl::StrCat("is ", settings::Quoted(value), ", which is no value of the axis; use ",
                      absl::StrJoin(names, ", "), cut ? ", ..." : "")});
  }
}

void CheckConditions(const std::vector<Condition>& conditions, const std::vector<v1::Axis>& axes,
                     const std::string& path, std::vector<Problem>* problems) {
  absl::flat_hash_set<std::string> seen;
  const size_t before = problems->size();
  for (const Condition& condition : conditions) {
    if (problems->size() - before >= kMaxProblemsPerList) return;
    const std::string at = absl::StrCat(path, ".", condition.axis);
    const v1::Axis* axis = FindAxis(axes, condition.axis);
    if (condition.axis == "seed") {
      problems->push_back({at,
                           "cannot differ here, since the seeds of a pack share their "
                           "settings; use other axes"});
    } else if (axis == nullptr) {
      std::vector<std::string> names;
      for (const v1::Axis& known : axes) names.push_back(known.name());
      problems->push_back(
          {IsAxisName(condition.axis) ? at : path,
           absl::StrCat(IsAxisName(condition.axis)
                            ? ""
                            : absl::StrCat("names ", settings::Quoted(condition.axis), ", which "),
                        "is no axis of the sweep; use ", AxisNames(axes),
                        AfterSemicolon(DidYouMean(condition.axis, names)))});
    } else if (!seen.insert(condition.axis).second) {
      problems->push_back({at, "stands here twice; give its values in one list"});
    } else {
      CheckConditionValues(*axis, condition, at, problems);
    }
  }
}

}  // namespace

std::string UnknownSettingAxis(const v1::SweepSpec& spec, absl::string_view name) {
  std::vector<std::string> known;
  for (const settings::Setting& setting : settings::RunSettings().settings())
    known.push_back(setting.path);
  for (const v1::ProgramSetting& setting : spec.program().settings())
    known.push_back(setting.name());
  return absl::StrCat(
      "is no setting; use the path of one, or give each value a name and settings, for example `",
      IsAxisName(name) && !LooksLikeASetting(name) ? name : "size",
      ": {small: {...}, large: {...}}`", AfterSemicolon(DidYouMean(name, known)));
}

bool CheckAxes(const v1::SweepSpec& spec, std::vector<Problem>* problems) {
  if (!CheckAxisCount(spec, problems)) return false;
  const size_t before = problems->size();
  absl::flat_hash_set<std::string> seen;
  for (int i = 0; i < spec.axes_size(); ++i) {
    const v1::Axis& axis = spec.axes(i);
    const std::string path = IsAxisName(axis.name()) ? absl::StrCat("axes.", axis.name())
                                                     : absl::StrCat("axes[", i, "]");
    std::string mistake = AxisNameMistake(spec, axis.name());
    if (mistake.empty() && !seen.insert(axis.name()).second)
      mistake = "stands here twice; give its values in one list";
    if (mistake.empty() && static_cast<uint64_t>(axis.values_size()) > kMaxPointsPerSweep)
      mistake = absl::StrCat("has ", axis.values_size(), " values; use at most ",
                             kMaxPointsPerSweep, " and several sweeps");
    if (!mistake.empty()) {
      problems->push_back({path, std::move(mistake)});
    } else {
      CheckValues(spec, axis, path, problems);
    }
  }
  if (problems->size() > before) return false;
  uint64_t cells = 1;
  for (const v1::Axis& axis : spec.axes()) {
    cells *= static_cast<uint64_t>(axis.values_size());
    if (cells <= kMaxCells) continue;
    problems->push_back({"axes", absl::StrCat("make over ", kMaxCells,
                                              " points before any is excluded; use fewer values, "
                                              "axes of linked settings, or several sweeps")});
    return false;
  }
  return true;
}

bool CheckExcludes(const v1::SweepSpec& spec, const std::vector<v1::Axis>& axes,
                   std::vector<Problem>* problems) {
  if (spec.exclude_size() > kMaxExcludes) {
    problems->push_back({"exclude", absl::StrCat("holds ", spec.exclude_size(),
                                                 " entries; use at most ", kMaxExcludes)});
    return false;
  }
  const size_t before = problems->size();
  for (int i = 0; i < spec.exclude_size(); ++i) {
    if (problems->size() - before >= kMaxProblemsPerList) break;
    const std::string path = absl::StrCat("exclude[", i, "]");
    std::vector<Condition> conditions;
    for (const v1::AxisCondition& condition : spec.exclude(i).where())
      conditions.push_back(
          {condition.axis(), {condition.values().begin(), condition.values().end()}});
    if (conditions.empty()) {
      problems->push_back({path,
                           "names no axis; give it conditions, for example `{task: tense}`, "
                           "or remove it"});
    }
    CheckConditions(conditions, axes, path, problems);
  }
  return problems->size() == before;
}

void CheckWhere(const v1::Where& where, const std::vector<v1::Axis>& axes, const std::string& path,
                std::vector<Problem>* problems) {
  std::vector<Condition> conditions;
  if (where.task_size() > 0)
    conditions.push_back({"task", {where.task().begin(), where.task().end()}});
  if (where.depth_size() > 0) {
    conditions.push_back({"depth", {}});
    for (const uint32_t depth : where.depth())
      conditions.back().values.push_back(absl::StrCat(depth));
  }
  for (const v1::AxisCondition& condition : where.axes())
    conditions.push_back(
        {condition.axis(), {condition.values().begin(), condition.values().end()}});
  CheckConditions(conditions, axes, absl::StrCat(path, ".where"), problems);
}

}  // namespace coppice::spec
