#include "common/spec/axes.h"

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/settings/table.h"
#include "common/spec/grid.h"

namespace coppice::spec {

bool IsClassic(const v1::SweepSpec& spec) { return spec.axes().empty() && !spec.has_program(); }

std::vector<v1::Axis> AxesOf(const v1::SweepSpec& spec) {
  if (!IsClassic(spec)) return {spec.axes().begin(), spec.axes().end()};
  std::vector<v1::Axis> axes(2);
  axes[0].set_name("task");
  for (const std::string& task : spec.tasks()) {
    v1::AxisValue* value = axes[0].add_values();
    value->set_name(task);
    value->mutable_settings()->set_task(task);
  }
  axes[1].set_name("depth");
  for (const uint32_t depth : spec.depths()) {
    v1::AxisValue* value = axes[1].add_values();
    value->set_name(absl::StrCat(depth));
    value->mutable_settings()->set_depth(depth);
  }
  return axes;
}

const v1::Axis* FindAxis(const std::vector<v1::Axis>& axes, absl::string_view name) {
  const auto found = absl::c_find_if(
      axes, [&](const v1::Axis& axis) { return absl::string_view(axis.name()) == name; });
  return found == axes.end() ? nullptr : &*found;
}

bool IsSettingAxis(const v1::SweepSpec& spec, absl::string_view axis) {
  return settings::RunSettings().Find(axis) != nullptr ||
         absl::c_any_of(spec.program().settings(), [&](const v1::ProgramSetting& setting) {
           return absl::string_view(setting.name()) == axis;
         });
}

absl::Status ForEachPoint(const v1::SweepSpec& spec,
                          const std::function<absl::Status(const GridPoint&)>& use) {
  const Grid grid(spec);
  absl::Status status;
  grid.ForEachCell([&](const Cell& cell) {
    if (cell.exclude < 0) status = use(grid.PointOf(cell));
    return status.ok();
  });
  return status;
}

uint64_t CountPoints(const v1::SweepSpec& spec) {
  const Grid grid(spec);
  if (spec.exclude().empty()) return grid.cells();
  uint64_t points = 0;
  grid.ForEachCell([&](const Cell& cell) {
    points += cell.exclude < 0 ? 1 : 0;
    return true;
  });
  return points;
}

std::string PointText(const Coordinates& coordinates, absl::string_view task, uint32_t depth) {
  if (coordinates.empty()) return task.empty() ? "" : absl::StrCat(task, "/", depth);
  std::string text;
  for (const v1::Coordinate& coordinate : coordinates) {
    absl::StrAppend(&text, text.empty() ? "" : "/", coordinate.axis(), "=", coordinate.value());
  }
  return text;
}

std::string JobText(const Coordinates& coordinates, absl::string_view task, uint32_t depth,
                    uint32_t seed) {
  const std::string point = PointText(coordinates, task, depth);
  if (point.empty()) return absl::StrCat("seed=", seed);
  return absl::StrCat(point, coordinates.empty() ? "/" : "/seed=", seed);
}

bool IsAxisValueName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxAxisValueBytes && absl::c_all_of(name, [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '+' ||
           c == '-';
  });
}

std::string AxisValuePath(const v1::SweepSpec& spec, const v1::Axis& axis, int value) {
  if (IsSettingAxis(spec, axis.name())) return absl::StrCat("axes.", axis.name(), "[", value, "]");
  return absl::StrCat("axes.", axis.name(), ".", axis.values(value).name());
}

}  // namespace coppice::spec
