// Things `coppice local` waits for, as file descriptors to poll.
#ifndef COPPICE_CLI_LOCAL_WAITS_H_
#define COPPICE_CLI_LOCAL_WAITS_H_

#include <signal.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/stop_requests.h"

namespace coppice::cli {

// Whether something could be read from `fd` now; false for -1. Does not wait.
bool IsReadable(int fd);

// The signals that ask for the end (SIGINT, SIGTERM, SIGUSR1, SIGUSR2, and SIGHUP unless it came
// ignored, as under nohup) as something to read, SIGPIPE ignored, while it lives. Make it before
// any thread starts, so that all inherit the mask.
class StopSignals {
 public:
  static absl::StatusOr<std::unique_ptr<StopSignals>> Block();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  int fd() const { return fd_; }
  // Takes what has come, at `now` (monotonic). Does not wait.
  void Take(absl::Duration now);
  // What was taken so far.
  const StopRequests& requests() const { return requests_; }

 private:
  explicit StopSignals(int fd) : fd_(fd) {}
  const int fd_;
  StopRequests requests_;
  sigset_t before_{};
  struct sigaction pipe_before_ {};
};

// A file that another process will put in place. Make it before that process starts.
class FileArrival {
 public:
  // Removes a file that is there already.
  static absl::StatusOr<std::unique_ptr<FileArrival>> Of(const std::string& directory,
                                                         const std::string& name);
  ~FileArrival();
  FileArrival(const FileArrival&) = delete;
  FileArrival& operator=(const FileArrival&) = delete;

  int fd() const { return fd_; }
  // Its content once it is there. Does not wait.
  std::optional<std::string> Take();

 private:
  FileArrival(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  const int fd_;
  const std::string path_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_LOCAL_WAITS_H_
