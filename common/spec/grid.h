// A sweep's grid, prepared so that many points are resolved fast. Private to this library.
#ifndef COPPICE_COMMON_SPEC_GRID_H_
#define COPPICE_COMMON_SPEC_GRID_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/settings/table.h"
#include "common/spec/axes.h"
#include "common/spec/bits.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

// A setting by its number in a Grid, and a value for it. The value of a program's setting is its
// JSON text.
struct Assignment {
  int setting = 0;
  settings::Value value;
};

// A point of the grid, excluded or not.
struct Cell {
  std::vector<int> values;  // the place on each axis
  Bits overrides;           // those that apply
  int exclude = -1;         // the first that takes the cell out
};

// The spec need not be valid: unknown names in conditions match nothing, unknown settings are left
// out. It must outlive the grid. Immutable; safe to share between threads.
class Grid {
 public:
  explicit Grid(const v1::SweepSpec& spec);

  const v1::SweepSpec& spec() const { return *spec_; }
  const std::vector<v1::Axis>& axes() const { return axes_; }

  // Cells with excluded ones; at most UINT64_MAX.
  uint64_t cells() const;
  // Calls `use` with each cell, excluded ones too, the innermost axis varying fastest, until it
  // returns false.
  void ForEachCell(const std::function<bool(const Cell&)>& use) const;

  v1::RunConfig Resolve(const Cell& cell) const;
  // Empty in a classic sweep.
  Coordinates CoordinatesOf(const Cell& cell) const;
  GridPoint PointOf(const Cell& cell) const;
  // PointText of the cell.
  std::string TextOf(const Cell& cell) const;

  // -1: the grid knows no such setting.
  int SettingNumber(absl::string_view path) const;
  // "train.steps", or the name of a program's setting.
  std::string SettingName(int setting) const;
  // The settings that a value of an axis gives.
  const std::vector<Assignment>& Given(size_t axis, int value) const {
    return given_[axis][static_cast<size_t>(value)];
  }
  // The overrides that set the setting.
  const Bits& OverridesOf(int setting) const { return setters_[static_cast<size_t>(setting)]; }
  std::string OverridePath(int index, int setting) const;
  // The place in the spec that gives a cell its value of a setting, as a user wrote it:
  // "train.steps", "overrides[2].train.steps", "axes.size.small.train.steps", or "" for a default.
  std::string PlaceOf(const Cell& cell, absl::string_view path) const;

 private:
  // A list of conditions, from an override or an exclude.
  using Conditions = std::vector<std::pair<std::string, std::vector<std::string>>>;
  // For each axis and value, the lists that the value does not meet.
  struct Unmet {
    std::vector<std::vector<Bits>> of;
    Bits everywhere;  // they name an axis that does not exist
    size_t lists = 0;
  };

  static Conditions ConditionsOf(const v1::Override& change);
  static Conditions ConditionsOf(const v1::Exclude& exclude);
  Unmet Compile(const std::vector<Conditions>& lists) const;
  void Assign(int setting, const settings::Value& value, v1::RunConfig* run) const;
  v1::RunConfig BaseRun(const std::string& task) const;
  void Walk(size_t axis, std::vector<Bits>* overrides, std::vector<Bits>* excludes, Cell* cell,
            const std::function<bool(const Cell&)>& use, bool* go_on) const;

  const v1::SweepSpec* spec_;
  std::vector<v1::Axis> axes_;
  int first_program_setting_ = 0;
  int task_setting_ = 0;
  absl::flat_hash_map<std::string, int> program_settings_;
  std::vector<absl::flat_hash_map<std::string, int>> value_numbers_;
  std::vector<std::vector<std::vector<Assignment>>> given_;
  std::vector<std::vector<Assignment>> changes_;  // of each override
  std::vector<Bits> setters_;                     // by setting
  std::vector<int> overridden_;                   // settings that any override sets
  Unmet override_unmet_;
  Unmet exclude_unmet_;
  std::map<std::string, v1::RunConfig> bases_;  // by task: defaults and the spec's own settings
};

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_GRID_H_
