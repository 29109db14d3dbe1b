#ifndef COPPICE_CLI_TERMINAL_H_
#define COPPICE_CLI_TERMINAL_H_

#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace coppice::cli {

// What the standard output can show. A pipe has no limits and no colours.
struct Terminal {
  bool interactive = false;
  bool colour = false;
  bool unicode = false;
  size_t width = 0;   // columns; 0: no limit
  size_t height = 0;  // lines; 0: no limit
};

// Of file descriptor `fd`, from the terminal itself, NO_COLOR (any value but the empty one), TERM
// and the locale's variables.
Terminal DetectTerminal(int fd);

enum class Colour { kNone, kGreen, kRed, kYellow, kBlue, kDim, kBold };

// `text` in a colour, or as it is where the terminal has none.
std::string Paint(const Terminal& terminal, Colour colour, absl::string_view text);

// "[#####.....]" of `width` columns with the brackets. `fraction` is brought into [0, 1]; full only
// at 1.
std::string ProgressBar(const Terminal& terminal, double fraction, size_t width);

// Pieces in as few lines as `width` columns allow (0: one line), `gap` between two of a line. A
// piece stays whole.
std::vector<std::string> Flow(const std::vector<std::string>& pieces, absl::string_view gap,
                              size_t width);

// Lines that are drawn over again. On an interactive terminal Draw replaces what it drew before;
// too wide lines are cut, and of too many only the first show, with a line that says how many are
// missing. Not thread-safe.
class LiveBlock {
 public:
  LiveBlock(std::ostream& out, Terminal terminal) : out_(out), terminal_(terminal) {}

  void Draw(const std::vector<std::string>& lines);
  // Removes the block, so that ordinary lines can be printed; the next Draw starts below them.
  void Erase();
  // Leaves what is drawn and starts anew below it.
  void Keep() { drawn_ = 0; }
  // The terminal has another size now: what was drawn may have been broken into other lines, so the
  // next Draw clears the whole screen.
  void Resize(const Terminal& terminal);

 private:
  std::ostream& out_;
  Terminal terminal_;
  size_t drawn_ = 0;
  bool clear_ = false;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_TERMINAL_H_
