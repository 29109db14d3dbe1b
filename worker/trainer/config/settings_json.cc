#include "worker/trainer/config/settings_json.h"

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "worker/trainer/config/strict_json.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;
using settings::Setting;
using settings::Table;
using settings::Value;
using settings::Values;

std::optional<Value> WholeNumber(const json& value) {
  if (value.is_number_unsigned()) {
    const uint64_t raw = value.get<uint64_t>();
    if (raw > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
    return static_cast<int64_t>(raw);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();  // people write 3e5 for an integer
  if (std::trunc(number) != number || std::abs(number) > kLargestExactInteger) return std::nullopt;
  return static_cast<int64_t>(number);
}

// nullopt: the value has another type than the setting.
std::optional<Value> ValueOf(const Setting& setting, const json& value) {
  if (std::holds_alternative<settings::IntegerRange>(setting.range)) return WholeNumber(value);
  if (std::holds_alternative<settings::NumberRange>(setting.range))
    return value.is_number() ? std::make_optional<Value>(value.get<double>()) : std::nullopt;
  return value.is_string() ? std::make_optional<Value>(value.get<std::string>()) : std::nullopt;
}

std::string Shown(const json& value) {
  constexpr size_t kLongest = 60;
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true);
  if (text.size() > kLongest) text = absl::StrCat(text.substr(0, kLongest), "...");
  return text;
}

void ReadSetting(StrictObject* object, const std::string& key, const Setting& setting,
                 Values* values) {
  const json* given = object->Find(key);
  if (given == nullptr) return;
  std::optional<Value> value = ValueOf(setting, *given);
  if (!value)
    return object->Fail(key, absl::StrCat("is ", Shown(*given), "; use ", Wanted(setting)));
  if (const auto wrong = WhatIsWrong(setting, *value, settings::Origin::kStandalone))
    return object->Fail(key, *wrong);
  values->Set(setting.path, *std::move(value));
}

void ReadObject(StrictObject object, const std::string& path, const Table& table, Values* values) {
  for (const std::string& name : table.NamesBelow(path)) {
    const std::string below = path.empty() ? name : absl::StrCat(path, ".", name);
    if (const Setting* setting = table.Find(below)) {
      ReadSetting(&object, name, *setting, values);
    } else {
      ReadObject(object.Object(name), below, table, values);
    }
  }
  object.Finish();
}

}  // namespace

Values ReadRun(StrictObject object, const Table& table) {
  for (const Setting& setting : table.settings()) {
    if (setting.required) object.Require(setting.path);
  }
  Values given;
  ReadObject(object, "", table, &given);
  Values run = table.Defaults(given.Text("task"));
  run.Merge(given);
  for (const settings::CrossCheck* check : table.Failed(run, settings::Origin::kStandalone)) {
    std::string place = check->settings.front();
    for (auto path = check->settings.rbegin(); path != check->settings.rend(); ++path) {
      if (given.Has(*path)) place = *path;
    }
    object.Fail(place, absl::StrCat(check->mistake(run), "; ", check->remedy));
  }
  return run;
}

json ToJson(const Values& values) {
  json document = json::object();
  for (const auto& [path, value] : values.all()) {
    json& at =
        document[json::json_pointer(absl::StrCat("/", absl::StrReplaceAll(path, {{".", "/"}})))];
    std::visit([&](const auto& v) { at = v; }, value);
  }
  return document;
}

}  // namespace coppice::trainer
