#ifndef COPPICE_WORKER_PROGRAM_PROCESS_LAUNCHER_H_
#define COPPICE_WORKER_PROGRAM_PROCESS_LAUNCHER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace coppice::worker {

// A program that is not Coppice's own. Its environment holds the command's variables and no others,
// it inherits no descriptor, and its name is searched for in its PATH.
struct ForeignProgram {
  std::string directory;  // where it runs
  // A variable of its environment, "NAME=value", that no other program's environment has. Processes
  // that have it are the program's, whatever group or session they are in, and none outlives it.
  std::string mark;
};

struct ProcessCommand {
  std::vector<std::string> argv;  // argv[0] is a path, not searched for in PATH
  // Added to this process's environment; a variable of the same name is replaced.
  std::vector<std::pair<std::string, std::string>> environment;
  std::string log_path;  // file for stderr; empty: none
  std::optional<ForeignProgram> foreign = std::nullopt;
};

struct ProcessExit {
  // Not OK: the process could not be started, and the fields below mean nothing.
  absl::Status spawn;
  int code = 0;
  int signal = 0;  // 0: it exited by itself with `code`
  // The process was killed, and the kernel killed a process because memory ran out while it ran.
  bool out_of_memory = false;
  // Processes of a foreign program that were still there when it had ended, and were killed.
  size_t left_behind = 0;
};

// Callbacks about a process. They come on any thread, one at a time; `on_exit` comes last and
// exactly once.
struct ProcessCallbacks {
  // Output comes in pieces as read, at most 64 KiB each. The next piece of the same pipe comes
  // after Process::ReadMore for it. Text that the process wrote to stderr before a piece of stdout
  // also comes before it, unless a missing ReadMore holds it back.
  std::function<void(std::string)> on_stdout;
  std::function<void(std::string)> on_stderr;
  std::function<void(ProcessExit)> on_exit;
};

// A started process and the group it leads. Thread-safe. Destruction neither stops the process nor
// ends the callbacks.
class Process {
 public:
  enum class Pipe { kStdout, kStderr };

  virtual ~Process() = default;
  // Sends a signal to the whole group. Does nothing once the process has ended.
  virtual void Signal(int signal) = 0;
  // Says that the last piece of the pipe is handled. This is back pressure on a process that writes
  // faster than its reader works.
  virtual void ReadMore(Pipe pipe) = 0;
};

// Starts trainers. Thread-safe; nothing here blocks.
class ProcessLauncher {
 public:
  virtual ~ProcessLauncher() = default;
  // stdin is /dev/null. on_exit reports a process that cannot be started.
  virtual std::unique_ptr<Process> Start(ProcessCommand command, ProcessCallbacks callbacks) = 0;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_PROGRAM_PROCESS_LAUNCHER_H_
