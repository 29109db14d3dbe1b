#include "cli/local/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/process_end.h"
#include "common/base/process_start.h"
#include "common/rpc/access.h"

namespace coppice::cli {
namespace {

constexpr size_t kTailBytes = 16 << 10;

// Runs in the child, between fork and exec. Only async-signal-safe calls are allowed, since other
// threads of the parent may hold locks. Returns the failure's errno.
int Become(char** argv, char** environment, int log_fd, pid_t parent, bool hang_up_is_ignored) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  // The parent may have died before prctl.
  if (::getppid() != parent) ::_exit(1);
  ResetSignalsForChild(hang_up_is_ignored);
  const int null_fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null_fd < 0 || ::dup2(null_fd, STDIN_FILENO) < 0 || ::dup2(log_fd, STDOUT_FILENO) < 0 ||
      ::dup2(log_fd, STDERR_FILENO) < 0) {
    return errno;
  }
#ifdef SYS_close_range
  constexpr unsigned kCloseOnExec = 4;  // CLOSE_RANGE_CLOEXEC
  ::syscall(SYS_close_range, 3u, ~0u, kCloseOnExec);
#endif
  ::execve(argv[0], argv, environment);
  return errno;
}

// The environment without variables that point to another coordinator.
std::vector<char*> PlainEnvironment() {
  std::vector<char*> plain;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const absl::string_view variable(*entry);
    const absl::string_view name = variable.substr(0, variable.find('='));
    if (name != rpc::kCaVariable && name != rpc::kCertVariable && name != rpc::kKeyVariable &&
        name != rpc::kTokenFileVariable && name != rpc::kTokenVariable &&
        name != rpc::kAccessVariable && name != rpc::kInsecureVariable &&
        name != rpc::kCoordinatorVariable) {
      plain.push_back(*entry);
    }
  }
  plain.push_back(nullptr);
  return plain;
}

}  // namespace

std::string ChildExit::Describe() const {
  if (signal != 0)
    return absl::StrCat("was killed by signal ", signal, " (", ::strsignal(signal), ")");
  return absl::StrCat("exited with code ", code);
}

absl::StatusOr<std::unique_ptr<Child>> Child::Start(std::string name, std::vector<std::string> argv,
                                                    const std::string& log) {
  std::vector<char*> pointers;
  pointers.reserve(argv.size() + 1);
  for (std::string& argument : argv) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  std::vector<char*> environment = PlainEnvironment();
  const int log_fd = ::open(
      log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
  if (log_fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot open ", log));
  // If exec succeeds, the pipe closes empty. Otherwise it carries the errno.
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) {
    const int error = errno;
    ::close(log_fd);
    return ErrnoToStatus(error, "cannot make a pipe");
  }
  const pid_t parent = ::getpid();
  const bool hang_up_is_ignored = HangUpIsIgnored();
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int error =
        Become(pointers.data(), environment.data(), log_fd, parent, hang_up_is_ignored);
    if (::write(report[1], &error, sizeof(error)) < 0) ::_exit(126);
    ::_exit(127);
  }
  const int fork_error = errno;
  ::close(log_fd);
  ::close(report[1]);
  int error = pid < 0 ? fork_error : 0;
  if (pid > 0) {
    ::setpgid(pid, pid);
    if (TEMP_FAILURE_RETRY(::read(report[0], &error, sizeof(error))) > 0)
      ::waitpid(pid, nullptr, 0);
  }
  ::close(report[0]);
  if (error != 0) return ErrnoToStatus(error, absl::StrCat("cannot start ", argv[0]));
  const int end_fd = OpenProcessEnd(pid);
  if (end_fd < 0) {
    const int watch_error = errno;
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return ErrnoToStatus(watch_error, "cannot watch a process");
  }
  return std::unique_ptr<Child>(new Child(std::move(name), log, pid, end_fd));
}

Child::Child(std::string name, std::string log, pid_t pid, int end_fd)
    : name_(std::move(name)), log_(std::move(log)), pid_(pid), end_fd_(end_fd) {}

Child::~Child() {
  if (!Poll().has_value()) {
    Kill();
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(end_fd_);
}

const std::optional<ChildExit>& Child::Poll() {
  if (exit_.has_value()) return exit_;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == pid_) {
    exit_ = WIFSIGNALED(status) ? ChildExit{128 + WTERMSIG(status), WTERMSIG(status)}
                                : ChildExit{WEXITSTATUS(status), 0};
  }
  return exit_;
}

void Child::Signal(int signal) {
  if (!Poll().has_value()) ::kill(pid_, signal);
}

void Child::Kill() {
  // The group outlives its leader if a grandchild hangs.
  ::kill(-pid_, SIGKILL);
}

std::string Tail(const std::string& path, size_t lines) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  const off_t size = ::lseek(fd, 0, SEEK_END);
  const off_t start =
      size > static_cast<off_t>(kTailBytes) ? size - static_cast<off_t>(kTailBytes) : 0;
  std::string text(kTailBytes, '\0');
  const ssize_t count = ::pread(fd, text.data(), text.size(), start);
  ::close(fd);
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  size_t begin = text.size();
  for (size_t line = 0; line < lines && begin != 0 && begin != std::string::npos; ++line) {
    begin = text.rfind('\n', begin - 1);
  }
  return begin == std::string::npos || begin == 0 ? text : text.substr(begin + 1);
}

}  // namespace coppice::cli
