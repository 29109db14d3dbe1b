#include "worker/program/posix_launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "common/base/files.h"
#include "worker/program/fork_exec.h"
#include "worker/program/leftovers.h"

namespace coppice::worker {
namespace {

constexpr size_t kPieceBytes = 64 << 10;
// The helpers of a program that has ended get so long to end by themselves.
constexpr absl::Duration kHelpersEnd = absl::Milliseconds(500);

void CloseFd(int* fd) {
  if (*fd >= 0) ::close(*fd);
  *fd = -1;
}

}  // namespace

struct PosixLauncher::Child {
  ProcessCommand command;
  ProcessCallbacks callbacks;
  ForkedProcess process;
  std::optional<uint64_t> oom_kills;  // count at the process's start
  int log_fd = -1;
  size_t log_bytes = 0;
  size_t left_behind = 0;
  // By Pipe: a piece was handed out and ReadMore has not been called yet.
  std::array<bool, 2> handed_out = {false, false};
  bool exited = false;
  bool finished = false;

  int* fd(Process::Pipe pipe) {
    return pipe == Process::Pipe::kStdout ? &process.stdout_fd : &process.stderr_fd;
  }
  ~Child() {
    CloseFd(&process.end_fd);
    CloseFd(&process.stdout_fd);
    CloseFd(&process.stderr_fd);
    CloseFd(&log_fd);
  }
};

class PosixLauncher::Inbox {
 public:
  explicit Inbox(int fd) : fd_(fd) {}
  ~Inbox() { ::close(fd_); }

  int fd() const { return fd_; }
  void Add(std::function<void()> work) {
    {
      absl::MutexLock lock(&mutex_);
      if (closed_) return;
      work_.push_back(std::move(work));
    }
    Wake();
  }
  void Close() {
    {
      absl::MutexLock lock(&mutex_);
      closed_ = true;
    }
    Wake();
  }
  // False once the inbox is closed and empty.
  bool Take(std::deque<std::function<void()>>* work) {
    uint64_t count = 0;
    while (::read(fd_, &count, sizeof(count)) < 0 && errno == EINTR) {
    }
    absl::MutexLock lock(&mutex_);
    work->swap(work_);
    if (!closed_) return true;
    // This is the last of the work. The next Take must return false at once instead of waiting.
    if (!work->empty()) Wake();
    return !work->empty();
  }

  // The process groups that are alive. A pid leaves the list before it is reaped, so no pid here
  // can name another process.
  absl::Mutex pids_mutex;
  std::vector<pid_t> pids ABSL_GUARDED_BY(pids_mutex);

