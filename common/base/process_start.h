// What every program of this project does first, and the rules for signals that all of them keep.
#ifndef COPPICE_COMMON_BASE_PROCESS_START_H_
#define COPPICE_COMMON_BASE_PROCESS_START_H_

#include <signal.h>

#include <initializer_list>

namespace coppice {

// What a write to a pipe or connection that nobody reads any more does.
enum class BrokenPipe {
  kIsAnError,    // a daemon goes on and sees the failed write
  kEndsProgram,  // as of other commands in a shell's pipeline: `coppice list | head` ends quietly
};

// Call first in main, before any thread, file or library.
// - Descriptors 0, 1 and 2 are open: one that is closed becomes a /dev/null that refuses use, so
//   that output that is lost is an error. Otherwise the next file that is opened, a database or its
//   lock, would get what is printed.
// - SIGPIPE is ignored, or, for kEndsProgram, left as it came.
// - No signal that asks for an end is blocked, and children's ends are told: what a careless parent
//   left ignored or blocked would be inherited.
// SIGHUP stays ignored where it came ignored; see StopSignalSet.
void StartProcess(BrokenPipe broken_pipe);

// Whether the program was started so that a hang-up leaves it alone, as nohup does. Handing SIGHUP
// to a handler or blocking it would undo that.
bool HangUpIsIgnored();

// The signals among `signals` that this process is to take as requests: all of them, but for a
// SIGHUP that was ignored at the start.
sigset_t StopSignalSet(std::initializer_list<int> signals);

// For a child, between fork and exec: the default for every signal that this program treats in its
// own way, but SIGHUP stays ignored where it was. Nothing is blocked. Async-signal-safe.
void ResetSignalsForChild(bool hang_up_is_ignored);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_PROCESS_START_H_
