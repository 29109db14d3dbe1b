#ifndef COPPICE_CLI_TERMINAL_H_
#define COPPICE_CLI_TERMINAL_H_

#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace coppice::cli {

// The abilities of the standard output. A pipe has no limits and no colors.
struct Terminal {
  bool interactive = false;
  bool colour = false;
  bool unicode = false;
  size_t width = 0;   // columns; 0: no limit
  size_t height = 0;  // lines; 0: no limit
};

// Determines them for file descriptor `fd` from the terminal itself, NO_COLOR (any nonempty value),
// TERM and the locale's variables.
Terminal DetectTerminal(int fd);

enum class Colour { kNone, kGreen, kRed, kYellow, kBlue, kDim, kBold };

// `text` in a color, or unchanged if the terminal has none.
std::string Paint(const Terminal& terminal, Colour colour, absl::string_view text);

// "[#####.....]", `width` columns wide including the brackets. `fraction` is clamped to [0, 1]. The
// bar is full only at 1.
std::string ProgressBar(const Terminal& terminal, double fraction, size_t width);

// Arranges the pieces in as few lines as `width` columns allow (0: one line), with `gap` between
// two on a line. A piece stays whole.
std::vector<std::string> Flow(const std::vector<std::string>& pieces, absl::string_view gap,
                              size_t width);

// Lines that are redrawn in place. On an interactive terminal, Draw replaces the lines that it drew
// before. Lines that are too wide are cut. Of too many lines only the first are shown, with a line
// that counts the others. Not thread-safe.
class LiveBlock {
 public:
  LiveBlock(std::ostream& out, Terminal terminal) : out_(out), terminal_(terminal) {}

  void Draw(const std::vector<std::string>& lines);
  // Removes the block, so that ordinary lines can be printed; the next Draw starts below them.
  void Erase();
  // Leaves the drawn lines and starts anew below them.
  void Keep() { drawn_ = 0; }
  // Sets the terminal's new size. Drawn lines may have been wrapped differently, so the next Draw
  // clears the whole screen.
  void Resize(const Terminal& terminal);

 private:
  std::ostream& out_;
  Terminal terminal_;
  size_t drawn_ = 0;
  bool clear_ = false;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_TERMINAL_H_
