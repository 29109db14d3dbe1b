// Real child processes for tests, awaited by pidfd, with their output in files.
#ifndef COPPICE_TESTS_TESTING_SUBPROCESS_H_
#define COPPICE_TESTS_TESTING_SUBPROCESS_H_

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/testing/temp_dir.h"

namespace coppice::testing {

inline std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The end of a process: an exit code, or a signal (the code is then 128 + signal, as in a shell).
struct ExitStatus {
  int code = 0;
  int signal = 0;
};

// One child, in a process group of its own. The group is killed when this object ends, and the
// child also when the test's process ends.
class Subprocess {
 public:
  explicit Subprocess(std::vector<std::string> argv, std::map<std::string, std::string> env = {}) {
    std::vector<char*> args;
    for (std::string& arg : argv) args.push_back(arg.data());
    args.push_back(nullptr);
    const std::string out = out_path(), err = err_path();
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setpgid(0, 0);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(126);
      ::dup2(::open("/dev/null", O_RDONLY), 0);
      ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644), 1);
      ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644), 2);
      for (const auto& [name, value] : env) ::setenv(name.c_str(), value.c_str(), 1);
      ::execvp(args[0], args.data());
      ::_exit(127);
    }
    ::setpgid(pid_, pid_);
    pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  }
  ~Subprocess() {
    if (pidfd_ < 0) return;
    if (!ended_) {
      ::kill(-pid_, SIGKILL);
      ::kill(pid_, SIGKILL);
      Wait(absl::Seconds(10));
    }
    ::close(pidfd_);
  }
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) {
    if (!ended_) ::kill(pid_, signal);
  }
  bool Running() { return !Wait(absl::ZeroDuration()).has_value(); }

  // nullopt: it still runs after `timeout`.
  std::optional<ExitStatus> Wait(absl::Duration timeout) {
    if (ended_) return ended_;
    const absl::Time deadline = absl::Now() + timeout;
    pollfd waiting = {pidfd_, POLLIN, 0};
    for (;;) {
      const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
      const int ready = ::poll(&waiting, 1, static_cast<int>(left > 0 ? left : 0));
      if (ready > 0) break;
      if (ready == 0) return std::nullopt;
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ended_ = WIFSIGNALED(status) ? ExitStatus{128 + WTERMSIG(status), WTERMSIG(status)}
                                 : ExitStatus{WEXITSTATUS(status), 0};
    return ended_;
  }

  std::string out() const { return ReadAll(out_path()); }
  std::string err() const { return ReadAll(err_path()); }

 private:
  std::string out_path() const { return dir_.Join("out"); }
  std::string err_path() const { return dir_.Join("err"); }

  TempDir dir_;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  std::optional<ExitStatus> ended_;
};

struct RunResult {
  int code = -1;  // -1: killed after the timeout
  std::string out;
  std::string err;
};

// Runs a process to its end.
inline RunResult RunProcess(std::vector<std::string> argv,
                            std::map<std::string, std::string> env = {},
                            absl::Duration timeout = absl::Seconds(60)) {
  Subprocess child(std::move(argv), std::move(env));
  const std::optional<ExitStatus> status = child.Wait(timeout);
  return {status.has_value() ? status->code : -1, child.out(), child.err()};
}

}  // namespace coppice::testing

#endif  // COPPICE_TESTS_TESTING_SUBPROCESS_H_
