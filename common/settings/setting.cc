#include "common/settings/setting.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "absl/algorithm/container.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/nearest_word.h"
#include "common/base/printable.h"

namespace coppice::settings {
namespace {

constexpr size_t kLongestPath = 4'096;

std::string NumberText(double value) {
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  // People write "1e-04" and "1e+30" as 1e-4 and 1e30.
  std::string text =
      absl::StrReplaceAll(std::string(digits, end), {{"e-0", "e-"}, {"e+0", "e"}, {"e+", "e"}});
  return text;
}

std::string Either(const std::vector<std::string>& words) {
  if (words.size() < 2) return absl::StrJoin(words, "");
  return absl::StrCat(absl::StrJoin(words.begin(), words.end() - 1, ", "), " or ", words.back());
}

std::string TextOf(const IntegerRange& range) {
  return absl::StrCat(range.low, " to ", range.high, range.even ? ", even" : "");
}

std::string TextOf(const NumberRange& range) {
  const std::string low = NumberText(range.low);
  const std::string high = NumberText(range.high);
  if (!range.without_low && !range.without_high) return absl::StrCat(low, " to ", high);
  return absl::StrCat(range.without_low ? "above " : "at least ", low,
                      range.without_high ? ", below " : ", at most ", high);
}

std::string TextOf(const WordRange& range) { return absl::StrJoin(range.words, ", "); }

std::string TextOf(const PathRange& range) {
  return range.kind == PathRange::Kind::kFolder ? "the absolute path of a folder"
                                                : "a path, absolute or below `data.directory`";
}

std::string WantedOf(const IntegerRange& range) {
  return absl::StrCat("a whole number from ", range.low, " to ", range.high);
}

std::string WantedOf(const NumberRange& range) {
  if (!range.without_low && !range.without_high)
    return absl::StrCat("a number from ", TextOf(range));
  const std::string low = NumberText(range.low);
  return absl::StrCat("a number ", range.without_low ? "above " : "of at least ", low, " and ",
                      range.without_high ? "below " : "at most ", NumberText(range.high));
}

std::string WantedOf(const WordRange& range) { return Either(range.words); }

std::string WantedOf(const PathRange&) {
  return absl::StrCat("a path of at most ", kLongestPath,
                      " bytes of UTF-8 without control characters");
}

std::string Shown(const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text == nullptr ? ValueText(value) : Quoted(*text);
}

bool Holds(const IntegerRange& range, const Value& value) {
  const auto* number = std::get_if<int64_t>(&value);
  return number != nullptr && *number >= range.low && *number <= range.high;
}

bool Holds(const NumberRange& range, const Value& value) {
  const auto* whole = std::get_if<int64_t>(&value);
  const auto* number = std::get_if<double>(&value);
  if (whole == nullptr && number == nullptr) return false;
  const double n = number != nullptr ? *number : static_cast<double>(*whole);
  return std::isfinite(n) && (range.without_low ? n > range.low : n >= range.low) &&
         (range.without_high ? n < range.high : n <= range.high);
}

bool Holds(const WordRange& range, const Value& value) {
  const auto* word = std::get_if<std::string>(&value);
  return word != nullptr && absl::c_linear_search(range.words, *word);
}

// A path is shown on the terminals of everybody who views the sweep.
bool Holds(const PathRange&, const Value& value) {
  const auto* path = std::get_if<std::string>(&value);
  return path != nullptr && IsPrintable(*path) && path->size() <= kLongestPath;
}

std::string WrongWord(const Setting& setting, const WordRange& range, const Value& value) {
  const auto* word = std::get_if<std::string>(&value);
  if (word == nullptr) return absl::StrCat("is ", ValueText(value), "; use ", WantedOf(range));
  if (const auto refused = range.refused.find(*word); refused != range.refused.end())
    return refused->second;
  const std::string question =
      setting.path == "task" ? DidYouMeanTask(*word) : DidYouMean(*word, range.words);
  return absl::StrCat("is ", Quoted(*word), "; use ", WantedOf(range), AfterSemicolon(question));
}

std::optional<std::string> WrongPath(const PathRange& range, const std::string& path,
                                     Origin origin) {
  if (origin != Origin::kSweep) return std::nullopt;
  if (range.kind == PathRange::Kind::kFile && path.empty())
    return "is empty; name a file, or leave the key out";
  if (range.kind == PathRange::Kind::kFolder && !path.empty() && path.front() != '/') {
    return absl::StrCat("is ", Quoted(path),
                        "; use an absolute path, since workers run in folders of their own");
  }
  return std::nullopt;
}

}  // namespace

std::string ValueText(const Value& value) {
  if (const auto* whole = std::get_if<int64_t>(&value)) return absl::StrCat(*whole);
  if (const auto* number = std::get_if<double>(&value)) return NumberText(*number);
  return std::get<std::string>(value);
}

std::string Quoted(absl::string_view text) {
  constexpr size_t kLongest = 60;
  size_t end = std::min(text.size(), kLongest);
  // Never cut within a UTF-8 character.
  while (end > 0 && end < text.size() && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  return absl::StrCat("'", absl::Utf8SafeCEscape(text.substr(0, end)),
                      end < text.size() ? "...'" : "'");
}

std::string RangeText(const Setting& setting) {
  return std::visit([](const auto& range) { return TextOf(range); }, setting.range);
}

std::string Wanted(const Setting& setting) {
  return std::visit([](const auto& range) { return WantedOf(range); }, setting.range);
}

std::string DefaultText(const Setting& setting) {
  if (setting.required) return "required";
  std::string text = setting.default_value ? ValueText(*setting.default_value) : "";
  if (text.empty()) text = setting.without.empty() ? "none" : setting.without;
  std::vector<std::string> others;
  for (const auto& [task, value] : setting.default_of_task)
    others.push_back(absl::StrCat(task, " ", ValueText(value)));
  return others.empty() ? text : absl::StrCat(text, " (", absl::StrJoin(others, ", "), ")");
}

std::optional<std::string> WhatIsWrong(const Setting& setting, const Value& value, Origin origin) {
  const bool holds =
      std::visit([&](const auto& range) { return Holds(range, value); }, setting.range);
  if (const auto* words = std::get_if<WordRange>(&setting.range))
    return holds ? std::nullopt : std::make_optional(WrongWord(setting, *words, value));
  const auto* path = std::get_if<PathRange>(&setting.range);
  if (!holds && path != nullptr) return absl::StrCat("is not a path; use ", Wanted(setting));
  if (!holds) return absl::StrCat("is ", Shown(value), "; use ", Wanted(setting));
  if (path != nullptr) return WrongPath(*path, std::get<std::string>(value), origin);
  const auto* whole = std::get_if<IntegerRange>(&setting.range);
  if (whole != nullptr && whole->even && std::get<int64_t>(value) % 2 != 0)
    return absl::StrCat("is ", Shown(value), "; use an even number, since ", whole->why_even);
  return std::nullopt;
}

}  // namespace coppice::settings
