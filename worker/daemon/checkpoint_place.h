#ifndef COPPICE_WORKER_DAEMON_CHECKPOINT_PLACE_H_
#define COPPICE_WORKER_DAEMON_CHECKPOINT_PLACE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/directory.h"

namespace coppice::worker {

// The folder of checkpoints on this machine.
struct CheckpointPlace {
  std::string root;     // absolute
  bool shared = false;  // the coordinator's folder; false: scratch, and files go over the network
  // The scratch folder as it was opened at the start. Null: it is opened by its path.
  std::shared_ptr<const Directory> scratch = nullptr;
};

// Opens the scratch folder for removals. Codes as of Directory::Open.
absl::StatusOr<std::shared_ptr<const Directory>> ScratchOf(const CheckpointPlace& place);

// The file in the checkpoint root that names the coordinator's store.
inline constexpr char kStoreIdFile[] = ".coppice-store";

// UNAVAILABLE: the shared folder is gone.
absl::Status CheckThere(const CheckpointPlace& place);

// Checks that the file at that place has this digest. NOT_FOUND and DATA_LOSS mean that the file is
// bad. Every other code means that this machine has a fault.
absl::Status VerifyCheckpoint(const CheckpointPlace& place, const std::string& file,
                              const std::string& digest);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_CHECKPOINT_PLACE_H_
