#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ostream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/format.h"

namespace coppice::cli {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

constexpr char kClearScreen[] = "\x1b[H\x1b[J";

bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = absl::AsciiStrToLower(Environment(name));
    if (!value.empty())
      return absl::StrContains(value, "utf-8") || absl::StrContains(value, "utf8");
  }
  return false;
}

const char* Sequence(Colour colour) {
  switch (colour) {
    case Colour::kGreen:
      return "\x1b[32m";
    case Colour::kRed:
      return "\x1b[31m";
    case Colour::kYellow:
      return "\x1b[33m";
    case Colour::kBlue:
      return "\x1b[36m";
    case Colour::kDim:
      return "\x1b[2m";
    case Colour::kBold:
      return "\x1b[1m";
    case Colour::kNone:
      break;
  }
  return "";
}

}  // namespace

Terminal DetectTerminal(int fd) {
  Terminal terminal;
  const std::string term = Environment("TERM");
  terminal.unicode = LocaleIsUtf8();
  terminal.interactive = ::isatty(fd) == 1 && !term.empty() && term != "dumb";
  if (!terminal.interactive) return terminal;
  terminal.colour = Environment("NO_COLOR").empty();
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0) {
    terminal.width = size.ws_col;
    terminal.height = size.ws_row;
  }
  if (terminal.width == 0) terminal.width = 80;
  if (terminal.height == 0) terminal.height = 24;
  return terminal;
}

std::string Paint(const Terminal& terminal, Colour colour, absl::string_view text) {
  if (!terminal.colour || colour == Colour::kNone) return std::string(text);
  return absl::StrCat(Sequence(colour), text, "\x1b[0m");
}

std::string ProgressBar(const Terminal& terminal, double fraction, size_t width) {
  if (width < 3) return "";
  const size_t inner = width - 2;
  fraction = std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0.0;
  const size_t full = static_cast<size_t>(fraction * static_cast<double>(inner));
  std::string bar = "[";
  for (size_t i = 0; i < inner; ++i) {
    bar += i < full ? (terminal.unicode ? "█" : "#") : (terminal.unicode ? "·" : ".");
  }
  return bar + "]";
}

std::vector<std::string> Flow(const std::vector<std::string>& pieces, absl::string_view gap,
                              size_t width) {
  std::vector<std::string> lines;
  size_t used = 0;
  for (const std::string& piece : pieces) {
    const size_t columns = DisplayWidth(piece);
    if (lines.empty() || (width > 0 && used + gap.size() + columns > width)) {
      lines.push_back(piece);
      used = columns;
    } else {
      absl::StrAppend(&lines.back(), gap, piece);
      used += gap.size() + columns;
    }
  }
  return lines;
}

void LiveBlock::Resize(const Terminal& terminal) {
  clear_ |=
      drawn_ > 0 && (terminal.width != terminal_.width || terminal.height != terminal_.height);
  terminal_ = terminal;
}

void LiveBlock::Erase() {
  // Goes up to the block's first line and clears everything from there.
  if (clear_) {
    out_ << kClearScreen << std::flush;
  } else if (drawn_ > 0) {
    out_ << "\x1b[" << drawn_ << "A\r\x1b[J" << std::flush;
  }
  clear_ = false;
  drawn_ = 0;
}

void LiveBlock::Draw(const std::vector<std::string>& lines) {
  std::string text;
  if (clear_) {
    text = kClearScreen;
  } else if (drawn_ > 0) {
    absl::StrAppend(&text, "\x1b[", drawn_, "A\r\x1b[J");
  }
  clear_ = false;
  // The cursor is below the block, so one line stays free.
  const size_t room =
      terminal_.height == 0 ? lines.size() : std::max<size_t>(2, terminal_.height - 1);
  const size_t shown = lines.size() <= room ? lines.size() : room - 1;
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&text, terminal_.width == 0 ? lines[i] : Truncate(lines[i], terminal_.width),
                    "\n");
  }
  drawn_ = shown;
  if (shown < lines.size()) {
    absl::StrAppend(
        &text, Truncate(absl::StrCat("... ", lines.size() - shown, " more lines"), terminal_.width),
        "\n");
    ++drawn_;
  }
  out_ << text << std::flush;
}

}  // namespace coppice::cli
