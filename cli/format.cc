#include "cli/format.h"

#include <charconv>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "common/base/utf8.h"

namespace coppice::cli {
namespace {

// Length of the escape sequence ("\x1b[...m") at the start of `text`; 0 if there is none.
size_t EscapeLength(absl::string_view text) {
  if (text.size() < 3 || text[0] != '\x1b' || text[1] != '[') return 0;
  const size_t end = text.find('m');
  return end == absl::string_view::npos ? 0 : end + 1;
}

// Returns whether a spreadsheet would compute the text instead of showing it. A number is no
// formula, even a negative one.
bool BeginsFormula(absl::string_view text) {
  if (text.empty() || absl::string_view("=+-@\t\r").find(text[0]) == absl::string_view::npos)
    return false;
  double number = 0;
  return !absl::SimpleAtod(text, &number) ||
         absl::ascii_isspace(static_cast<unsigned char>(text[0]));
}

}  // namespace

std::string FormatExact(double value) {
  if (std::isnan(value)) return "nan";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  return std::string(buffer, end);
}

std::string FormatShort(double value) { return absl::StrFormat("%.4g", value); }

std::string FormatCount(uint64_t value) {
  const std::string digits = absl::StrCat(value);
  std::string grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) grouped.push_back(',');
    grouped.push_back(digits[i]);
  }
  return grouped;
}

std::string FormatSteps(uint64_t steps) {
  const auto scaled = [](double value, const char* unit) {
    // Truncated, not rounded: 999,999 of 1,000,000 steps must not look complete.
    if (value >= 100) return absl::StrFormat("%d%s", static_cast<int64_t>(value), unit);
    const double cut = std::floor(value * 10) / 10;
    if (cut == std::floor(cut)) return absl::StrFormat("%d%s", static_cast<int64_t>(cut), unit);
    return absl::StrFormat("%.1f%s", cut, unit);
  };
  const double value = static_cast<double>(steps);
  if (steps < 1'000) return absl::StrCat(steps);
  if (steps < 1'000'000) return scaled(value / 1e3, "k");
  if (steps < 1'000'000'000) return scaled(value / 1e6, "M");
  if (steps < 1'000'000'000'000) return scaled(value / 1e9, "G");
  return scaled(value / 1e12, "T");
}

std::string FormatAccuracy(double value, bool known) {
  if (!known) return "-";
  // No accuracy has 309 digits, but a worker may report such a value.
  return std::abs(value) < 1000 ? absl::StrFormat("%.2f", value) : absl::StrFormat("%.3g", value);
}

std::string FormatDuration(double seconds) {
  if (!(seconds >= 0)) return "unknown";
  if (seconds > 3e9) return "over a century";
  const int64_t whole = std::llround(seconds);
  if (whole < 60) return absl::StrFormat("%ds", whole);
  if (whole < 3'600) return absl::StrFormat("%dm %02ds", whole / 60, whole % 60);
  if (whole < 86'400) return absl::StrFormat("%dh %02dm", whole / 3'600, whole % 3'600 / 60);
  return absl::StrFormat("%dd %02dh", whole / 86'400, whole % 86'400 / 3'600);
}

std::string FormatTime(int64_t unix_ms) {
  if (unix_ms == 0) return "-";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S %Ez", absl::FromUnixMillis(unix_ms),
                          absl::LocalTimeZone());
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1'024) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes);
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  int unit = 0;
  for (; value >= 1'024 && unit < 6; ++unit) value /= 1'024;
  return absl::StrFormat("%.1f %s", value, units[unit]);
}

std::string FormatWork(double multiply_adds) {
  return absl::StrFormat("%.2g multiply-adds", multiply_adds);
}

std::string StateWord(v1::JobState state) {
  return absl::AsciiStrToLower(v1::JobState_Name(state));
}

std::string CsvCell(absl::string_view text) {
  const bool formula = BeginsFormula(text);
  if (!formula && text.find_first_of(",\"\r\n") == absl::string_view::npos)
    return std::string(text);
  return absl::StrCat("\"", formula ? "'" : "", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

size_t DisplayWidth(absl::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t escape = EscapeLength(text.substr(i));
    if (escape == 0 && !IsUtf8Continuation(text[i])) ++width;
    i += escape == 0 ? 1 : escape;
  }
  return width;
}

std::string Truncate(absl::string_view text, size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  std::string kept;
  size_t used = 0;
  bool coloured = false;
  for (size_t i = 0; i < text.size();) {
    const size_t escape = EscapeLength(text.substr(i));
    if (escape > 0) {
      absl::StrAppend(&kept, text.substr(i, escape));
      coloured = true;
      i += escape;
      continue;
    }
    if (!IsUtf8Continuation(text[i]) && ++used >= width) break;
    kept.push_back(text[i++]);
  }
  return absl::StrCat(kept, width == 0 ? "" : "~", coloured ? "\x1b[0m" : "");
}

}  // namespace coppice::cli
