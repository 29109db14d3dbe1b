// Events that `coppice local` waits for, as file descriptors to poll.
#ifndef COPPICE_CLI_LOCAL_WAITS_H_
#define COPPICE_CLI_LOCAL_WAITS_H_

#include <signal.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/stop_requests.h"

namespace coppice::cli {

// Returns whether `fd` is readable now; false for -1. Does not wait.
bool IsReadable(int fd);

// Makes stop signals readable from a descriptor while it lives: SIGINT, SIGTERM, SIGUSR1, SIGUSR2,
// and SIGHUP unless it was ignored already, as under nohup. SIGPIPE is ignored meanwhile. Create it
// before any thread starts, so that all inherit the mask.
class StopSignals {
 public:
  static absl::StatusOr<std::unique_ptr<StopSignals>> Block();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  int fd() const { return fd_; }
  // Takes the pending signals, at `now` (monotonic). Does not wait.
  void Take(absl::Duration now);
  // The requests taken so far.
  const StopRequests& requests() const { return requests_; }

 private:
  explicit StopSignals(int fd) : fd_(fd) {}
  const int fd_;
  StopRequests requests_;
  sigset_t before_{};
  struct sigaction pipe_before_ {};
};

// Waits for a file that another process will create. Construct it before that process starts.
class FileArrival {
 public:
  // Removes an existing file.
  static absl::StatusOr<std::unique_ptr<FileArrival>> Of(const std::string& directory,
                                                         const std::string& name);
  ~FileArrival();
  FileArrival(const FileArrival&) = delete;
  FileArrival& operator=(const FileArrival&) = delete;

  int fd() const { return fd_; }
  // The file's content once it exists. Does not wait.
  std::optional<std::string> Take();

 private:
  FileArrival(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  const int fd_;
  const std::string path_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_LOCAL_WAITS_H_
