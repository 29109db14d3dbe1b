#include "worker/program/fork_exec.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/argv.h"
#include "common/base/files.h"
#include "common/base/process_end.h"
#include "common/base/process_start.h"
#include "common/base/status_macros.h"

namespace coppice::worker {
namespace {

struct Pipe {
  int read = -1;
  int write = -1;
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  bool Open() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return false;
    read = fds[0];
    write = fds[1];
    return true;
  }
  void CloseRead() {
    if (read >= 0) ::close(read);
    read = -1;
  }
  void CloseWrite() {
    if (write >= 0) ::close(write);
    write = -1;
  }
};

// Everything that the child needs, prepared before fork: after fork only async-signal-safe calls
// are allowed.
struct ChildPlan {
  const char* program = nullptr;
  std::vector<char*> argv;
  std::vector<char*> envp;
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  int error_fd = -1;
  int directory_fd = -1;  // -1: it stays in this process's
  pid_t parent = -1;
  bool hang_up_is_ignored = false;
};

// Closes all descriptors but the standard ones at exec. Async-signal-safe.
void InheritNothing() {
  constexpr unsigned kFirst = STDERR_FILENO + 1;
#ifdef SYS_close_range
  constexpr unsigned kCloseOnExec = 4;  // CLOSE_RANGE_CLOEXEC, which older headers lack
  if (::syscall(SYS_close_range, kFirst, ~0u, kCloseOnExec) == 0) return;
#endif
  // Before Linux 5.11. This program opens its descriptors close-on-exec; those that it inherited
  // itself have low numbers.
  constexpr int kInherited = 4096;
  for (int fd = kFirst; fd < kInherited; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

[[noreturn]] void RunChild(const ChildPlan& plan) {
  const auto fail = [&plan](int error) {
    // Nothing can be done about a failure to report the failure.
    [[maybe_unused]] const ssize_t written = ::write(plan.error_fd, &error, sizeof(error));
    ::_exit(127);
  };
  if (::setpgid(0, 0) != 0) fail(errno);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail(errno);
  // The daemon may have died before the line above.
  if (::getppid() != plan.parent) ::_exit(127);
  if (::dup2(plan.stdin_fd, 0) < 0 || ::dup2(plan.stdout_fd, 1) < 0 ||
      ::dup2(plan.stderr_fd, 2) < 0) {
    fail(errno);
  }
  if (plan.directory_fd >= 0) {
    if (::fchdir(plan.directory_fd) != 0) fail(errno);
    InheritNothing();
  }
  ResetSignalsForChild(plan.hang_up_is_ignored);
  ::execve(plan.program, plan.argv.data(), plan.envp.data());
  fail(errno);
  ::_exit(127);
}

std::vector<std::string> MergedEnvironment(const ProcessCommand& command) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    // A trainer calls no coordinator, so it gets no token: it cannot leak one into a log or a core
    // dump.
    bool replaced = absl::StartsWith(*entry, "COPPICE_TOKEN=") ||
                    absl::StartsWith(*entry, "COPPICE_TOKEN_FILE=");
    for (const auto& [name, value] : command.environment) {
      replaced = replaced || absl::StartsWith(*entry, absl::StrCat(name, "="));
    }
    if (!replaced) merged.emplace_back(*entry);
  }
  for (const auto& [name, value] : command.environment) {
    merged.push_back(absl::StrCat(name, "=", value));
  }
  return merged;
}

std::vector<std::string> ExactEnvironment(const ProcessCommand& command) {
  std::vector<std::string> exact;
  exact.reserve(command.environment.size());
  for (const auto& [name, value] : command.environment) {
    exact.push_back(absl::StrCat(name, "=", value));
  }
  return exact;
}

std::string PathOf(const ProcessCommand& command) {
  for (const auto& [name, value] : command.environment) {
    if (name == "PATH") return value;
  }
  return "/usr/local/bin:/usr/bin:/bin";
}

bool IsProgramAt(int directory, const std::string& path) {
  struct stat info;
  return ::fstatat(directory, path.c_str(), &info, 0) == 0 && S_ISREG(info.st_mode) &&
         ::faccessat(directory, path.c_str(), X_OK, 0) == 0;
}

// Returns the path of a foreign program, as seen from its directory.
absl::StatusOr<std::string> FindProgram(const ProcessCommand& command, int directory) {
  const std::string& name = command.argv[0];
  if (absl::StrContains(name, "/")) {
    if (IsProgramAt(directory, name)) return name;
    const int error = ::faccessat(directory, name.c_str(), F_OK, 0) != 0 ? errno : EACCES;
    return ErrnoToStatus(error,
                         absl::StrCat("cannot start ", name, " in ", command.foreign->directory,
                                      error == EACCES ? " (is it executable?)" : ""));
  }
  const std::string path = PathOf(command);
  for (const absl::string_view folder : absl::StrSplit(path, ':')) {
    const std::string candidate = JoinPath(folder.empty() ? "." : folder, name);
    if (IsProgramAt(directory, candidate)) return candidate;
  }
  return absl::NotFoundError(absl::StrCat("cannot start ", name, ": no folder of PATH (", path,
                                          ") has a program of that name on this machine"));
}

}  // namespace

