// The folder that checkpoints pass through where the coordinator's is not shared: its layout is
// that of the checkpoint root.
#ifndef COPPICE_WORKER_DAEMON_SCRATCH_H_
#define COPPICE_WORKER_DAEMON_SCRATCH_H_

#include <set>
#include <string>

#include "absl/status/status.h"

namespace coppice::worker {

// Removes one attempt's folder with everything in it; OK when there is none. INTERNAL names what
// could not be removed.
absl::Status RemoveScratch(const std::string& folder);

// At start: removes every file and empty folder below `root` but those under the folders in `keep`
// (relative to it), whose attempts still have something to upload.
absl::Status CleanScratch(const std::string& root, const std::set<std::string>& keep);

// Removes the oldest files of a folder until `keep` are left: old logs, old run specs. A file that
// cannot be removed is left for the next time.
void KeepNewest(const std::string& folder, size_t keep);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_SCRATCH_H_
