#include "common/base/process_end.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace coppice {
namespace {

struct Watch {
  pid_t pid;
  int fd;
};

void* Await(void* argument) {
  const std::unique_ptr<Watch> watch(static_cast<Watch*>(argument));
  siginfo_t info;
  TEMP_FAILURE_RETRY(::waitid(P_PID, static_cast<id_t>(watch->pid), &info, WEXITED | WNOWAIT));
  ::close(watch->fd);
  return nullptr;
}

// Signals of this process are for its other threads.
int StartWatch(std::unique_ptr<Watch> watch) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = ::pthread_create(&thread, nullptr, &Await, watch.get());
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return error;
  // The thread owns it now.
  [[maybe_unused]] Watch* const passed_on = watch.release();
  ::pthread_detach(thread);
  return 0;
}

int OpenPipe(pid_t pid) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return -1;
  const int error = StartWatch(std::make_unique<Watch>(Watch{pid, fds[1]}));
  if (error == 0) return fds[0];
  ::close(fds[0]);
  ::close(fds[1]);
  errno = error;
  return -1;
}

}  // namespace

int OpenProcessEnd(pid_t pid) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  // EPERM: a filter of a container runtime that does not know the call.
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
  return OpenPipe(pid);
}

}  // namespace coppice
