// The screen of a terminal: the part of one that the program uses. Lines are rewrapped when the
// window's width changes, as in modern terminals.
#ifndef COPPICE_TESTS_CLI_SCREEN_H_
#define COPPICE_TESTS_CLI_SCREEN_H_

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

namespace coppice::cli {

// Not thread-safe.
class Screen {
 public:
  Screen(size_t width, size_t height) : width_(width), height_(height) { rows_.resize(height); }

  void Write(const std::string& bytes) {
    pending_ += bytes;
    size_t at = 0;
    while (at < pending_.size()) {
      const size_t length = Length(at);
      if (length == 0) break;  // the remaining bytes have not come yet
      Take(pending_.substr(at, length));
      at += length;
    }
    pending_.erase(0, at);
  }

  void Resize(size_t width, size_t height) {
    // The rows of a wrapped line are joined, then wrapped anew.
    std::vector<Row> lines;
    bool joined = false;
    for (size_t y = 0; y <= row_; ++y) {
      if (!joined) lines.emplace_back();
      lines.back().cells.insert(lines.back().cells.end(), rows_[y].cells.begin(),
                                rows_[y].cells.end());
      joined = rows_[y].wraps;
    }
    width_ = width;
    height_ = height;
    rows_.clear();
    for (Row& line : lines) {
      do {
        Row row;
        const size_t count = std::min(width_, line.cells.size());
        row.cells.assign(line.cells.begin(), line.cells.begin() + static_cast<ptrdiff_t>(count));
        line.cells.erase(line.cells.begin(), line.cells.begin() + static_cast<ptrdiff_t>(count));
        row.wraps = !line.cells.empty();
        rows_.push_back(row);
      } while (!line.cells.empty());
    }
    while (rows_.size() > height_) rows_.erase(rows_.begin());
    row_ = rows_.size() - 1;
    column_ = std::min(rows_[row_].cells.size(), width_);
    rows_.resize(height_);
  }

  // The rows without trailing blanks, and without empty rows at the screen's ends.
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    for (const Row& row : rows_) {
      std::string line;
      for (const std::string& cell : row.cells) line += cell;
      line.erase(line.find_last_not_of(' ') + 1);
      lines.push_back(line);
    }
    while (!lines.empty() && lines.back().empty()) lines.pop_back();
    return lines;
  }
  std::string Text() const {
    std::string text;
    for (const std::string& line : Lines()) text += line + "\n";
    return text;
  }
  // Returns whether anything ever scrolled off the top.
  bool scrolled() const { return scrolled_; }

 private:
  struct Row {
    std::vector<std::string> cells;  // one character each
    bool wraps = false;              // into the next row
  };

  // Length of the character or sequence at `at`; 0 if it is incomplete.
  size_t Length(size_t at) const {
    const auto c = static_cast<unsigned char>(pending_[at]);
    if (c == 0x1b) {
      const size_t end = pending_.find_first_of("ABCDHJKmhl", at + 2);
      return end == std::string::npos ? 0 : end - at + 1;
    }
    const size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return at + length <= pending_.size() ? length : 0;
  }

  void Take(const std::string& one) {
    if (one[0] == '\x1b') return Obey(one.substr(2, one.size() - 3), one.back());
    if (one == "\r") {
      column_ = 0;
    } else if (one == "\n") {
      Down();
    } else {
      Put(one);
    }
  }

  void Put(const std::string& one) {
    if (column_ == width_) {
      rows_[row_].wraps = true;
      column_ = 0;
      Down();
    }
    std::vector<std::string>& cells = rows_[row_].cells;
    if (cells.size() <= column_) cells.resize(column_ + 1, " ");
    cells[column_++] = one;
  }

  void Down() {
    if (++row_ < height_) return;
    rows_.erase(rows_.begin());
    rows_.emplace_back();
    row_ = height_ - 1;
    scrolled_ = true;
  }

  void Obey(const std::string& parameters, char command) {
    const size_t count = parameters.empty() ? 1 : std::strtoul(parameters.c_str(), nullptr, 10);
    if (command == 'A') row_ -= std::min(row_, count);
    if (command == 'H') row_ = column_ = 0;
    if (command == 'J') {
      rows_[row_].cells.resize(std::min(column_, rows_[row_].cells.size()));
      for (size_t y = row_ + 1; y < height_; ++y) rows_[y] = Row();
    }
  }

  size_t width_;
  size_t height_;
  std::vector<Row> rows_;
  size_t row_ = 0;
  size_t column_ = 0;
  bool scrolled_ = false;
  std::string pending_;
};

}  // namespace coppice::cli

#endif  // COPPICE_TESTS_CLI_SCREEN_H_
