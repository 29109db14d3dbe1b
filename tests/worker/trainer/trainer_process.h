// A real coppice-trainer process with its stdout on a pipe.
#ifndef COPPICE_TESTS_WORKER_TRAINER_TRAINER_PROCESS_H_
#define COPPICE_TESTS_WORKER_TRAINER_TRAINER_PROCESS_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace coppice::trainer {

// The destructor kills the process if it still runs. Not thread-safe.
class TrainerProcess {
 public:
  // Writes stderr to the file `stderr_path`.
  TrainerProcess(const std::vector<std::string>& arguments, const std::string& stderr_path);
  ~TrainerProcess();
  TrainerProcess(const TrainerProcess&) = delete;
  TrainerProcess& operator=(const TrainerProcess&) = delete;

  // The next line of stdout; nullopt at its end.
  std::optional<std::string> NextLine();
  // Reads until an event of this kind; false: the output ended first.
  bool ReadUntil(const std::string& event);
  void Signal(int signal_number);
  // Waits until the process has at least `count` threads and handles SIGTERM; false: it ended
  // first.
  bool AwaitThreads(int count);
  void CloseStdout();
  // Reads the remaining output and waits. Returns the exit code, or -N after death by signal N.
  int Wait();

  // All events read so far.
  const std::vector<nlohmann::json>& events() const { return events_; }
  std::vector<nlohmann::json> Of(const std::string& event) const;

 private:
  pid_t pid_ = -1;
  int stdout_ = -1;
  std::string buffer_;
  std::vector<nlohmann::json> events_;
};

}  // namespace coppice::trainer

#endif  // COPPICE_TESTS_WORKER_TRAINER_TRAINER_PROCESS_H_
