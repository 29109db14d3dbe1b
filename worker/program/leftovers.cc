#include "worker/program/leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/clock.h"

namespace coppice::worker {
namespace {

// Processes that fork while they are killed need more rounds than one.
constexpr int kRounds = 20;
constexpr size_t kMaxEnvironment = 4 << 20;
// The kernel takes a moment to end a killed process.
constexpr absl::Duration kDying = absl::Milliseconds(500);

using IsMark = absl::FunctionRef<bool(absl::string_view)>;

// A process that is held, so that its number cannot become another's.
class Held {
 public:
  Held(pid_t pid, int fd) : pid_(pid), fd_(fd) {}
  Held(Held&& other) noexcept : pid_(other.pid_), fd_(std::exchange(other.fd_, -1)) {}
  Held& operator=(Held&&) = delete;
  ~Held() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  // False: it has ended.
  bool Kill() const {
#ifdef SYS_pidfd_send_signal
    if (fd_ >= 0) return ::syscall(SYS_pidfd_send_signal, fd_, SIGKILL, nullptr, 0) == 0;
#endif
    return ::kill(pid_, SIGKILL) == 0;
  }

 private:
  pid_t pid_;
  int fd_;  // a pidfd; -1 before Linux 5.3
};

int OpenPid(pid_t pid) {
#ifdef SYS_pidfd_open
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
#else
  errno = ENOSYS;
  return -1;
#endif
}

// Empty if it cannot be read: a process that has ended, or another account's.
std::string EnvironmentOf(pid_t pid) {
  const std::string path = absl::StrCat("/proc/", pid, "/environ");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  const absl::Cleanup close = [fd] { ::close(fd); };
  std::string text;
  char piece[8192];
  while (text.size() < kMaxEnvironment) {
    const ssize_t got = ::read(fd, piece, sizeof(piece));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(piece, static_cast<size_t>(got));
  }
  return text;
}

bool HasMark(pid_t pid, IsMark is_mark) {
  const std::string environment = EnvironmentOf(pid);
  for (const absl::string_view variable : absl::StrSplit(environment, '\0')) {
    if (is_mark(variable)) return true;
  }
  return false;
}

std::vector<Held> Find(IsMark is_mark, pid_t except) {
  std::vector<Held> found;
  DIR* const folder = ::opendir("/proc");
  if (folder == nullptr) return found;
  const absl::Cleanup close = [folder] { ::closedir(folder); };
  const uid_t user = ::geteuid();
  while (const dirent* entry = ::readdir(folder)) {
    pid_t pid = 0;
    struct stat info;
    if (!absl::SimpleAtoi(entry->d_name, &pid) || pid == except || pid == ::getpid()) continue;
    if (::fstatat(::dirfd(folder), entry->d_name, &info, 0) != 0 || info.st_uid != user) continue;
    if (!HasMark(pid, is_mark)) continue;
    // The number may have passed to another process since. Held, it cannot.
    Held held(pid, OpenPid(pid));
    if (held.fd() < 0 && errno != ENOSYS) continue;
    if (HasMark(pid, is_mark)) found.push_back(std::move(held));
  }
  return found;
}

// Waits for the ends of the processes, up to `patience` in all. Without pidfds it does not wait.
void Await(const std::vector<Held>& processes, absl::Duration patience) {
  const absl::Duration deadline = Clock::Real()->Monotonic() + patience;
  for (const Held& process : processes) {
    const absl::Duration left = deadline - Clock::Real()->Monotonic();
    pollfd fd = {process.fd(), POLLIN, 0};
    if (process.fd() < 0 || left <= absl::ZeroDuration()) return;
    ::poll(&fd, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
  }
}

size_t End(IsMark is_mark, absl::Duration patience, pid_t except) {
  size_t killed = 0;
  std::vector<Held> found = Find(is_mark, except);
  if (!found.empty() && patience > absl::ZeroDuration()) {
    Await(found, patience);
    found = Find(is_mark, except);
  }
  for (int round = 0; !found.empty() && round < kRounds; ++round) {
    for (const Held& process : found) killed += process.Kill() ? 1 : 0;
    Await(found, kDying);
    found = Find(is_mark, except);
  }
  return killed;
}

}  // namespace

size_t EndMarked(absl::string_view mark, absl::Duration patience, pid_t except) {
  if (mark.empty()) return 0;
  return End([mark](absl::string_view variable) { return variable == mark; }, patience, except);
}

size_t KillMarkedPrefix(absl::string_view prefix) {
  if (prefix.empty()) return 0;
  return End([prefix](absl::string_view variable) { return absl::StartsWith(variable, prefix); },
             absl::ZeroDuration(), 0);
}

}  // namespace coppice::worker
