#include "cli/settings.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/format.h"
#include "cli/points.h"
#include "common/spec/spec.h"

namespace coppice::cli {
namespace {

using Group = std::pair<std::string, uint32_t>;

// Describes a subset of all groups, by task or by depth if either suffices.
std::string Describe(const std::set<Group>& some, const std::vector<Group>& all) {
  if (some.size() == all.size()) return "";
  std::set<std::string> tasks;
  std::set<uint32_t> depths;
  for (const Group& group : some) {
    tasks.insert(group.first);
    depths.insert(group.second);
  }
  const auto covers = [&](const auto& matches) {
    size_t count = 0;
    for (const Group& group : all) count += matches(group) ? 1 : 0;
    return count == some.size();
  };
  if (covers([&](const Group& group) { return tasks.contains(group.first); })) {
    return absl::StrJoin(tasks, ", ");
  }
  if (covers([&](const Group& group) { return depths.contains(group.second); })) {
    return absl::StrCat("depth ", absl::StrJoin(depths, ", "));
  }
  std::vector<std::string> names;
  for (const Group& group : some) names.push_back(absl::StrCat(group.first, "/", group.second));
  return absl::StrJoin(names, ", ");
}

constexpr size_t kMaxValuesNamed = 4;
constexpr size_t kMaxRowsOfSetting = 6;

// Describes a subset of the points by the axis that tells it from the others: "size=small"; else by
// its size.
std::string DescribePoints(const std::set<size_t>& some, const PointRows& rows) {
  if (some.size() == rows.values.size()) return "";
  for (size_t axis = 0; axis < rows.axes.size(); ++axis) {
    std::vector<std::string> values;
    for (const size_t group : some) {
      const std::string& value = rows.values[group][axis];
      if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
    }
    size_t covered = 0;
    for (const std::vector<std::string>& point : rows.values)
      covered += std::find(values.begin(), values.end(), point[axis]) != values.end() ? 1 : 0;
    if (covered != some.size()) continue;
    const bool cut = values.size() > kMaxValuesNamed;
    if (cut) values.resize(kMaxValuesNamed);
    return absl::StrCat(rows.axes[axis], "=", absl::StrJoin(values, ","), cut ? ",..." : "");
  }
  if (some.size() == 1) return rows.Leading(*some.begin(), rows.axes.size());
  return absl::StrCat(FormatCount(some.size()), " points");
}

// The rows of a sweep with axes of its own. A setting with many values has only its first ones.
std::vector<SettingRow> PointSettingRows(const Groups& groups) {
  const PointRows points = PointRowsOf(groups);
  std::map<std::string, std::vector<std::pair<std::string, std::set<size_t>>>> settings;
  for (int i = 0; i < groups.size(); ++i) {
    for (const auto& [path, value] : SettingsOf(groups[i].run())) {
      auto& values = settings[path];
      size_t at = 0;
      while (at < values.size() && values[at].first != value) ++at;
      if (at == values.size()) values.emplace_back(value, std::set<size_t>());
      values[at].second.insert(static_cast<size_t>(i));
    }
  }
  std::vector<SettingRow> rows;
  for (const auto& [path, values] : settings) {
    const bool cut = values.size() > kMaxRowsOfSetting;
    const size_t shown = cut ? kMaxRowsOfSetting - 1 : values.size();
    for (size_t i = 0; i < shown; ++i)
      rows.push_back({path, values[i].first, DescribePoints(values[i].second, points)});
    if (cut) rows.push_back({path, absl::StrCat("and ", values.size() - shown, " more"), ""});
  }
  return rows;
}

}  // namespace

std::map<std::string, std::string> SettingsOf(const v1::RunConfig& run) {
  std::map<std::string, std::string> settings;
  const auto json = nlohmann::json::parse(spec::RunConfigToJson(run), nullptr, false);
  if (json.is_discarded()) return settings;
  const nlohmann::json leaves = json.flatten();
  for (const auto& [pointer, value] : leaves.items()) {
    const std::string path = absl::StrReplaceAll(pointer.substr(1), {{"/", "."}});
    if (path == "task" || path == "depth") continue;
    settings[path] = value.is_string()         ? value.get<std::string>()
                     : value.is_number_float() ? FormatExact(value.get<double>())
                                               : value.dump();
    if (settings[path].empty()) settings[path] = "(none)";
  }
  return settings;
}

std::vector<SettingRow> SettingRows(
    const google::protobuf::RepeatedPtrField<v1::GroupSummary>& groups) {
  if (!IsClassic(groups)) return PointSettingRows(groups);
  std::vector<Group> all;
  // setting -> value -> groups; a setting's values are in the order of the groups.
  std::map<std::string, std::vector<std::pair<std::string, std::set<Group>>>> settings;
  for (const v1::GroupSummary& group : groups) {
    const Group key(group.task(), group.depth());
    all.push_back(key);
    for (const auto& [path, value] : SettingsOf(group.run())) {
      auto& values = settings[path];
      size_t at = 0;
      while (at < values.size() && values[at].first != value) ++at;
      if (at == values.size()) values.emplace_back(value, std::set<Group>());
      values[at].second.insert(key);
    }
  }
  std::vector<SettingRow> rows;
  for (const auto& [path, values] : settings) {
    for (const auto& [value, some] : values) rows.push_back({path, value, Describe(some, all)});
  }
  return rows;
}

}  // namespace coppice::cli
