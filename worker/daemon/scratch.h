// Removal of files in the worker's state folder. Checkpoints pass through its scratch folder if the
// coordinator's folder is not shared; its layout is that of the checkpoint root. Everything here
// uses descriptors (Directory), follows no link, and leaves files whose names no worker gives.
#ifndef COPPICE_WORKER_DAEMON_SCRATCH_H_
#define COPPICE_WORKER_DAEMON_SCRATCH_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/directory.h"

namespace coppice::worker {

// Removes the checkpoints in one attempt's folder, a program's work folder with all that is in it,
// and the attempt's folder if it is then empty. `relative` is relative to the scratch folder. OK if
// there is no such folder. Otherwise the codes of files.h; the message names the file that could
// not be removed.
absl::Status RemoveScratch(const Directory& scratch, absl::string_view relative);

// Removes one checkpoint. OK if it is gone already. Codes as of RemoveScratch.
absl::Status RemoveScratchFile(const Directory& scratch, absl::string_view relative);

// Called at start: does the same as RemoveScratch for every attempt's folder except those in
// `keep`, whose attempts still have files to upload. The log lists the removed files, and those
// that were left because they are not the worker's.
absl::Status CleanScratch(const Directory& scratch, const std::set<std::string>& keep);

// For the scratch folder of a worker that is gone. True: it holds checkpoints in the folders of
// attempts, and nothing else.
absl::StatusOr<bool> HoldsOnlyCheckpoints(const Directory& scratch);
// Does the same as CleanScratch for every attempt, without a word in the log.
absl::Status EmptyScratch(const Directory& scratch);

// Removes the oldest of the files whose names fit one of `patterns` (NameFits) until `keep` are
// left. Removes half-written files that were last changed before `abandoned`: in a folder of
// several processes a younger one may still be written. The log lists them. A file that cannot be
// removed stays until the next time.
void KeepNewest(const Directory& folder, const std::vector<std::string>& patterns, size_t keep,
                absl::Time abandoned = absl::InfiniteFuture());

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_SCRATCH_H_
