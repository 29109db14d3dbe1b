#ifndef COPPICE_WORKER_DAEMON_EXIT_TEXT_H_
#define COPPICE_WORKER_DAEMON_EXIT_TEXT_H_

#include <string>

#include "worker/daemon/process_launcher.h"

namespace coppice::worker {

// Of the trainer, as docs/trainer-protocol.md has them.
inline constexpr int kExitUsage = 2;
inline constexpr int kExitPreempted = 75;

// "exited with code 3", "was killed by SIGSEGV": how a process ended, with what is likely behind it
// where that is known.
std::string DescribeExit(const ProcessExit& exit);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_EXIT_TEXT_H_
