#ifndef COPPICE_WORKER_DAEMON_PROCESS_LAUNCHER_H_
#define COPPICE_WORKER_DAEMON_PROCESS_LAUNCHER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace coppice::worker {

struct ProcessCommand {
  std::vector<std::string> argv;  // argv[0] is a path, looked up nowhere
  // Added to this process's environment, replacing what has the same name.
  std::vector<std::pair<std::string, std::string>> environment;
  std::string log_path;  // stderr is kept here; empty: nowhere
};

struct ProcessExit {
  // Not OK: the process could not be started, and the two fields below mean nothing.
  absl::Status spawn;
  int code = 0;
  int signal = 0;  // 0: it exited by itself with `code`
  // Killed, and the kernel has killed for want of memory while it ran.
  bool out_of_memory = false;
};

// What a process says. Called on any thread, one call after the other, `on_exit` last and exactly
// once.
struct ProcessCallbacks {
  // Pieces as they were read, at most 64 KiB. The next piece of the same pipe comes after
  // Process::ReadMore for it. What the process wrote to stderr before a piece of stdout also comes
  // before it, as far as a missing ReadMore does not hold it back.
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
  // Sends a signal to the whole group; nothing when the process has ended.
  virtual void Signal(int signal) = 0;
  // The piece that was handed out is dealt with: back pressure on a process that talks faster than
  // its reader works.
  virtual void ReadMore(Pipe pipe) = 0;
};

// Starts trainers. Thread-safe; nothing here blocks.
class ProcessLauncher {
 public:
  virtual ~ProcessLauncher() = default;
  // stdin is /dev/null. A process that cannot be started is reported through on_exit.
  virtual std::unique_ptr<Process> Start(ProcessCommand command, ProcessCallbacks callbacks) = 0;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_PROCESS_LAUNCHER_H_
