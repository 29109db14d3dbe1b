#ifndef COPPICE_WORKER_DAEMON_CHECKPOINT_PLACE_H_
#define COPPICE_WORKER_DAEMON_CHECKPOINT_PLACE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/directory.h"

namespace coppice::worker {

// Where checkpoints lie on this machine.
struct CheckpointPlace {
  std::string root;     // absolute
  bool shared = false;  // the coordinator's own folder; otherwise a scratch folder, and files
                        // travel over the wire
  // The scratch folder as it was found at the start; null: it is looked up by its path.
  std::shared_ptr<const Directory> scratch = nullptr;
};

// The scratch folder, for removing in it. Codes as of Directory::Open.
absl::StatusOr<std::shared_ptr<const Directory>> ScratchOf(const CheckpointPlace& place);

// The file in the checkpoint root that names the coordinator's store.
inline constexpr char kStoreIdFile[] = ".coppice-store";

// UNAVAILABLE: the folder that is shared is not there any more.
absl::Status CheckThere(const CheckpointPlace& place);

// That a file at that place has this digest. NOT_FOUND and DATA_LOSS speak against the file, every
// other code against this machine.
absl::Status VerifyCheckpoint(const CheckpointPlace& place, const std::string& file,
                              const std::string& digest);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_CHECKPOINT_PLACE_H_
