// The format of the benches' figures.
#ifndef COPPICE_BENCH_REPORT_MARKDOWN_H_
#define COPPICE_BENCH_REPORT_MARKDOWN_H_

#include <string>
#include <vector>

namespace coppice::bench {

// "1,234,567", "12.3", "0.45": three significant digits.
std::string Number(double value);

// A Markdown table whose columns also line up as plain text. The first row is the head. All rows
// have the same number of cells. `alignment` has one letter for each column: 'l' or 'r'.
std::string MarkdownTable(const std::vector<std::vector<std::string>>& rows,
                          const std::string& alignment);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_REPORT_MARKDOWN_H_
