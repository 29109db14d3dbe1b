#include "bench/report/markdown.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace coppice::bench {

std::string Number(double value) {
  if (std::abs(value) < 100) {
    const int digits = std::abs(value) < 10 ? 2 : 1;
    return absl::StrFormat("%.*f", digits, value);
  }
  std::string text = absl::StrFormat("%.0f", value);
  const size_t first = text[0] == '-' ? 1 : 0;
  std::string grouped;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i > first && (text.size() - i) % 3 == 0) grouped += ',';
    grouped += text[i];
  }
  return grouped;
}

std::string MarkdownTable(const std::vector<std::vector<std::string>>& rows,
                          const std::string& alignment) {
  const size_t columns = alignment.size();
  std::vector<int> widths(columns, 1);
  for (const std::vector<std::string>& row : rows) {
    for (size_t c = 0; c < columns; ++c)
      widths[c] = std::max(widths[c], static_cast<int>(row[c].size()));
  }
  std::string text;
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t c = 0; c < columns; ++c) {
      const int width = alignment[c] == 'l' ? -widths[c] : widths[c];
      absl::StrAppendFormat(&text, "| %*s ", width, rows[r][c]);
    }
    text += "|\n";
    if (r > 0) continue;
    for (size_t c = 0; c < columns; ++c) {
      const auto width = static_cast<size_t>(widths[c]);
      absl::StrAppend(&text, "|", std::string(width + 1, '-'), alignment[c] == 'l' ? "-" : ":");
    }
    text += "|\n";
  }
  return text;
}

}  // namespace coppice::bench
