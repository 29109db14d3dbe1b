#include "cli/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <sstream>

#include "cli/format.h"

namespace coppice::cli {
namespace {

TEST(ProgressBar, IsFullOnlyAtTheEnd) {
  const Terminal ascii;
  EXPECT_EQ(ProgressBar(ascii, 0, 12), "[..........]");
  EXPECT_EQ(ProgressBar(ascii, 0.5, 12), "[#####.....]");
  EXPECT_EQ(ProgressBar(ascii, 0.9999, 12), "[#########.]");
  EXPECT_EQ(ProgressBar(ascii, 1, 12), "[##########]");
  EXPECT_EQ(ProgressBar(ascii, 7, 12), "[##########]");
  EXPECT_EQ(ProgressBar(ascii, -1, 12), "[..........]");
  EXPECT_EQ(ProgressBar(ascii, 0.0 / 0.0, 12), "[..........]");
  EXPECT_EQ(ProgressBar({.unicode = true}, 0.5, 6), "[██··]");
}

TEST(Paint, IsPlainWithoutColours) {
  EXPECT_EQ(Paint({}, Colour::kRed, "x"), "x");
  EXPECT_EQ(Paint({.colour = true}, Colour::kRed, "x"), "\x1b[31mx\x1b[0m");
}

TEST(LiveBlock, GoesBackOverWhatItDrew) {
  std::ostringstream out;
  LiveBlock block(out, {.interactive = true, .width = 10, .height = 24});
  block.Draw({"one", "two"});
  block.Draw({"three"});
  block.Erase();
  EXPECT_EQ(out.str(), "one\ntwo\n\x1b[2A\r\x1b[Jthree\n\x1b[1A\r\x1b[J");
}

TEST(LiveBlock, FitsItsLinesIntoTheWindow) {
  std::ostringstream out;
  LiveBlock block(out, {.interactive = true, .width = 6, .height = 4});
  block.Draw({"a long line", "b", "c", "d", "e"});
  EXPECT_EQ(out.str(), "a lon~\nb\n... 3~\n") << "one line stays free for the cursor";
}

class DetectTerminalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::openpty(&main_, &terminal_, nullptr, nullptr, nullptr), 0);
    const winsize size = {.ws_row = 40, .ws_col = 123, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(::ioctl(terminal_, TIOCSWINSZ, &size), 0);
    ::setenv("TERM", "xterm", 1);
    ::unsetenv("NO_COLOR");
    ::setenv("LC_ALL", "C.UTF-8", 1);
  }
  void TearDown() override {
    ::close(main_);
    ::close(terminal_);
  }
  int main_ = -1;
  int terminal_ = -1;
};

TEST_F(DetectTerminalTest, KnowsATerminalItsSizeAndItsLocale) {
  const Terminal found = DetectTerminal(terminal_);
  EXPECT_TRUE(found.interactive);
  EXPECT_TRUE(found.colour);
  EXPECT_TRUE(found.unicode);
  EXPECT_EQ(found.width, 123);
  EXPECT_EQ(found.height, 40);
}

TEST_F(DetectTerminalTest, HonoursNoColorDumbTerminalsAndOtherLocales) {
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(DetectTerminal(terminal_).colour);
  ::setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(DetectTerminal(terminal_).colour) << "empty counts as unset";
  ::setenv("TERM", "dumb", 1);
  EXPECT_FALSE(DetectTerminal(terminal_).interactive);
  ::setenv("LC_ALL", "C", 1);
  EXPECT_FALSE(DetectTerminal(terminal_).unicode);
}

TEST_F(DetectTerminalTest, APipeHasNoColoursAndNoWidth) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Terminal found = DetectTerminal(ends[1]);
  EXPECT_FALSE(found.interactive);
  EXPECT_FALSE(found.colour);
  EXPECT_EQ(found.width, 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace coppice::cli
