// Processes that a program has started and that are still there when it has ended.
#ifndef COPPICE_WORKER_PROGRAM_LEFTOVERS_H_
#define COPPICE_WORKER_PROGRAM_LEFTOVERS_H_

#include <sys/types.h>

#include <cstddef>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coppice::worker {

// A process group or a session does not hold a program's processes together: each may leave both. A
// variable of the environment stays with all of them, unless one clears its own. A process of
// another account is not seen.

// Waits up to `patience` for the processes whose environment has the variable `mark` ("NAME=value")
// to end by themselves, then kills the rest. Helpers, such as Python's resource tracker, end a
// moment after their program. Returns how many were killed. Blocks for `patience` at most, and
// briefly where there are none. `except` is left alone: the program itself, not yet reaped.
size_t EndMarked(absl::string_view mark, absl::Duration patience, pid_t except = 0);

// The same without patience for all variables that begin so: what an earlier worker has left.
size_t KillMarkedPrefix(absl::string_view prefix);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_PROGRAM_LEFTOVERS_H_
