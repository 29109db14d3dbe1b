#include "common/settings/table.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace coppice::settings {

const Value* Values::Find(absl::string_view path) const {
  const auto found = values_.find(path);
  return found == values_.end() ? nullptr : &found->second;
}

int64_t Values::Integer(absl::string_view path) const {
  const Value* value = Find(path);
  const auto* number = value == nullptr ? nullptr : std::get_if<int64_t>(value);
  return number == nullptr ? 0 : *number;
}

double Values::Number(absl::string_view path) const {
  const Value* value = Find(path);
  const auto* number = value == nullptr ? nullptr : std::get_if<double>(value);
  return number == nullptr ? static_cast<double>(Integer(path)) : *number;
}

std::string Values::Text(absl::string_view path) const {
  const Value* value = Find(path);
  const auto* text = value == nullptr ? nullptr : std::get_if<std::string>(value);
  return text == nullptr ? std::string() : *text;
}

void Values::Merge(const Values& others) {
  for (const auto& [path, value] : others.values_) values_.insert_or_assign(path, value);
}

Table::Table(std::vector<Setting> settings, std::vector<CrossCheck> checks)
    : settings_(std::move(settings)), checks_(std::move(checks)) {
  for (const Setting& setting : settings_) by_path_.emplace(setting.path, &setting);
}

const Setting* Table::Find(absl::string_view path) const {
  const auto found = by_path_.find(path);
  return found == by_path_.end() ? nullptr : found->second;
}

std::vector<std::string> Table::NamesBelow(absl::string_view path) const {
  const std::string prefix = path.empty() ? "" : absl::StrCat(path, ".");
  std::vector<std::string> names;
  for (const Setting& setting : settings_) {
    if (!absl::StartsWith(setting.path, prefix)) continue;
    const std::string rest = setting.path.substr(prefix.size());
    std::string name = rest.substr(0, rest.find('.'));
    if (!absl::c_linear_search(names, name)) names.push_back(std::move(name));
  }
  return names;
}

Values Table::Defaults(absl::string_view task) const {
  Values values;
  for (const Setting& setting : settings_) {
    const auto own = setting.default_of_task.find(std::string(task));
    if (own != setting.default_of_task.end()) {
      values.Set(setting.path, own->second);
    } else if (setting.default_value) {
      values.Set(setting.path, *setting.default_value);
    }
  }
  return values;
}

std::vector<const CrossCheck*> Table::Failed(const Values& run, Origin origin) const {
  std::vector<const CrossCheck*> failed;
  for (const CrossCheck& check : checks_) {
    if (check.strictest == Origin::kSweep && origin != Origin::kSweep) continue;
    const bool comparable = absl::c_all_of(check.settings, [&](const std::string& path) {
      const Setting* setting = Find(path);
      const Value* value = run.Find(path);
      return setting == nullptr || value == nullptr || !WhatIsWrong(*setting, *value, origin);
    });
    if (comparable && !check.holds(run)) failed.push_back(&check);
  }
  return failed;
}

}  // namespace coppice::settings
