#include "bench/control_plane/table.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/report/markdown.h"

namespace coppice::bench {

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
  std::vector<std::vector<std::string>> rows = {{"what", "figure", "target", ""}};
  for (const Row& row : rows_) rows.push_back({row.what, row.figure, row.target, row.verdict});
  return MarkdownTable(rows, "lrrl");
}

}  // namespace coppice::bench
