#ifndef COPPICE_COORDINATOR_COMMANDS_SHUTDOWN_WATCHDOG_H_
#define COPPICE_COORDINATOR_COMMANDS_SHUTDOWN_WATCHDOG_H_

#include <string>

#include "absl/time/time.h"
#include "common/base/clock.h"

namespace coppice::commands {

// Purpose: ends the process with exit code 1 when its orderly end takes too long. A thread that
// removes checkpoints blocks in the kernel while a file server does not answer, and nothing can
// free it. By then every acknowledged change is durable, and the next start removes the remaining
// files. Owner: main, from the signal to the end of everything that may block. One thread.
class ShutdownWatchdog {
 public:
  ShutdownWatchdog(Clock* clock, absl::Duration limit, const std::string& checkpoint_root);
  ~ShutdownWatchdog();
  ShutdownWatchdog(const ShutdownWatchdog&) = delete;
  ShutdownWatchdog& operator=(const ShutdownWatchdog&) = delete;

 private:
  Clock& clock_;
  const Clock::TimerId timer_;
};

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_SHUTDOWN_WATCHDOG_H_
