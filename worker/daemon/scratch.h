// What a worker removes of the files in its state folder. The scratch folder in it is where
// checkpoints pass through when the coordinator's folder is not shared; its layout is that of the
// checkpoint root. Everything here goes through descriptors (Directory), follows no link, and
// leaves what has a name that no worker gives.
#ifndef COPPICE_WORKER_DAEMON_SCRATCH_H_
#define COPPICE_WORKER_DAEMON_SCRATCH_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/directory.h"

namespace coppice::worker {

// Removes the checkpoints in one attempt's folder, `relative` to the scratch folder, and the folder
// when nothing else is in it; OK when there is none. Otherwise the codes of files.h: what could not
// be removed is named.
absl::Status RemoveScratch(const Directory& scratch, absl::string_view relative);

// Removes one checkpoint; OK when it is gone already. The same codes.
absl::Status RemoveScratchFile(const Directory& scratch, absl::string_view relative);

// At start: as RemoveScratch, for every attempt's folder but those in `keep`, whose attempts still
// have something to upload. The log says what was removed, and what was left as it is not ours.
absl::Status CleanScratch(const Directory& scratch, const std::set<std::string>& keep);

// Removes the oldest of the files whose names fit one of `patterns` (NameFits) until `keep` are
// left, and those that were left half written; the log says which. One that cannot be removed is
// left for the next time.
void KeepNewest(const Directory& folder, const std::vector<std::string>& patterns, size_t keep);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_SCRATCH_H_
