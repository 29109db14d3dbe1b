// System settings for a process that serves thousands of connections.
#ifndef COPPICE_COMMON_BASE_PROCESS_H_
#define COPPICE_COMMON_BASE_PROCESS_H_

#include <cstdint>

namespace coppice {

// Raises the soft limit of open files to the hard one, because each connection is a file and the
// usual soft limit is 1024. Returns the new limit.
uint64_t RaiseFileLimit();

// Turns off Abseil's deadlock detection, which in some distributions' builds records the order of
// every lock. Call before any thread starts. Debug builds keep it on.
void SkipLockOrderChecks();

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_PROCESS_H_
