// What a process that serves thousands asks of the system at its start.
#ifndef COPPICE_COMMON_BASE_PROCESS_H_
#define COPPICE_COMMON_BASE_PROCESS_H_

#include <cstdint>

namespace coppice {

// Raises the soft limit of open files to the hard one (a connection is a file, and the usual soft
// limit is 1024). Returns the limit that holds now.
uint64_t RaiseFileLimit();

// Abseil, as some distributions build it, records the order of every lock that is taken to find
// deadlocks. Call before any thread starts. Debug builds go on looking.
void SkipLockOrderChecks();

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_PROCESS_H_
