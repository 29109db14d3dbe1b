#ifndef COPPICE_WORKER_DAEMON_COMMAND_READER_H_
#define COPPICE_WORKER_DAEMON_COMMAND_READER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/daemon/sequence.h"
#include "worker/program/process_launcher.h"

namespace coppice::worker {

// Purpose: runs a program and reads its output, within a time limit, without a shell.
// Owner: JobEnd and GraceCheck. It lives on the environment's main sequence, as do its callbacks.
class CommandReader {
 public:
  explicit CommandReader(const Environment* environment);
  // Kills the program that runs.
  ~CommandReader();
  CommandReader(const CommandReader&) = delete;
  CommandReader& operator=(const CommandReader&) = delete;

  // Runs `argv`; argv[0] is searched for in `path`, a PATH. `done` gets the output, at most 64 KiB.
  // NOT_FOUND: no such program. DEADLINE_EXCEEDED: it took too long and was killed. UNAVAILABLE: it
  // failed; the message has the end of its error output. One command at a time.
  void Read(std::vector<std::string> argv, const std::string& path,
            std::function<void(absl::StatusOr<std::string>)> done);

 private:
  void OnExit(const ProcessExit& exit);
  void Finish(absl::StatusOr<std::string> answer);

  const Environment* const environment_;
  CallbackOwner callbacks_;
  Timer limit_;
  std::string program_;
  std::unique_ptr<Process> process_;
  std::string out_, err_;
  bool late_ = false;
  std::function<void(absl::StatusOr<std::string>)> done_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_COMMAND_READER_H_
