#include "cli/local/waits.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/process_start.h"
#include "common/base/status_macros.h"

namespace coppice::cli {

bool IsReadable(int fd) {
  pollfd waiting = {fd, POLLIN, 0};
  return TEMP_FAILURE_RETRY(::poll(&waiting, 1, 0)) > 0;
}

absl::StatusOr<std::unique_ptr<StopSignals>> StopSignals::Block() {
  // Slurm's --signal usually sends one of the last two ahead of the end.
  const sigset_t stops = StopSignalSet({SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2});
  const int fd = ::signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) return ErrnoToStatus(errno, "cannot watch for signals");
  auto signals = std::unique_ptr<StopSignals>(new StopSignals(fd));
  ::pthread_sigmask(SIG_BLOCK, &stops, &signals->before_);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &signals->pipe_before_);
  return signals;
}

StopSignals::~StopSignals() {
  // A pending signal would end the process once it is no longer blocked.
  Take(absl::ZeroDuration());
  ::sigaction(SIGPIPE, &pipe_before_, nullptr);
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  ::close(fd_);
}

void StopSignals::Take(absl::Duration now) {
  signalfd_siginfo info;
  while (::read(fd_, &info, sizeof(info)) == sizeof(info)) requests_.OnSignal(now);
}

absl::StatusOr<std::unique_ptr<FileArrival>> FileArrival::Of(const std::string& directory,
                                                             const std::string& name) {
  const std::string path = JoinPath(directory, name);
  COPPICE_RETURN_IF_ERROR(RemoveFile(path));
  const int fd = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd < 0) return ErrnoToStatus(errno, "cannot watch for files");
  auto arrival = std::unique_ptr<FileArrival>(new FileArrival(fd, path));
  if (::inotify_add_watch(fd, directory.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE) < 0) {
    return ErrnoToStatus(errno, absl::StrCat("cannot watch ", directory));
  }
  return arrival;
}

FileArrival::~FileArrival() { ::close(fd_); }

std::optional<std::string> FileArrival::Take() {
  alignas(inotify_event) char buffer[4096];
  while (::read(fd_, buffer, sizeof(buffer)) > 0) {
  }
  absl::StatusOr<std::string> content = ReadFile(path_);
  if (!content.ok() || content->empty()) return std::nullopt;
  return *std::move(content);
}

}  // namespace coppice::cli
