#include "cli/where.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/target.h"
#include "common/base/nearest_word.h"
#include "common/base/status_macros.h"
#include "common/spec/axes.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxValuesShown = 12;

// Adds what `get` returns for each value of each axis, once.
template <typename T, typename Has, typename Get>
std::vector<T> Distinct(const v1::SweepSpec& spec, Has has, Get get) {
  std::vector<T> found;
  for (const v1::Axis& axis : spec.axes()) {
    for (const v1::AxisValue& value : axis.values()) {
      if (!has(value.settings())) continue;
      const T one = get(value.settings());
      if (!absl::c_linear_search(found, one)) found.push_back(one);
    }
  }
  return found;
}

std::string Shown(const v1::Axis& axis) {
  std::vector<std::string> names;
  for (const v1::AxisValue& value : axis.values()) {
    if (names.size() == kMaxValuesShown) {
      names.push_back("...");
      break;
    }
    names.push_back(value.name());
  }
  return absl::StrJoin(names, ", ");
}

// "0-2": both ends.
bool IsNumberRange(const std::string& text, std::pair<uint64_t, uint64_t>* range) {
  const std::vector<std::string> ends = absl::StrSplit(text, '-');
  return ends.size() == 2 && IsNumber(ends[0]) && IsNumber(ends[1]) &&
         absl::SimpleAtoi(ends[0], &range->first) && absl::SimpleAtoi(ends[1], &range->second);
}

// The names of the axis' values that a text means.
std::vector<std::string> Meant(const v1::Axis& axis, const std::string& text) {
  for (const v1::AxisValue& value : axis.values()) {
    if (value.name() == text) return {text};
  }
  std::vector<std::string> names;
  double number = 0;
  std::pair<uint64_t, uint64_t> range;
  const bool is_number = absl::SimpleAtod(text, &number);
  const bool is_range = IsNumberRange(text, &range);
  for (const v1::AxisValue& value : axis.values()) {
    double other = 0;
    uint64_t whole = 0;
    const bool equal = is_number && absl::SimpleAtod(value.name(), &other) && other == number;
    const bool within = is_range && absl::SimpleAtoi(value.name(), &whole) &&
                        whole >= range.first && whole <= range.second;
    if (equal || within) names.push_back(value.name());
  }
  return names;
}

}  // namespace

absl::StatusOr<AxisText> ParseAxisText(const std::string& source, const std::string& text) {
  const size_t sign = text.find('=');
  AxisText parsed;
  if (sign != std::string::npos) parsed = {text.substr(0, sign), text.substr(sign + 1)};
  const std::vector<std::string> values = absl::StrSplit(parsed.values, ',');
  // An empty value is no wildcard: it may be an unset variable.
  if (parsed.axis.empty() || absl::c_linear_search(values, "")) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, " '", text, "' is no condition; use AXIS=VALUE or AXIS=VALUE,VALUE, for example ",
        "train.learning_rate=1e-4"));
  }
  return parsed;
}

std::vector<std::string> TasksOf(const v1::SweepSpec& spec) {
  if (spec::IsClassic(spec)) return {spec.tasks().begin(), spec.tasks().end()};
  return Distinct<std::string>(
      spec, [](const v1::AxisSettings& s) { return s.has_task(); },
      [](const v1::AxisSettings& s) { return s.task(); });
}

std::vector<uint32_t> DepthsOf(const v1::SweepSpec& spec) {
  if (spec::IsClassic(spec)) return {spec.depths().begin(), spec.depths().end()};
  return Distinct<uint32_t>(
      spec, [](const v1::AxisSettings& s) { return s.has_depth(); },
      [](const v1::AxisSettings& s) { return s.depth(); });
}

std::vector<std::string> AxisNamesOf(const v1::SweepSpec& spec) {
  std::vector<std::string> names;
  for (const v1::Axis& axis : spec::AxesOf(spec)) names.push_back(axis.name());
  names.push_back("seed");
  return names;
}

absl::Status ResolveWhere(const v1::SweepSpec& spec, v1::JobFilter* filter) {
  const std::vector<v1::Axis> axes = spec::AxesOf(spec);
  for (v1::AxisCondition& condition : *filter->mutable_where()) {
    const v1::Axis* axis = spec::FindAxis(axes, condition.axis());
    if (axis == nullptr) {
      const std::vector<std::string> names = AxisNamesOf(spec);
      const std::string nearest = NearestWord(condition.axis(), names);
      return absl::NotFoundError(
          absl::StrCat(filter->sweep(), " has no axis '", condition.axis(), "'; ",
                       nearest.empty() ? absl::StrCat("its axes are ", absl::StrJoin(names, ", "))
                                       : absl::StrCat("did you mean '", nearest, "'?")));
    }
    std::vector<std::string> meant;
    for (const std::string& text : condition.values()) {
      const std::vector<std::string> names = Meant(*axis, text);
      if (names.empty()) {
        return absl::NotFoundError(absl::StrCat("no job of ", filter->sweep(), " has ",
                                                condition.axis(), " ", text, "; ", filter->sweep(),
                                                " has ", Shown(*axis)));
      }
      for (const std::string& name : names) {
        if (!absl::c_linear_search(meant, name)) meant.push_back(name);
      }
    }
    condition.mutable_values()->Assign(meant.begin(), meant.end());
  }
  return absl::OkStatus();
}

bool MeetsWhere(const google::protobuf::RepeatedPtrField<v1::Coordinate>& point,
                const v1::JobFilter& filter) {
  return absl::c_all_of(filter.where(), [&](const v1::AxisCondition& condition) {
    return absl::c_any_of(point, [&](const v1::Coordinate& coordinate) {
      return coordinate.axis() == condition.axis() &&
             absl::c_linear_search(condition.values(), coordinate.value());
    });
  });
}

}  // namespace coppice::cli
