#include "common/base/command_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/argv.h"
#include "common/base/clock.h"
#include "common/base/files.h"

namespace coppice {
namespace {

// One waits, as sbatch may when the controller is away, while another one asks.
constexpr int kThreads = 2;
// The kernel before 5.3 has no pidfd; then the exit is noticed so late.
constexpr int kExitPollMs = 50;

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Reset(-1); }
  void Reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

struct Pipe {
  Fd read, write;
  bool Open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read.Reset(ends[0]);
    write.Reset(ends[1]);
    return ::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
  }
};

// A file without a name that holds the input; a command that does not read it blocks nobody.
bool OpenInput(const std::string& input, Fd* fd) {
  fd->Reset(::memfd_create("coppice-input", MFD_CLOEXEC));
  size_t written = 0;
  while (fd->get() >= 0 && written < input.size()) {
    const ssize_t got = ::write(fd->get(), input.data() + written, input.size() - written);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    written += static_cast<size_t>(got);
  }
  return fd->get() >= 0 && ::lseek(fd->get(), 0, SEEK_SET) == 0;
}

// The errno of the failure, or 0.
int Spawn(Command& command, int in, int out, int err, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> argv = ExecPointers(command.argv),
                     environment = ExecPointers(command.environment);
  const int error =
      ::posix_spawnp(pid, argv[0], &actions, &attributes, argv.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  return error;
}

// False at the pipe's end.
bool ReadInto(int fd, std::string* text) {
  std::array<char, 16 << 10> piece;
  const ssize_t got = ::read(fd, piece.data(), piece.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  text->append(piece.data(), static_cast<size_t>(got));
  return got > 0;
}

class Child {
 public:
  Child(Command& command, int stop_fd, CommandResult* result)
      : command_(command), stop_fd_(stop_fd), result_(*result) {}

  void Run() {
    pollfd stop = {stop_fd_, POLLIN, 0};
    if (::poll(&stop, 1, 0) != 0) {
      result_.status = absl::CancelledError("shutting down");
      return;
    }
    if (!command_.folder.empty()) {
      if (const absl::Status made = MakeDirectories(command_.folder); !made.ok()) {
        result_.status = absl::FailedPreconditionError(made.message());
        return;
      }
    }
    Fd input;
    if (!OpenInput(command_.input, &input) || !out_.Open() || !err_.Open()) {
      result_.status = absl::FailedPreconditionError(
          ErrnoToStatus(errno, absl::StrCat("cannot start ", command_.argv[0])).message());
      return;
    }
    if (const int error = Spawn(command_, input.get(), out_.write.get(), err_.write.get(), &pid_)) {
      result_.status = absl::FailedPreconditionError(
          ErrnoToStatus(error, absl::StrCat("cannot start ", command_.argv[0])).message());
      return;
    }
    out_.write.Reset(-1);
    err_.write.Reset(-1);
    pidfd_.Reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    result_.status = Await();
    Reap();
  }

 private:
  absl::Status Await() {
    const absl::Duration deadline = Clock::Real()->Monotonic() + command_.time_limit;
    for (;;) {
      const absl::Duration left = deadline - Clock::Real()->Monotonic();
      if (left <= absl::ZeroDuration()) {
        return absl::DeadlineExceededError(absl::StrCat(command_.argv[0], " did not end within ",
                                                        absl::FormatDuration(command_.time_limit)));
      }
      int wait_ms =
          static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 60'000));
      if (pidfd_.get() < 0) wait_ms = std::min(wait_ms, kExitPollMs);
      std::array<pollfd, 4> fds = {pollfd{stop_fd_, POLLIN, 0}, pollfd{pidfd_.get(), POLLIN, 0},
                                   pollfd{out_.read.get(), POLLIN, 0},
                                   pollfd{err_.read.get(), POLLIN, 0}};
      ::poll(fds.data(), fds.size(), wait_ms);
      if (fds[0].revents != 0) {
        return absl::CancelledError(absl::StrCat(command_.argv[0], " was ended"));
      }
      if (fds[2].revents != 0 && !ReadInto(out_.read.get(), &result_.out)) out_.read.Reset(-1);
      if (fds[3].revents != 0 && !ReadInto(err_.read.get(), &result_.err)) err_.read.Reset(-1);
      if (result_.out.size() > command_.max_output || result_.err.size() > command_.max_output) {
        return absl::ResourceExhaustedError(
            absl::StrCat(command_.argv[0], " wrote more than ", command_.max_output, " bytes"));
      }
      if (Exited()) return Drain();
    }
  }

  bool Exited() {
    siginfo_t info = {};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
  }

  // Reads what is in the pipes. A process that the command left behind may hold them open.
  absl::Status Drain() {
    DrainOne(out_, result_.out);
    DrainOne(err_, result_.err);
    return absl::OkStatus();
  }

  void DrainOne(const Pipe& pipe, std::string& text) {
    size_t before = text.size();
    while (pipe.read.get() >= 0 && ReadInto(pipe.read.get(), &text) && text.size() > before &&
           text.size() <= command_.max_output) {
      before = text.size();
    }
  }

  void Reap() {
    // The leader is not reaped yet, so the number of the group is its own.
    ::kill(-pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    result_.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

  Command& command_;
  const int stop_fd_;
  CommandResult& result_;
  Pipe out_, err_;
  pid_t pid_ = -1;
  Fd pidfd_;
};

}  // namespace

LocalCommands::LocalCommands()
    : stop_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), executor_(kThreads) {}

LocalCommands::~LocalCommands() {
  Shutdown();
  if (stop_fd_ >= 0) ::close(stop_fd_);
}

void LocalCommands::Run(Command command, std::function<void(CommandResult)> done) {
  auto work = [this, command = std::move(command), done]() mutable {
    CommandResult result;
    Child(command, stop_fd_, &result).Run();
    done(std::move(result));
  };
  if (executor_.Add(std::move(work))) return;
  CommandResult result;
  result.status = absl::CancelledError("shutting down");
  done(std::move(result));
}

void LocalCommands::Shutdown() {
  const uint64_t one = 1;
  while (::write(stop_fd_, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
  executor_.Shutdown();
}

}  // namespace coppice
