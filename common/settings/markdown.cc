#include "common/settings/markdown.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace coppice::settings {
namespace {

constexpr absl::string_view kBegin =
    "<!-- run settings: made by coppice-settings-table, do not edit -->\n";
constexpr absl::string_view kEnd = "<!-- end of run settings -->\n";

std::string RangeCell(const Table& table, const Setting& setting) {
  std::string cell = RangeText(setting);
  if (std::holds_alternative<WordRange>(setting.range)) {
    std::vector<std::string> words = absl::StrSplit(cell, ", ");
    cell.clear();
    for (const std::string& word : words)
      absl::StrAppend(&cell, cell.empty() ? "`" : ", `", word, "`");
  }
  if (!setting.unit.empty()) absl::StrAppend(&cell, " ", setting.unit);
  for (const CrossCheck& check : table.checks()) {
    if (check.settings.front() == setting.path && !check.range.empty())
      absl::StrAppend(&cell, ", ", check.range);
  }
  return cell;
}

}  // namespace

std::string MarkdownTable(const Table& table) {
  std::string rows = "| key | default | range | meaning |\n|---|---|---|---|\n";
  for (const Setting& setting : table.settings()) {
    absl::StrAppend(&rows, "| `", setting.in_sweep.empty() ? setting.path : setting.in_sweep,
                    "` | ", DefaultText(setting), " | ", RangeCell(table, setting), " | ",
                    setting.help, " |\n");
  }
  return rows;
}

absl::StatusOr<std::string> WithTable(absl::string_view document, absl::string_view rows) {
  const size_t begin = document.find(kBegin);
  const size_t end = document.find(kEnd);
  if (begin == absl::string_view::npos || end == absl::string_view::npos || end < begin) {
    return absl::NotFoundError(absl::StrCat("the document lacks the lines\n", kBegin, kEnd,
                                            "between which the table goes"));
  }
  return absl::StrCat(document.substr(0, begin + kBegin.size()), "\n", rows, "\n",
                      document.substr(end));
}

std::string LineDifference(absl::string_view before, absl::string_view after) {
  if (before == after) return "";
  const std::vector<absl::string_view> old_lines = absl::StrSplit(before, '\n');
  const std::vector<absl::string_view> new_lines = absl::StrSplit(after, '\n');
  size_t same = 0;
  while (same < old_lines.size() && same < new_lines.size() && old_lines[same] == new_lines[same])
    ++same;
  size_t tail = 0;
  while (tail < old_lines.size() - same && tail < new_lines.size() - same &&
         old_lines[old_lines.size() - 1 - tail] == new_lines[new_lines.size() - 1 - tail])
    ++tail;
  std::string text;
  size_t at = same;
  for (size_t i = same; i < old_lines.size() - tail; ++i) {
    // If the other text has this line further on, the line stays, and the lines before it are new.
    size_t found = at;
    while (found < new_lines.size() - tail && new_lines[found] != old_lines[i]) ++found;
    if (found == new_lines.size() - tail) {
      absl::StrAppend(&text, "-", old_lines[i], "\n");
      continue;
    }
    for (; at < found; ++at) absl::StrAppend(&text, "+", new_lines[at], "\n");
    at = found + 1;
  }
  for (; at < new_lines.size() - tail; ++at) absl::StrAppend(&text, "+", new_lines[at], "\n");
  return text;
}

}  // namespace coppice::settings
