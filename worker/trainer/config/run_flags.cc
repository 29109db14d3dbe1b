#include "worker/trainer/config/run_flags.h"

#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace coppice::trainer {

using nlohmann::json;

std::string FlagHelp(const settings::Setting& setting) {
  // The help of such a flag describes paths; there is no range to show.
  const bool is_path = std::holds_alternative<settings::PathRange>(setting.range);
  std::string help =
      absl::StrCat(setting.help, setting.required ? " (" : " (default ",
                   absl::StrReplaceAll(DefaultText(setting), {{" (", ", "}, {")", ""}}));
  if (!is_path) {
    absl::StrAppend(&help, "; ", RangeText(setting), setting.unit.empty() ? "" : " ", setting.unit);
  }
  return absl::StrCat(help, ")");
}

std::vector<RunFlag> FlagsOf(const settings::Table& table) {
  std::vector<RunFlag> flags;
  for (const settings::Setting& setting : table.settings()) {
    if (setting.flag.empty()) continue;
    const bool is_number = std::holds_alternative<settings::IntegerRange>(setting.range) ||
                           std::holds_alternative<settings::NumberRange>(setting.range);
    flags.push_back({setting.flag,
                     absl::StrCat("/run/", absl::StrReplaceAll(setting.path, {{".", "/"}})),
                     is_number, FlagHelp(setting)});
  }
  return flags;
}

absl::StatusOr<json> FlagValue(const RunFlag& flag, const std::string& text) {
  if (!flag.is_number) return json(text);
  const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_number()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag.name, " must be a number, not \"", text, "\""));
  }
  return value;
}

}  // namespace coppice::trainer
