#include "common/base/process_end.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace coppice {
namespace {

constexpr int kLongMs = 60'000;

// Takes pidfd_open away from this process for good, as on Linux 5.2.
bool ForgetPidfd() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
         ::syscall(SYS_pidfd_open, ::getpid(), 0) < 0 && errno == ENOSYS;
}

pid_t StartSleeper() {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  for (;;) ::pause();
}

bool Ended(int fd, int timeout_ms) {
  pollfd waiting = {fd, POLLIN, 0};
  return TEMP_FAILURE_RETRY(::poll(&waiting, 1, timeout_ms)) == 1;
}

// Returns the first claim that does not hold, or null.
const char* Watched() {
  const pid_t pid = StartSleeper();
  if (pid < 0) return "fork";
  const int fd = OpenProcessEnd(pid);
  if (fd < 0) return "a descriptor is opened";
  if ((::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0) return "the descriptor is closed by exec";
  if (Ended(fd, 0)) return "a running process has not ended";
  ::kill(pid, SIGKILL);
  if (!Ended(fd, kLongMs)) return "the end is told";
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid || WTERMSIG(status) != SIGKILL) {
    return "the process is left for its owner to reap";
  }
  ::close(fd);
  return nullptr;
}

TEST(ProcessEndTest, TheEndIsToldAndTheProcessNotReaped) { EXPECT_EQ(Watched(), nullptr); }

TEST(ProcessEndTest, AKernelWithoutPidfdTellsTheEndAsWell) {
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    const char* const wrong = ForgetPidfd() ? Watched() : "pidfd_open is taken away";
    if (wrong != nullptr) std::fprintf(stderr, "does not hold: %s\n", wrong);
    ::_exit(wrong == nullptr ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "wait status " << status;
}

TEST(ProcessEndTest, ANumberThatIsNoProcessIsRefused) {
  EXPECT_EQ(OpenProcessEnd(-1), -1);
  EXPECT_EQ(errno, EINVAL);
}

}  // namespace
}  // namespace coppice
