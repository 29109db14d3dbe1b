#ifndef COPPICE_CLI_TABLE_H_
#define COPPICE_CLI_TABLE_H_

#include <string>
#include <utility>
#include <vector>

namespace coppice::cli {

enum class Align { kLeft, kRight };

// Columns of text under headers, as wide as their widest cell, two spaces apart. Not thread-safe.
class Table {
 public:
  struct Column {
    std::string header;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // Adds a row; missing cells at its end are empty. Cells may hold color sequences. A newline or a
  // tab becomes a space, so that a name from elsewhere cannot add a line.
  void AddRow(std::vector<std::string> cells);

  // If `max_width` is not 0 and the table is wider, the columns after the first `pinned` continue
  // in blocks below, which repeat the pinned ones. A column wider than a line stays whole.
  std::vector<std::string> Lines(size_t max_width = 0, size_t pinned = 1) const;
  std::string Render(size_t max_width = 0, size_t pinned = 1) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_TABLE_H_
