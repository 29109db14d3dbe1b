// The state folder of a worker in an allocation of a batch system.
#ifndef COPPICE_WORKER_DAEMON_ALLOCATION_STATE_H_
#define COPPICE_WORKER_DAEMON_ALLOCATION_STATE_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/daemon/allocation.h"
#include "worker/daemon/state_folder.h"

namespace coppice::worker {

// Waits so long, or until the process is asked to end. False: it is.
using Pause = std::function<bool(absl::Duration)>;

// Opens the folder `root`/<AllocationName>. It is the same when the batch system requeues the job,
// so the records of the process before are found again. A held lock ends no allocation: the holder
// may be the process before, on a node that was cut off. If the job was requeued, the lock is
// waited for up to a minute. After that, and at once in a job that was never requeued, the next
// free folder is taken: "<name>.2", ".3" and so on. The codes of OpenStateFolder; UNAVAILABLE:
// all of these folders are in use. CANCELLED: the process was asked to end while it waited.
absl::StatusOr<StateFolder> OpenAllocationState(const std::string& root,
                                                const Allocation& allocation, const Pause& pause);

// The name with which a worker of this allocation registers. After a requeue it is always
// AllocationName, so that a process on a node that was cut off is superseded. Otherwise the name is
// the folder's, so that several workers of one job do not supersede each other.
std::string NameInAllocation(const Allocation& allocation, const StateFolder& state);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_ALLOCATION_STATE_H_
