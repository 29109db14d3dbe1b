#ifndef COPPICE_COORDINATOR_SERVICE_COMMIT_CHECK_H_
#define COPPICE_COORDINATOR_SERVICE_COMMIT_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/service/checkpoint_streams.h"

namespace coppice::service {

// OK when `path` is a regular file of this size, and no symbolic link. NOT_FOUND,
// FAILED_PRECONDITION (no regular file, another size), otherwise the codes of files.h. Blocks on
// the disk.
absl::Status CheckCheckpointFile(const std::string& path, uint64_t bytes);

// Commits a checkpoint that its worker says it has written into the shared folder, after a look at
// the file from here: a worker may see another folder than it thinks, and a file that is not there
// would be found out only when the job needs it. The look happens where blocking does no harm
// (DiskCalls); DEADLINE_EXCEEDED and UNAVAILABLE when the disk does not answer. A network
// filesystem may show a fresh file late, so it is looked for again for some seconds. Then: OK for a
// commit sent again whose file retention has dropped since (a later one of its attempt is current);
// ABORTED for a stale lease; FAILED_PRECONDITION with the remedy.
void CommitFromSharedFolder(const TransferContext& context, core::CheckpointCommit commit,
                            core::Coordinator::DoneStatus done);

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_COMMIT_CHECK_H_
