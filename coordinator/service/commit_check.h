#ifndef COPPICE_COORDINATOR_SERVICE_COMMIT_CHECK_H_
#define COPPICE_COORDINATOR_SERVICE_COMMIT_CHECK_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/service/checkpoint_streams.h"

namespace coppice::service {

// The pause before another look if the disk did not answer.
inline constexpr absl::Duration kDiskPause = absl::Seconds(5);

// OK if `path` is a regular file of this size and not a symbolic link. NOT_FOUND;
// FAILED_PRECONDITION (not a regular file, or another size); otherwise the codes of files.h. Blocks
// on the disk.
absl::Status CheckCheckpointFile(const std::string& path, uint64_t bytes);

// Checks the file of a checkpoint before the core takes its record. A worker may see another folder
// than it thinks, and a missing file would otherwise be noticed only when the job needs it. `done`
// gets the reason to leave the checkpoint out; empty: the core takes the record. The check runs in
// DiskCalls, where it may block. After a failed look:
//   1. A stale lease, and a checkpoint that a later one of the attempt has overtaken (its record
//      was sent again, and retention has removed its file), go to the core, which knows the answer.
//   2. Otherwise the look is repeated for some seconds, because a network filesystem may show a new
//      file late. Then the checkpoint is left out, and the reason names the remedy.
//   3. A disk that does not answer says nothing about the file. The look is repeated until it does.
// The check ends without an answer once `caller` has gone.
void CheckCommittedFile(const TransferContext& context, core::NamedCheckpoint checkpoint,
                        std::weak_ptr<const void> caller,
                        std::function<void(std::string left_out)> done);

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_COMMIT_CHECK_H_
