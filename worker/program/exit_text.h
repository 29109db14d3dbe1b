#ifndef COPPICE_WORKER_PROGRAM_EXIT_TEXT_H_
#define COPPICE_WORKER_PROGRAM_EXIT_TEXT_H_

#include <string>

#include "worker/program/process_launcher.h"

namespace coppice::worker {

// Exit codes of the trainer (docs/trainer-protocol.md).
inline constexpr int kTrainerExitUsage = 2;
inline constexpr int kTrainerExitPreempted = 75;

// Describes how a process ended, with the likely cause where it is known: "exited with code 3",
// "was killed by SIGSEGV".
std::string DescribeExit(const ProcessExit& exit);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_PROGRAM_EXIT_TEXT_H_
