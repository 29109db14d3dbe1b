// Tests of the state that a program inherits from a careless parent, each in a process of its own.
#include "common/base/process_start.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace coppice {
namespace {

// Runs `body` in a child. Returns its result, or -signal.
int InChild(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(ProcessStartTest, NoFileGetsTheNumberOfAClosedStandardDescriptor) {
  for (const int closed : {0, 1, 2}) {
    const auto body = [closed] {
      ::close(closed);
      StartProcess(BrokenPipe::kIsAnError);
      struct stat info, null;
      if (::fstat(closed, &info) != 0 || ::stat("/dev/null", &null) != 0) return 1;
      if (info.st_rdev != null.st_rdev) return 2;
      return ::open("/dev/null", O_RDONLY) > 2 ? 0 : 3;
    };
    EXPECT_EQ(InChild(body), 0) << closed;
  }
  EXPECT_EQ(InChild([] {
              for (const int fd : {0, 1, 2}) ::close(fd);
              StartProcess(BrokenPipe::kIsAnError);
              return ::open("/dev/null", O_RDONLY) > 2 ? 0 : 3;
            }),
            0);
}

TEST(ProcessStartTest, ABrokenPipeEndsOnlyAProgramOfAPipeline) {
  const auto write_to_nobody = [](BrokenPipe broken_pipe) {
    return InChild([broken_pipe] {
      ::signal(SIGPIPE, SIG_DFL);
      StartProcess(broken_pipe);
      int ends[2];
      if (::pipe(ends) != 0) return 2;
      ::close(ends[0]);
      return ::write(ends[1], "x", 1) < 0 ? 0 : 3;
    });
  };
  EXPECT_EQ(write_to_nobody(BrokenPipe::kIsAnError), 0);
  EXPECT_EQ(write_to_nobody(BrokenPipe::kEndsProgram), -SIGPIPE);
}

TEST(ProcessStartTest, RequestsThatAParentBlockedArrive) {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) {
    EXPECT_EQ(InChild([signal] {
                sigset_t all;
                ::sigfillset(&all);
                ::sigprocmask(SIG_SETMASK, &all, nullptr);
                ::signal(SIGCHLD, SIG_IGN);
                StartProcess(BrokenPipe::kIsAnError);
                // With SIGCHLD ignored nobody could wait for a child.
                const pid_t child = ::fork();
                if (child == 0) ::_exit(7);
                int status = 0;
                if (::waitpid(child, &status, 0) != child) return 1;
                ::kill(::getpid(), signal);
                return 2;
              }),
              -signal);
  }
}

TEST(ProcessStartTest, AHangUpThatCameIgnoredStaysIgnoredHereAndInChildren) {
  const auto hang_up = [](void (*inherited)(int)) {
    return InChild([inherited] {
      ::signal(SIGHUP, inherited);
      StartProcess(BrokenPipe::kIsAnError);
      const bool ignored = HangUpIsIgnored();
      const sigset_t set = StopSignalSet({SIGTERM, SIGHUP});
      if (::sigismember(&set, SIGHUP) != (ignored ? 0 : 1)) return 1;
      if (::sigismember(&set, SIGTERM) != 1) return 2;
      ::sigprocmask(SIG_BLOCK, &set, nullptr);
      ResetSignalsForChild(ignored);
      ::kill(::getpid(), SIGHUP);
      return 0;
    });
  };
  EXPECT_EQ(hang_up(SIG_IGN), 0);
  EXPECT_EQ(hang_up(SIG_DFL), -SIGHUP);
}

}  // namespace
}  // namespace coppice
