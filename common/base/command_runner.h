#ifndef COPPICE_COMMON_BASE_COMMAND_RUNNER_H_
#define COPPICE_COMMON_BASE_COMMAND_RUNNER_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/executor.h"

namespace coppice {

struct Command {
  std::vector<std::string> argv;         // argv[0] is searched for in PATH
  std::vector<std::string> environment;  // "NAME=value", all of it
  std::string input;                     // stdin
  std::string folder;                    // is made before the start; empty: none
  absl::Duration time_limit = absl::Seconds(30);
  size_t max_output = 8 << 20;  // bytes of stdout, and of stderr
};

struct CommandResult {
  // OK: it exited by itself, with any code. DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED (more output than
  // allowed), CANCELLED (shutdown): it was killed. FAILED_PRECONDITION: it could not be started, or
  // its folder could not be made.
  absl::Status status;
  int code = 0;  // of an exit; 128 and the signal's number when a signal ended it
  std::string out, err;
};

// Runs short commands. Thread-safe; Run does not block. Each command calls back exactly once, on
// any thread.
class CommandRunner {
 public:
  virtual ~CommandRunner() = default;
  virtual void Run(Command command, std::function<void(CommandResult)> done) = 0;
  // Kills what runs and waits for its callbacks. What has not begun ends as CANCELLED.
  virtual void Shutdown() = 0;
  // Empty: commands can run now. Else why not, and the remedy.
  virtual std::string Absent() { return ""; }
};

// Purpose: runs commands on this machine, without a shell, each in a process group of its own,
// which is killed at the command's end. Its own threads wait for the commands and call back.
// Thread-safe.
class LocalCommands : public CommandRunner {
 public:
  LocalCommands();
  ~LocalCommands() override;
  LocalCommands(const LocalCommands&) = delete;
  LocalCommands& operator=(const LocalCommands&) = delete;

  void Run(Command command, std::function<void(CommandResult)> done) override;
  void Shutdown() override;

 private:
  int stop_fd_;  // readable once Shutdown has begun
  Executor executor_;
};

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_COMMAND_RUNNER_H_