absl::StatusOr<ForkedProcess> ForkExec(const ProcessCommand& command) {
  if (command.argv.empty()) return absl::InvalidArgumentError("a command without a program");
  const std::string what = absl::StrCat("cannot start ", command.argv[0]);
  std::vector<std::string> arguments = command.argv;
  std::vector<std::string> environment =
      command.foreign ? ExactEnvironment(command) : MergedEnvironment(command);
  std::string program = command.argv[0];
  int directory = -1;
  const absl::Cleanup close_directory = [&directory] {
    if (directory >= 0) ::close(directory);
  };
  if (command.foreign) {
    directory = ::open(command.foreign->directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
      return ErrnoToStatus(errno, absl::StrCat(what, " in ", command.foreign->directory));
    }
    COPPICE_ASSIGN_OR_RETURN(program, FindProgram(command, directory));
  }
  Pipe out, err, error;
  if (!out.Open() || !err.Open() || !error.Open()) return ErrnoToStatus(errno, what);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0) return ErrnoToStatus(errno, what);
  const absl::Cleanup close_null = [null] { ::close(null); };

  ChildPlan plan;
  plan.program = program.c_str();
  plan.directory_fd = directory;
  plan.argv = ExecPointers(arguments);
  plan.envp = ExecPointers(environment);
  plan.stdin_fd = null;
  plan.stdout_fd = out.write;
  plan.stderr_fd = err.write;
  plan.error_fd = error.write;
  plan.parent = ::getpid();
  plan.hang_up_is_ignored = HangUpIsIgnored();
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoToStatus(errno, what);
  if (pid == 0) RunChild(plan);

  out.CloseWrite();
  err.CloseWrite();
  error.CloseWrite();
  // A successful exec closes the pipe. A failed one writes its errno.
  int child_error = 0;
  ssize_t got = 0;
  do {
    got = ::read(error.read, &child_error, sizeof(child_error));
  } while (got < 0 && errno == EINTR);
  const int end_fd = got == 0 ? OpenProcessEnd(pid) : -1;
  if (end_fd < 0) {
    const int reason = got == sizeof(child_error) ? child_error : errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    if (got != 0) return ErrnoToStatus(reason, what);
    return ErrnoToStatus(reason, absl::StrCat(what, ": cannot watch it"));
  }
  ForkedProcess process;
  process.pid = pid;
  process.end_fd = end_fd;
  process.stdout_fd = std::exchange(out.read, -1);
  process.stderr_fd = std::exchange(err.read, -1);
  for (const int fd : {process.stdout_fd, process.stderr_fd}) {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  }
  return process;
}

}  // namespace coppice::worker
