#include "common/spec/yaml_scalars.h"

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <variant>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/spec/program.h"

namespace coppice::spec {
namespace {

constexpr size_t kYamlWidth = 100;
// Such words are something else to some reader of YAML.
constexpr std::array<absl::string_view, 13> kYamlReserved = {
    "null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "log", "infinity"};

bool IsPlainWord(absl::string_view text) {
  const auto letter = [](unsigned char c) {
    return absl::ascii_isalpha(c) || c == '_' || c == '/';
  };
  if (text.empty() || !letter(static_cast<unsigned char>(text.front()))) return false;
  if (!absl::c_all_of(text, [&](unsigned char c) {
        return letter(c) || absl::ascii_isdigit(c) || c == '.' || c == '-' || c == '+';
      })) {
    return false;
  }
  const std::string lower = absl::AsciiStrToLower(text);
  return !absl::c_linear_search(kYamlReserved, lower) && !absl::StrContains(lower, ".inf");
}

// Digits without a leading zero, which would make an octal number of them for some readers.
bool IsDigits(absl::string_view text) {
  return !text.empty() && (text.size() == 1 || text.front() != '0') &&
         absl::c_all_of(text, [](unsigned char c) { return absl::ascii_isdigit(c); });
}

// nullopt: not a number that stands in ranges.
std::optional<uint32_t> NumberOfRange(const std::string& entry) {
  uint32_t number = 0;
  if (!IsDigits(entry) || !absl::SimpleAtoi(entry, &number)) return std::nullopt;
  return number;
}

}  // namespace

std::string YamlWord(absl::string_view text) {
  if (IsPlainWord(text)) return std::string(text);
  // Single quotes have only one escape.
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "''"}}), "'");
}

std::string YamlWordOrDigits(absl::string_view text) {
  return IsDigits(text) ? std::string(text) : YamlWord(text);
}

std::string YamlValue(const settings::Value& value) {
  const auto* word = std::get_if<std::string>(&value);
  return word == nullptr ? settings::ValueText(value) : YamlWord(*word);
}

std::string YamlProgramValue(const std::string& json) {
  const std::optional<nlohmann::json> scalar = ProgramScalar(json);
  if (!scalar) return json;
  const std::string text = ProgramValueName(*scalar);
  if (scalar->is_string()) return YamlWord(text);
  // A program gets no whole number for one that was written with a point.
  const bool point = !scalar->is_number_float() || text.find_first_of(".e") != std::string::npos;
  return point ? text : absl::StrCat(text, ".0");
}

std::vector<std::string> WithRanges(const std::vector<std::string>& entries) {
  std::vector<std::string> shorter;
  shorter.reserve(entries.size());
  for (size_t i = 0; i < entries.size();) {
    const std::optional<uint32_t> first = NumberOfRange(entries[i]);
    size_t end = i + 1;
    while (first && end < entries.size() &&
           entries[end] == absl::StrCat(uint64_t{*first} + (end - i)) &&
           NumberOfRange(entries[end])) {
      ++end;
    }
    if (end - i > 2) {
      shorter.push_back(absl::StrCat(entries[i], "-", entries[end - 1]));
      i = end;
    } else {
      shorter.push_back(entries[i++]);
    }
  }
  return shorter;
}

void YamlLines::Line(int indent, absl::string_view head) {
  absl::StrAppend(&text_, std::string(static_cast<size_t>(indent), ' '), head, "\n");
}

void YamlLines::Flow(int indent, absl::string_view head, char open,
                     const std::vector<std::string>& entries, char close) {
  std::string line =
      absl::StrCat(std::string(static_cast<size_t>(indent), ' '), head, " ", std::string(1, open));
  const std::string next(static_cast<size_t>(indent) + 4, ' ');
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string entry = absl::StrCat(entries[i], i + 1 == entries.size() ? "" : ",");
    if (i > 0 && line.size() + 2 + entry.size() > kYamlWidth) {
      absl::StrAppend(&text_, line, "\n");
      line = absl::StrCat(next, entry);
    } else {
      absl::StrAppend(&line, i > 0 ? " " : "", entry);
    }
  }
  absl::StrAppend(&text_, line, std::string(1, close), "\n");
}

void YamlLines::List(int indent, absl::string_view head, const std::vector<std::string>& entries) {
  if (entries.size() == 1) return Line(indent, absl::StrCat(head, ": ", entries[0]));
  Flow(indent, absl::StrCat(head, ":"), '[', entries, ']');
}

void YamlLines::Map(int indent, absl::string_view head, const std::vector<std::string>& entries) {
  Flow(indent, absl::StrCat(head, ":"), '{', entries, '}');
}

void YamlLines::MapItem(int indent, const std::vector<std::string>& entries) {
  Flow(indent, "-", '{', entries, '}');
}

std::string YamlInlineList(const std::vector<std::string>& entries) {
  if (entries.size() == 1) return entries[0];
  return absl::StrCat("[", absl::StrJoin(entries, ", "), "]");
}

}  // namespace coppice::spec
