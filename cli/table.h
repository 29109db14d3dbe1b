#ifndef COPPICE_CLI_TABLE_H_
#define COPPICE_CLI_TABLE_H_

#include <string>
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

  // A row shorter than the columns ends in empty cells. Cells may hold colour sequences. A
  // newline or a tab in one becomes a space: what others named cannot add a line.
  void AddRow(std::vector<std::string> cells);

  // Where `max_width` is not 0 and the table is wider, columns after the first `pinned` go into
  // further blocks below that repeat the pinned ones; a column wider than a whole line stays whole.
  std::vector<std::string> Lines(size_t max_width = 0, size_t pinned = 1) const;
  std::string Render(size_t max_width = 0, size_t pinned = 1) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_TABLE_H_
