#include "cli/table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"

namespace coppice::cli {
namespace {

constexpr size_t kGap = 2;

std::string Pad(const std::string& cell, size_t width, Align align) {
  const std::string space(width - std::min(width, DisplayWidth(cell)), ' ');
  return align == Align::kLeft ? cell + space : space + cell;
}

}  // namespace

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) {
    for (char& c : cell) {
      if (c == '\n' || c == '\t') c = ' ';
    }
  }
  rows_.push_back(std::move(cells));
}

std::vector<std::string> Table::Lines(size_t max_width, size_t pinned) const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    widths.push_back(DisplayWidth(columns_[c].header));
    for (const auto& row : rows_) widths[c] = std::max(widths[c], DisplayWidth(row[c]));
  }
  pinned = std::min(pinned, columns_.size());
  size_t pinned_width = 0;
  for (size_t c = 0; c < pinned; ++c) pinned_width += widths[c] + kGap;

  std::vector<std::string> lines;
  for (size_t begin = pinned; begin < columns_.size() || lines.empty();) {
    std::vector<size_t> block;
    for (size_t c = 0; c < pinned; ++c) block.push_back(c);
    size_t width = pinned_width;
    const size_t first = begin;
    while (begin < columns_.size() &&
           (begin == first || max_width == 0 || width + widths[begin] <= max_width)) {
      width += widths[begin] + kGap;
      block.push_back(begin++);
    }
    const auto line = [&](const auto& cell_of) {
      std::vector<std::string> cells;
      for (const size_t c : block) cells.push_back(Pad(cell_of(c), widths[c], columns_[c].align));
      std::string text = absl::StrJoin(cells, std::string(kGap, ' '));
      text.erase(text.find_last_not_of(' ') + 1);
      return text;
    };
    if (!lines.empty()) lines.push_back("");
    lines.push_back(line([&](size_t c) { return columns_[c].header; }));
    for (const auto& row : rows_) lines.push_back(line([&](size_t c) { return row[c]; }));
  }
  return lines;
}

std::string Table::Render(size_t max_width, size_t pinned) const {
  return absl::StrJoin(Lines(max_width, pinned), "\n") + "\n";
}

}  // namespace coppice::cli
