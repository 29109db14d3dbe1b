#include "bench/control_plane/table.h"

#include <algorithm>
#include <cmath>
#include <utility>

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

void Table::Judge(std::string what, double figure, const std::string& target, const char* unit,
                  bool met) {
  if (!met) ++missed_;
  rows_.push_back({std::move(what), absl::StrCat(Number(figure), " ", unit),
                   absl::StrCat(target, " ", unit), met ? "PASS" : "MISS"});
}

void Table::AtMost(std::string what, double figure, double target, const char* unit) {
  Judge(std::move(what), figure, absl::StrCat("<= ", Number(target)), unit, figure <= target);
}

void Table::AtLeast(std::string what, double figure, double target, const char* unit) {
  Judge(std::move(what), figure, absl::StrCat(">= ", Number(target)), unit, figure >= target);
}

std::string Table::Render() const {
  Row head{"what", "figure", "target", ""};
  size_t what = head.what.size(), figure = head.figure.size(), target = head.target.size();
  for (const Row& row : rows_) {
    what = std::max(what, row.what.size());
    figure = std::max(figure, row.figure.size());
    target = std::max(target, row.target.size());
  }
  std::string text;
  const auto line = [&](const Row& row) {
    absl::StrAppendFormat(&text, "| %-*s | %*s | %*s | %-4s |\n", what, row.what, figure,
                          row.figure, target, row.target, row.verdict);
  };
  line(head);
  absl::StrAppendFormat(&text, "|%s|%s:|%s:|%s|\n", std::string(what + 2, '-'),
                        std::string(figure + 1, '-'), std::string(target + 1, '-'),
                        std::string(6, '-'));
  for (const Row& row : rows_) line(row);
  return text;
}

}  // namespace coppice::bench
