#ifndef COPPICE_WORKER_DAEMON_CHECKPOINT_PLACE_H_
#define COPPICE_WORKER_DAEMON_CHECKPOINT_PLACE_H_

#include <string>

#include "absl/status/status.h"

namespace coppice::worker {

// Where checkpoints lie on this machine.
struct CheckpointPlace {
  std::string root;     // absolute
  bool shared = false;  // the coordinator's own folder; otherwise a scratch folder, and files
                        // travel over the wire
};
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