 private:
  void Wake() {
    const uint64_t one = 1;
    while (::write(fd_, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
  }

  const int fd_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> work_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

class PosixLauncher::Handle : public Process {
 public:
  Handle(std::shared_ptr<Inbox> inbox, std::weak_ptr<Child> child)
      : inbox_(std::move(inbox)), child_(std::move(child)) {}

  void Signal(int signal) override {
    inbox_->Add([child = child_, signal] {
      const std::shared_ptr<Child> locked = child.lock();
      // The pid cannot be another process's before it is reaped, and the loop reaps and signals on
      // one thread.
      if (locked && !locked->finished && locked->process.pid > 0) {
        ::kill(-locked->process.pid, signal);
      }
    });
  }
  void ReadMore(Pipe pipe) override {
    inbox_->Add([child = child_, pipe] {
      if (const std::shared_ptr<Child> locked = child.lock()) {
        locked->handed_out[static_cast<size_t>(pipe)] = false;
      }
    });
  }

 private:
  const std::shared_ptr<Inbox> inbox_;
  const std::weak_ptr<Child> child_;
};

absl::StatusOr<std::unique_ptr<PosixLauncher>> PosixLauncher::Create(OomCounter oom_kills) {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return ErrnoToStatus(errno, "cannot create an eventfd");
  std::unique_ptr<PosixLauncher> launcher(new PosixLauncher(std::move(oom_kills)));
  launcher->inbox_ = std::make_shared<Inbox>(fd);
  launcher->thread_ = std::thread([raw = launcher.get()] { raw->Run(); });
  return launcher;
}

PosixLauncher::PosixLauncher(OomCounter oom_kills) : oom_kills_(std::move(oom_kills)) {}

PosixLauncher::~PosixLauncher() {
  // The thread itself kills the running processes. If they were killed here, it would see their
  // ends and report them.
  inbox_->Close();
  thread_.join();
}

void PosixLauncher::KillAll() {
  absl::MutexLock lock(&inbox_->pids_mutex);
  for (const pid_t pid : inbox_->pids) ::kill(-pid, SIGKILL);
}

std::unique_ptr<Process> PosixLauncher::Start(ProcessCommand command, ProcessCallbacks callbacks) {
  auto child = std::make_shared<Child>();
  child->command = std::move(command);
  child->callbacks = std::move(callbacks);
  auto handle = std::make_unique<Handle>(inbox_, child);
  inbox_->Add([this, child] { Spawn(child); });
  return handle;
}

void PosixLauncher::Run() {
  std::deque<std::function<void()>> work;
  while (inbox_->Take(&work)) {
    for (const auto& item : work) item();
    work.clear();
    // A pipe may have reached its end while its last piece was handed out.
    const std::vector<std::shared_ptr<Child>> children = children_;
    for (const auto& child : children) FinishIfDrained(child);
    Poll();
  }
  KillAll();
  for (const auto& child : children_) {
    if (child->command.foreign) EndMarked(child->command.foreign->mark, absl::ZeroDuration());
    ::waitpid(child->process.pid, nullptr, 0);
  }
  children_.clear();
}

void PosixLauncher::Spawn(const std::shared_ptr<Child>& child) {
  child->oom_kills = oom_kills_();
  absl::StatusOr<ForkedProcess> process = ForkExec(child->command);
  if (!process.ok()) {
    ProcessExit exit;
    exit.spawn = process.status();
    child->callbacks.on_exit(exit);
    return;
  }
  child->process = *process;
  if (!child->command.log_path.empty()) {
    // Without a log file the run goes on. The end of the log still reaches the coordinator.
    child->log_fd = ::open(
        child->command.log_path.c_str(),
        O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0644);
  }
  children_.push_back(child);
  absl::MutexLock lock(&inbox_->pids_mutex);
  inbox_->pids.push_back(child->process.pid);
}

void PosixLauncher::Poll() {
  struct Source {
    std::shared_ptr<Child> child;
    int pipe;  // -1: the process itself
  };
  std::vector<pollfd> fds = {{inbox_->fd(), POLLIN, 0}};
  std::vector<Source> sources = {{nullptr, -1}};
  for (const auto& child : children_) {
    if (!child->exited) {
      fds.push_back({child->process.end_fd, POLLIN, 0});
      sources.push_back({child, -1});
    }
    for (const int pipe : {0, 1}) {
      const int fd = *child->fd(static_cast<Process::Pipe>(pipe));
      if (fd < 0 || child->handed_out[static_cast<size_t>(pipe)]) continue;
      fds.push_back({fd, POLLIN, 0});
      sources.push_back({child, pipe});
    }
  }
  if (::poll(fds.data(), fds.size(), -1) <= 0) return;
  for (size_t i = 1; i < fds.size(); ++i) {
    if (fds[i].revents == 0) continue;
    if (sources[i].pipe < 0) {
      OnExited(sources[i].child);
    } else {
      OnReadable(sources[i].child.get(), static_cast<Process::Pipe>(sources[i].pipe));
    }
  }
}

void PosixLauncher::OnReadable(Child* child, Process::Pipe pipe) {
  int* fd = child->fd(pipe);
  if (*fd < 0 || child->handed_out[static_cast<size_t>(pipe)]) return;
  std::string piece(kPieceBytes, '\0');
  const ssize_t got = ::read(*fd, piece.data(), piece.size());
  if (got < 0 && (errno == EINTR || (errno == EAGAIN && !child->exited))) return;
  // After the exit an empty pipe is finished, even if another process holds its other end.
  if (got <= 0) return CloseFd(fd);
  piece.resize(static_cast<size_t>(got));
  if (pipe == Process::Pipe::kStderr && child->log_fd >= 0 && child->log_bytes < kMaxLogFileBytes) {
    const size_t room = std::min(piece.size(), kMaxLogFileBytes - child->log_bytes);
    const ssize_t written = ::write(child->log_fd, piece.data(), room);
    if (written < 0) CloseFd(&child->log_fd);
    child->log_bytes += written > 0 ? static_cast<size_t>(written) : 0;
  }
  child->handed_out[static_cast<size_t>(pipe)] = true;
  // Text that was logged before an event is passed on before it: the event may end the job and its
  // log.
  if (pipe == Process::Pipe::kStdout) OnReadable(child, Process::Pipe::kStderr);
  const auto& callback =
      pipe == Process::Pipe::kStdout ? child->callbacks.on_stdout : child->callbacks.on_stderr;
  callback(std::move(piece));
}

void PosixLauncher::OnExited(const std::shared_ptr<Child>& child) {
  child->exited = true;
  if (child->command.foreign) {
    child->left_behind = EndMarked(child->command.foreign->mark, kHelpersEnd, child->process.pid);
  }
  // The process is still a zombie, so the group's number is its own. This kills everything that the
  // trainer may have started.
  ::kill(-child->process.pid, SIGKILL);
  // An empty pipe whose other end another process holds never becomes readable again, so it is read
  // here.
  for (const Process::Pipe pipe : {Process::Pipe::kStdout, Process::Pipe::kStderr}) {
    OnReadable(child.get(), pipe);
  }
}

void PosixLauncher::FinishIfDrained(const std::shared_ptr<Child>& child) {
  if (!child->exited || child->finished) return;
  for (const Process::Pipe pipe : {Process::Pipe::kStdout, Process::Pipe::kStderr}) {
    if (child->handed_out[static_cast<size_t>(pipe)]) return;
    OnReadable(child.get(), pipe);
    if (*child->fd(pipe) >= 0) return;
  }
  child->finished = true;
  {
    absl::MutexLock lock(&inbox_->pids_mutex);
    inbox_->pids.erase(std::remove(inbox_->pids.begin(), inbox_->pids.end(), child->process.pid),
                       inbox_->pids.end());
  }
  int status = 0;
  while (::waitpid(child->process.pid, &status, 0) < 0 && errno == EINTR) {
  }
  children_.erase(std::remove(children_.begin(), children_.end(), child), children_.end());
  ProcessExit exit;
  exit.left_behind = child->left_behind;
  if (WIFSIGNALED(status)) {
    exit.signal = WTERMSIG(status);
    exit.out_of_memory = exit.signal == SIGKILL && child->oom_kills.has_value() &&
                         oom_kills_().value_or(0) > *child->oom_kills;
  } else {
    exit.code = WEXITSTATUS(status);
  }
  child->callbacks.on_exit(exit);
}

}  // namespace coppice::worker
