// A file descriptor for the end of a child process.
#ifndef COPPICE_COMMON_BASE_PROCESS_END_H_
#define COPPICE_COMMON_BASE_PROCESS_END_H_

#include <sys/types.h>

namespace coppice {

// Returns a descriptor that poll() reports once the child `pid` has ended, or -1 with errno. The
// child is not reaped. It must not be reaped before that either, or else the number may meanwhile
// be another child's. Close-on-exec; the caller closes it.
// This is a pidfd. Before Linux 5.3 it is a pipe whose other end a thread closes when it sees the
// child's end. That thread lives until then, also when the descriptor is closed before.
int OpenProcessEnd(pid_t pid);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_PROCESS_END_H_
