#ifndef COPPICE_CLI_LOCAL_CHILD_H_
#define COPPICE_CLI_LOCAL_CHILD_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace coppice::cli {

// How a process ended, in words: "exited with code 1", "was killed by signal 9 (Killed)".
struct ChildExit {
  int code = 0;    // of exit(); 128 + signal for a signal, as a shell says it
  int signal = 0;  // 0: exited by itself
  std::string Describe() const;
};

// A daemon that `coppice local` runs. It has a process group of its own, so that Ctrl-C on the
// terminal reaches only its parent; its output goes to a log file; it gets SIGTERM when the thread
// that started it ends, however that happens. Destroyed while it runs, it is killed with its group.
// Not thread-safe; start it from a thread that lives as long as the process.
class Child {
 public:
  // NOT_FOUND when there is no such program, PERMISSION_DENIED when it may not run; the codes of
  // files.h for the log.
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
  int fd() const { return pidfd_; }
  // Collects the end, if it has come. Does not wait.
  const std::optional<ChildExit>& Poll();
  void Signal(int signal);
  // SIGKILL for the whole group.
  void Kill();

 private:
  Child(std::string name, std::string log, pid_t pid, int pidfd);

  const std::string name_;
  const std::string log_;
  const pid_t pid_;
  const int pidfd_;
  std::optional<ChildExit> exit_;
};

// The last lines of a file, for messages; empty when it cannot be read.
std::string Tail(const std::string& path, size_t lines);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_LOCAL_CHILD_H_
