#include "common/base/process_start.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace coppice {
namespace {

constexpr int kRequests[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD};

// Opens each closed descriptor in a mode that refuses use, so that lost output is an error.
void OpenStandardDescriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The kernel assigns the lowest free number, which is `fd`, because all lower ones are in use.
    const int taken = ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    // Without /dev/null nothing is safe, and no message can be printed.
    if (taken != fd) ::_exit(1);
  }
}

}  // namespace

void StartProcess(BrokenPipe broken_pipe) {
  OpenStandardDescriptors();
  if (broken_pipe == BrokenPipe::kIsAnError) ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGCHLD, SIG_DFL);
  sigset_t requests;
  ::sigemptyset(&requests);
  for (const int signal : kRequests) ::sigaddset(&requests, signal);
  ::sigprocmask(SIG_UNBLOCK, &requests, nullptr);
}

bool HangUpIsIgnored() {
  struct sigaction action = {};
  return ::sigaction(SIGHUP, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

sigset_t StopSignalSet(std::initializer_list<int> signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : signals) {
    // An ignored signal would be delivered after all once it is blocked.
    if (signal != SIGHUP || !HangUpIsIgnored()) ::sigaddset(&set, signal);
  }
  return set;
}

void ResetSignalsForChild(bool hang_up_is_ignored) {
  for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGCHLD, SIGUSR1, SIGUSR2}) {
    ::signal(signal, SIG_DFL);
  }
  ::signal(SIGHUP, hang_up_is_ignored ? SIG_IGN : SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace coppice
