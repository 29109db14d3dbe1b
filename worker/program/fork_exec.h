#ifndef COPPICE_WORKER_PROGRAM_FORK_EXEC_H_
#define COPPICE_WORKER_PROGRAM_FORK_EXEC_H_

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "worker/program/process_launcher.h"

namespace coppice::worker {

struct ForkedProcess {
  pid_t pid = -1;
  int end_fd = -1;     // of OpenProcessEnd
  int stdout_fd = -1;  // read ends, non-blocking, close-on-exec
  int stderr_fd = -1;
};

// Starts the command as posix_launcher.h describes, and waits until exec has succeeded or failed.
// This is short: the child waits for nothing before exec. The child dies with the calling thread.
// Codes as of ErrnoToStatus in common/base/files.h.
absl::StatusOr<ForkedProcess> ForkExec(const ProcessCommand& command);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_PROGRAM_FORK_EXEC_H_
