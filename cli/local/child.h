#ifndef COPPICE_CLI_LOCAL_CHILD_H_
#define COPPICE_CLI_LOCAL_CHILD_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace coppice::cli {

// Describes how a process ended: "exited with code 1", "was killed by signal 9 (Killed)".
struct ChildExit {
  int code = 0;    // exit code; 128 + signal for a signal, as in a shell
  int signal = 0;  // 0: it exited by itself
  std::string Describe() const;
};

// A daemon that `coppice local` runs. It has a process group of its own, so that Ctrl-C on the
// terminal reaches only its parent. Its output goes to a log file. It gets SIGTERM when the thread
// that started it ends, for any reason. The destructor kills a running child and its group. Not
// thread-safe. The thread that calls Start should live as long as this process.
class Child {
 public:
  // NOT_FOUND: there is no such program. PERMISSION_DENIED: it may not run. The log has the codes
  // of files.h.
  static absl::StatusOr<std::unique_ptr<Child>> Start(std::string name,
                                                      std::vector<std::string> argv,
                                                      const std::string& log);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  const std::string& name() const { return name_; }
  const std::string& log() const { return log_; }
  pid_t pid() const { return pid_; }
  // Readable once the process has ended.
  int fd() const { return end_fd_; }
  // Reaps the process if it has ended. Does not wait.
  const std::optional<ChildExit>& Poll();
  void Signal(int signal);
  // Sends SIGKILL to the whole group.
  void Kill();

 private:
  Child(std::string name, std::string log, pid_t pid, int end_fd);

  const std::string name_;
  const std::string log_;
  const pid_t pid_;
  const int end_fd_;
  std::optional<ChildExit> exit_;
};

// The last lines of a file, for messages; empty if it cannot be read.
std::string Tail(const std::string& path, size_t lines);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_LOCAL_CHILD_H_
