#ifndef COPPICE_COORDINATOR_SERVICE_COMMIT_CHECK_H_
#define COPPICE_COORDINATOR_SERVICE_COMMIT_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/service/checkpoint_streams.h"

namespace coppice::service {

// OK if `path` is a regular file of this size and not a symbolic link. NOT_FOUND;
// FAILED_PRECONDITION (not a regular file, or another size); otherwise the codes of files.h. Blocks
// on the disk.
absl::Status CheckCheckpointFile(const std::string& path, uint64_t bytes);

// Commits a checkpoint that its worker has written into the shared folder, after the coordinator
// has checked the file itself. A worker may see another folder than it thinks, and a missing file
// would otherwise be noticed only when the job needs it. The check runs in DiskCalls, where it may
// block; DEADLINE_EXCEEDED and UNAVAILABLE: the disk does not answer. After a failed check, the
// core decides: ABORTED for a stale lease; OK for a repeated commit whose file retention has since
// removed (a later checkpoint of the attempt is current). Otherwise the check is repeated for some
// seconds, because a network filesystem may show a new file late, and finally fails with
// FAILED_PRECONDITION and the remedy.
void CommitFromSharedFolder(const TransferContext& context, core::CheckpointCommit commit,
                            core::Coordinator::DoneStatus done);

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_COMMIT_CHECK_H_
