// The first steps of every program of this project, and their common rules for signals.
#ifndef COPPICE_COMMON_BASE_PROCESS_START_H_
#define COPPICE_COMMON_BASE_PROCESS_START_H_

#include <signal.h>

#include <initializer_list>

namespace coppice {

// The effect of a write to a pipe or connection without a reader.
enum class BrokenPipe {
  kIsAnError,    // a daemon goes on and sees the failed write
  kEndsProgram,  // as usual in a shell's pipeline: `coppice list | head` ends quietly
};

// Call first in main, before any thread, file or library.
// - Descriptors 0, 1 and 2 are open afterwards. A closed one becomes a /dev/null that refuses use,
//   so that lost output is an error. Otherwise the next opened file, a database or its lock, would
//   receive the program's output.
// - SIGPIPE is ignored or, for kEndsProgram, left as inherited.
// - No termination signal stays blocked, and SIGCHLD is delivered. A careless parent's ignored or
//   blocked signals would otherwise be inherited. A SIGHUP that was inherited as ignored stays
//   ignored; see StopSignalSet.
void StartProcess(BrokenPipe broken_pipe);

// Whether the program was started, as by nohup, with SIGHUP ignored. Handling or blocking SIGHUP
// would undo that.
bool HangUpIsIgnored();

// The signals among `signals` that this process treats as requests to stop: all except a SIGHUP
// that was ignored at the start.
sigset_t StopSignalSet(std::initializer_list<int> signals);

// Called in a child between fork and exec. Restores the default for every signal that this program
// handles, but leaves an ignored SIGHUP ignored. Unblocks all signals. Async-signal-safe.
void ResetSignalsForChild(bool hang_up_is_ignored);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_PROCESS_START_H_
