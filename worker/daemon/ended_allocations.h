// The state folders of allocations that have ended.
#ifndef COPPICE_WORKER_DAEMON_ENDED_ALLOCATIONS_H_
#define COPPICE_WORKER_DAEMON_ENDED_ALLOCATIONS_H_

#include <functional>
#include <string>

#include "absl/time/time.h"

namespace coppice::worker {

// Removes state folders of ended allocations from `root`, the folder above them, and says so in one
// line of the log. A folder is removed only if all of this holds:
//   1. Its name is that of an allocation's folder, it has the mark of a worker's state, and it
//      belongs to this account alone. It is no link.
//   2. Its lock is free, and held while it is removed.
//   3. Nothing in it changed in the last week before `now`.
//   4. No record waits in its spool. Otherwise the log names the folder and the remedy.
//   5. It holds nothing that no worker has put there.
// A call looks at no more than a hundred folders that seem old, and removes no more than twenty. It
// ends early once `stop` returns true. Nothing here fails; what cannot be removed stays for another
// time. Many workers may do this at once.
void RemoveEndedAllocations(const std::string& root, absl::Time now,
                            const std::function<bool()>& stop);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_ENDED_ALLOCATIONS_H_
