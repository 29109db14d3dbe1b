#include "common/spec/grid.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/spec/internal.h"
#include "common/spec/program.h"

namespace coppice::spec {
namespace {

// The number of a setting in the table of this project; -1: it is none.
int TableNumber(absl::string_view path) {
  const settings::Setting* setting = settings::RunSettings().Find(path);
  if (setting == nullptr) return -1;
  return static_cast<int>(setting - settings::RunSettings().settings().data());
}

// SweepSpec and AxisSettings hold their program settings in different places.
std::vector<Assignment> AssignmentsOf(const google::protobuf::Message& message) {
  std::vector<Assignment> assignments;
  const auto& settings = settings::RunSettings().settings();
  for (size_t i = 0; i < settings.size(); ++i) {
    auto value = ValueIn(message, i);
    if (value) assignments.push_back({static_cast<int>(i), *std::move(value)});
  }
  return assignments;
}

template <typename ProgramSettings>
void AddProgramSettings(const ProgramSettings& settings,
                        const std::function<int(absl::string_view)>& number,
                        std::vector<Assignment>* assignments) {
  for (const v1::ProgramSetting& setting : settings) {
    const int of = number(setting.name());
    const std::optional<nlohmann::json> value = ProgramScalar(setting.value());
    if (of >= 0 && value) assignments->push_back({of, value->dump()});
  }
}

}  // namespace

Grid::Grid(const v1::SweepSpec& spec)
    : spec_(&spec),
      axes_(AxesOf(spec)),
      first_program_setting_(static_cast<int>(settings::RunSettings().settings().size())),
      task_setting_(TableNumber("task")) {
  for (const v1::ProgramSetting& setting : spec.program().settings()) {
    program_settings_.emplace(setting.name(),
                              first_program_setting_ + static_cast<int>(program_settings_.size()));
  }
  const auto number = [this](absl::string_view name) { return SettingNumber(name); };
  value_numbers_.resize(axes_.size());
  given_.resize(axes_.size());
  for (size_t axis = 0; axis < axes_.size(); ++axis) {
    for (int i = 0; i < axes_[axis].values_size(); ++i) {
      const v1::AxisValue& value = axes_[axis].values(i);
      value_numbers_[axis].emplace(value.name(), i);
      given_[axis].push_back(AssignmentsOf(value.settings()));
      AddProgramSettings(value.settings().program(), number, &given_[axis].back());
    }
  }
  const auto settings = static_cast<size_t>(first_program_setting_) + program_settings_.size();
  setters_.assign(settings, Bits(static_cast<size_t>(spec.overrides_size())));
  std::vector<bool> overridden(settings);
  std::vector<Conditions> conditions;
  for (int i = 0; i < spec.overrides_size(); ++i) {
    changes_.push_back(AssignmentsOf(spec.overrides(i)));
    AddProgramSettings(spec.overrides(i).settings(), number, &changes_.back());
    for (const Assignment& change : changes_.back()) {
      const auto setting = static_cast<size_t>(change.setting);
      setters_[setting].Add(static_cast<size_t>(i));
      if (!overridden[setting]) overridden_.push_back(change.setting);
      overridden[setting] = true;
    }
    conditions.push_back(ConditionsOf(spec.overrides(i)));
  }
  override_unmet_ = Compile(conditions);
  conditions.clear();
  for (const v1::Exclude& exclude : spec.exclude()) conditions.push_back(ConditionsOf(exclude));
  exclude_unmet_ = Compile(conditions);
  for (const auto& axis : given_) {
    for (const auto& value : axis) {
      for (const Assignment& given : value) {
        if (given.setting != task_setting_) continue;
        const auto& task = std::get<std::string>(given.value);
        if (bases_.find(task) == bases_.end()) bases_.emplace(task, BaseRun(task));
      }
    }
  }
  bases_.emplace("", BaseRun(""));
}

Grid::Conditions Grid::ConditionsOf(const v1::Override& change) {
  const v1::Where& where = change.where();
  Conditions conditions;
  if (where.task_size() > 0)
    conditions.emplace_back("task",
                            std::vector<std::string>(where.task().begin(), where.task().end()));
  if (where.depth_size() > 0) {
    std::vector<std::string> depths;
    for (const uint32_t depth : where.depth()) depths.push_back(absl::StrCat(depth));
    conditions.emplace_back("depth", std::move(depths));
  }
  for (const v1::AxisCondition& condition : where.axes()) {
    conditions.emplace_back(condition.axis(), std::vector<std::string>(condition.values().begin(),
                                                                       condition.values().end()));
  }
  return conditions;
}

Grid::Conditions Grid::ConditionsOf(const v1::Exclude& exclude) {
  Conditions conditions;
  for (const v1::AxisCondition& condition : exclude.where()) {
    conditions.emplace_back(condition.axis(), std::vector<std::string>(condition.values().begin(),
                                                                       condition.values().end()));
  }
  return conditions;
}

Grid::Unmet Grid::Compile(const std::vector<Conditions>& lists) const {
  Unmet unmet;
  unmet.lists = lists.size();
  unmet.everywhere = Bits(lists.size());
  std::vector<Bits> restricted(axes_.size(), Bits(lists.size()));
  std::vector<std::vector<Bits>> met(axes_.size());
  for (size_t axis = 0; axis < axes_.size(); ++axis)
    met[axis].assign(static_cast<size_t>(axes_[axis].values_size()), Bits(lists.size()));
  for (size_t list = 0; list < lists.size(); ++list) {
    for (const auto& [name, values] : lists[list]) {
      const v1::Axis* found = FindAxis(axes_, name);
      if (found == nullptr) {
        unmet.everywhere.Add(list);
        continue;
      }
      const auto axis = static_cast<size_t>(found - axes_.data());
      restricted[axis].Add(list);
      for (const std::string& value : values) {
        const auto at = value_numbers_[axis].find(value);
        if (at != value_numbers_[axis].end()) met[axis][static_cast<size_t>(at->second)].Add(list);
      }
    }
  }
  unmet.of.resize(axes_.size());
  for (size_t axis = 0; axis < axes_.size(); ++axis) {
    for (const v1::AxisValue& value : axes_[axis].values()) {
      unmet.of[axis].push_back(restricted[axis]);
      unmet.of[axis].back().RemoveAll(
          met[axis][static_cast<size_t>(value_numbers_[axis].at(value.name()))]);
    }
  }
  return unmet;
}

uint64_t Grid::cells() const {
  uint64_t cells = 1;
  for (const v1::Axis& axis : axes_) {
    const auto values = static_cast<uint64_t>(axis.values_size());
    if (values == 0) return 0;
    if (cells > std::numeric_limits<uint64_t>::max() / values)
      return std::numeric_limits<uint64_t>::max();
    cells *= values;
  }
  return cells;
}

void Grid::Walk(size_t axis, std::vector<Bits>* overrides, std::vector<Bits>* excludes, Cell* cell,
                const std::function<bool(const Cell&)>& use, bool* go_on) const {
  if (axis == axes_.size()) {
    cell->overrides = Bits::AllBelow(override_unmet_.lists);
    cell->overrides.RemoveAll((*overrides)[axis]);
    Bits takes_out = Bits::AllBelow(exclude_unmet_.lists);
    takes_out.RemoveAll((*excludes)[axis]);
    cell->exclude = takes_out.Lowest();
    *go_on = use(*cell);
    return;
  }
  for (int value = 0; *go_on && value < axes_[axis].values_size(); ++value) {
    cell->values[axis] = value;
    (*overrides)[axis + 1] = (*overrides)[axis];
    (*overrides)[axis + 1].AddAll(override_unmet_.of[axis][static_cast<size_t>(value)]);
    (*excludes)[axis + 1] = (*excludes)[axis];
    (*excludes)[axis + 1].AddAll(exclude_unmet_.of[axis][static_cast<size_t>(value)]);
    Walk(axis + 1, overrides, excludes, cell, use, go_on);
  }
}

void Grid::ForEachCell(const std::function<bool(const Cell&)>& use) const {
  if (cells() == 0) return;
  std::vector<Bits> overrides(axes_.size() + 1, override_unmet_.everywhere);
  std::vector<Bits> excludes(axes_.size() + 1, exclude_unmet_.everywhere);
  Cell cell;
  cell.values.resize(axes_.size());
  bool go_on = true;
  Walk(0, &overrides, &excludes, &cell, use, &go_on);
}

v1::RunConfig Grid::BaseRun(const std::string& task) const {
  v1::RunConfig run = spec_->has_program() ? DefaultProgramRun(spec_->program()) : DefaultRun(task);
  for (const Assignment& own : AssignmentsOf(*spec_)) Assign(own.setting, own.value, &run);
  return run;
}

void Grid::Assign(int setting, const settings::Value& value, v1::RunConfig* run) const {
  if (setting < first_program_setting_) {
    SetValueIn(static_cast<size_t>(setting), value, run);
  } else {
    run->mutable_program()
        ->mutable_settings(setting - first_program_setting_)
        ->set_value(std::get<std::string>(value));
  }
}

v1::RunConfig Grid::Resolve(const Cell& cell) const {
  const std::string* task = nullptr;
  for (size_t axis = 0; axis < axes_.size(); ++axis) {
    for (const Assignment& given : Given(axis, cell.values[axis])) {
      if (given.setting == task_setting_) task = &std::get<std::string>(given.value);
    }
  }
  v1::RunConfig run = bases_.at(task == nullptr ? "" : *task);
  for (size_t axis = 0; axis < axes_.size(); ++axis) {
    for (const Assignment& given : Given(axis, cell.values[axis]))
      Assign(given.setting, given.value, &run);
  }
  for (const int setting : overridden_) {
    const int last = cell.overrides.HighestCommon(OverridesOf(setting));
    if (last < 0) continue;
    for (const Assignment& change : changes_[static_cast<size_t>(last)]) {
      if (change.setting == setting) Assign(setting, change.value, &run);
    }
  }
  return run;
}

Coordinates Grid::CoordinatesOf(const Cell& cell) const {
  Coordinates coordinates;
  if (IsClassic(*spec_)) return coordinates;
  for (size_t axis = 0; axis < axes_.size(); ++axis) {
    v1::Coordinate* coordinate = coordinates.Add();
    coordinate->set_axis(axes_[axis].name());
    coordinate->set_value(axes_[axis].values(cell.values[axis]).name());
  }
  return coordinates;
}

GridPoint Grid::PointOf(const Cell& cell) const {
  GridPoint point;
  point.coordinates = CoordinatesOf(cell);
  point.run = Resolve(cell);
  point.task = point.run.task();
  point.depth = point.run.depth();
  return point;
}

std::string Grid::TextOf(const Cell& cell) const {
  if (!IsClassic(*spec_)) return PointText(CoordinatesOf(cell), "", 0);
  return absl::StrCat(axes_[0].values(cell.values[0]).name(), "/",
                      axes_[1].values(cell.values[1]).name());
}

int Grid::SettingNumber(absl::string_view path) const {
  const auto found = program_settings_.find(path);
  return found == program_settings_.end() ? TableNumber(path) : found->second;
}

std::string Grid::SettingName(int setting) const {
  if (setting < first_program_setting_)
    return settings::RunSettings().settings()[static_cast<size_t>(setting)].path;
  return spec_->program().settings(setting - first_program_setting_).name();
}

std::string Grid::OverridePath(int index, int setting) const {
  return absl::StrCat("overrides[", index, "].",
                      setting < first_program_setting_ ? "" : "settings.", SettingName(setting));
}

std::string Grid::PlaceOf(const Cell& cell, absl::string_view path) const {
  const int setting = SettingNumber(path);
  if (setting < 0) return "";
  const int last = cell.overrides.HighestCommon(OverridesOf(setting));
  if (last >= 0) return OverridePath(last, setting);
  for (size_t axis = 0; axis < axes_.size(); ++axis) {
    for (const Assignment& given : Given(axis, cell.values[axis])) {
      if (given.setting != setting) continue;
      std::string place = AxisValuePath(*spec_, axes_[axis], cell.values[axis]);
      if (!IsSettingAxis(*spec_, axes_[axis].name())) absl::StrAppend(&place, ".", path);
      return place;
    }
  }
  if (setting >= first_program_setting_) return absl::StrCat("program.settings.", path);
  return ValueIn(*spec_, static_cast<size_t>(setting)) ? std::string(path) : "";
}

}  // namespace coppice::spec
