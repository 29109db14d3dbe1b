// `coppice` on a real terminal: its window's size, and the screen after a change of it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "common/base/clock.h"
#include "common/base/secret_file.h"
#include "tests/cli/big_sweep.h"
#include "tests/cli/screen.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// The program itself, with a pseudo-terminal of its own. The destructor kills it.
class OnTerminal {
 public:
  OnTerminal(const std::string& access, std::vector<std::string> args, uint16_t width,
             uint16_t height)
      : screen_(width, height) {
    args.insert(args.begin(), COPPICE_CLI);
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    std::vector<std::string> environment = {"COPPICE_ACCESS=" + access, "TERM=xterm",
                                            "LC_ALL=C.UTF-8", "NO_COLOR=1", "HOME=/nonexistent"};
    std::vector<char*> envp;
    for (std::string& variable : environment) envp.push_back(variable.data());
    envp.push_back(nullptr);
    const winsize size = {.ws_row = height, .ws_col = width, .ws_xpixel = 0, .ws_ypixel = 0};
    pid_ = ::forkpty(&fd_, nullptr, nullptr, &size);
    if (pid_ == 0) {
      ::execve(argv[0], argv.data(), envp.data());
      ::_exit(127);
    }
  }
  ~OnTerminal() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(fd_);
  }

  // The kernel sends SIGWINCH.
  void Resize(uint16_t width, uint16_t height) {
    const winsize size = {.ws_row = height, .ws_col = width, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(::ioctl(fd_, TIOCSWINSZ, &size), 0);
    screen_.Resize(width, height);
  }
  void Type(const std::string& text) {
    ASSERT_EQ(::write(fd_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // Reads until the screen is as wanted; false after 20 s or when the program ends.
  bool Await(const std::function<bool(const std::string&)>& wanted) {
    const absl::Duration end = Clock::Real()->Monotonic() + absl::Seconds(20);
    while (!wanted(screen_.Text())) {
      pollfd readable = {.fd = fd_, .events = POLLIN, .revents = 0};
      const absl::Duration left = end - Clock::Real()->Monotonic();
      if (left <= absl::ZeroDuration() ||
          ::poll(&readable, 1, static_cast<int>(absl::ToInt64Milliseconds(left))) <= 0 || !Read()) {
        return wanted(screen_.Text());
      }
    }
    return true;
  }
  // Reads all output to its end and returns the exit code.
  int Wait() {
    while (Read()) continue;
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  const Screen& screen() const { return screen_; }

 private:
  // False at the end.
  bool Read() {
    char bytes[4096];
    const ssize_t count = ::read(fd_, bytes, sizeof(bytes));
    if (count <= 0) return false;
    screen_.Write(std::string(bytes, static_cast<size_t>(count)));
    return true;
  }

  Screen screen_;
  int fd_ = -1;
  pid_t pid_ = -1;
};

class PtyTest : public ::testing::Test {
 protected:
  PtyTest() {
    EXPECT_TRUE(CreateSecretFile(access_, coordinator_.access()).ok());
    FillBigSweep(&coordinator_.service(), 5, 10);
    absl::MutexLock lock(&coordinator_.service().mutex);
    coordinator_.service().watch_open = true;
  }
  ~PtyTest() override { End(); }
  void End() {
    absl::MutexLock lock(&coordinator_.service().mutex);
    coordinator_.service().watch_open = false;
  }
  static size_t Count(const std::string& text, const std::string& part) {
    size_t count = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
      ++count;
    return count;
  }
  // Expects the display and nothing else, from the first row on.
  static void ExpectClean(const OnTerminal& program, size_t width, size_t height) {
    const std::vector<std::string> lines = program.screen().Lines();
    const std::string text = program.screen().Text();
    ASSERT_FALSE(lines.empty());
    EXPECT_THAT(lines[0], HasSubstr("structural-grokking:")) << text;
    EXPECT_EQ(Count(text, "structural-grokking:"), 1) << text;
    EXPECT_EQ(Count(text, "ETA 2m 05s"), 1) << text;
    EXPECT_THAT(text, HasSubstr("21 failed")) << text;
    EXPECT_THAT(text, HasSubstr("failed ")) << text;
    EXPECT_LT(lines.size(), height) << text;
    for (const std::string& line : lines) EXPECT_LE(DisplayWidth(line), width) << line;
  }

  FakeCoordinator coordinator_;
  coppice::testing::TempDir dir_;
  // With this file, the terminal shows only the answer, without a warning about plain text.
  const std::string access_ = dir_.Join("access.json");
};

bool ShowsWhole(const std::string& text) {
  return absl::StrContains(text, "ETA 2m 05s") && absl::StrContains(text, "more; `coppice jobs");
}

TEST_F(PtyTest, WatchFits80x24WithEveryGroup) {
  OnTerminal program(access_, {"status", "structural-grokking", "--watch"}, 80, 24);
  ASSERT_TRUE(program.Await(ShowsWhole)) << program.screen().Text();
  ExpectClean(program, 80, 24);
  EXPECT_FALSE(program.screen().scrolled());
  EXPECT_THAT(program.screen().Text(), AllOf(HasSubstr("question/2 "), HasSubstr("dyck/10 ")));
}

TEST_F(PtyTest, WatchFits40Columns) {
  OnTerminal program(access_, {"status", "structural-grokking", "--watch"}, 40, 24);
  ASSERT_TRUE(program.Await(ShowsWhole)) << program.screen().Text();
  ExpectClean(program, 40, 24);
  EXPECT_FALSE(program.screen().scrolled());
}

TEST_F(PtyTest, WatchIsCleanAfterTheWindowChanges) {
  OnTerminal program(access_, {"status", "structural-grokking", "--watch"}, 100, 40);
  ASSERT_TRUE(program.Await(ShowsWhole)) << program.screen().Text();
  for (const auto& [width, height] :
       std::vector<std::pair<uint16_t, uint16_t>>{{40, 24}, {120, 50}, {80, 24}, {40, 12}}) {
    program.Resize(width, height);
    // The row above the totals is there only until the screen is redrawn.
    const auto anew = [&, width = width, height = height](const std::string& text) {
      const std::vector<std::string> lines = program.screen().Lines();
      return ShowsWhole(text) && absl::StartsWith(text, "structural-grokking:") &&
             Count(text, "structural-grokking:") == 1 &&
             absl::StrContains(text, height >= 40 ? "cancelled" : "/") &&
             std::none_of(lines.begin(), lines.end(),
                          [&](const std::string& line) { return DisplayWidth(line) > width; });
    };
    EXPECT_TRUE(program.Await(anew)) << width << "x" << height << ":\n" << program.screen().Text();
    ExpectClean(program, width, height);
  }
}

TEST_F(PtyTest, TheEndLeavesTheWholeTable) {
  OnTerminal program(access_, {"status", "structural-grokking", "--watch"}, 80, 24);
  ASSERT_TRUE(program.Await(ShowsWhole)) << program.screen().Text();
  End();
  program.Wait();
  EXPECT_THAT(program.screen().Text(), HasSubstr("--state failed` lists them"));
}

TEST_F(PtyTest, JobsFoldAsListDoes) {
  OnTerminal program(access_, {"jobs", "question/2", "--seed", "6"}, 40, 60);
  EXPECT_EQ(program.Wait(), 0);
  const std::string text = program.screen().Text();
  EXPECT_THAT(text, AllOf(HasSubstr("attempts"), HasSubstr("worker"), HasSubstr("FAILED"),
                          HasSubstr("lower learning rate")))
      << "nothing is cut off";
  EXPECT_GT(Count(text, "\n  7"), 1) << "each block says which job:\n" << text;
}

TEST_F(PtyTest, MetricsFoldAsListDoes) {
  OnTerminal program(access_, {"metrics", "question/2"}, 40, 200);
  EXPECT_EQ(program.Wait(), 0);
  for (const std::string& line : program.screen().Lines())
    EXPECT_LE(DisplayWidth(line), 40) << line;
  EXPECT_THAT(program.screen().Text(), AllOf(HasSubstr("gen_accuracy"), HasSubstr("val_loss")));
  EXPECT_GT(Count(program.screen().Text(), "step"), 1) << program.screen().Text();
}

TEST_F(PtyTest, DeleteAsksAndOnlyYesDeletes) {
  for (const auto& [answer, code] :
       {std::pair("\n", 1), std::pair("no\n", 1), std::pair("Y\n", 0)}) {
    SCOPED_TRACE(answer);
    OnTerminal program(access_, {"delete", "structural-grokking"}, 100, 24);
    ASSERT_TRUE(program.Await([](const std::string& text) {
      return absl::StrContains(text, "delete structural-grokking with") &&
             absl::StrContains(text, "[y/N]");
    })) << program.screen().Text();
    program.Type(answer);
    EXPECT_EQ(program.Wait(), code) << program.screen().Text();
  }
  absl::MutexLock lock(&coordinator_.service().mutex);
  size_t real = 0;
  for (const auto& request : coordinator_.service().deletes) real += request.dry_run() ? 0 : 1;
  EXPECT_EQ(real, 1u);
}

}  // namespace
}  // namespace coppice::cli
