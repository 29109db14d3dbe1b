// The measured pack widths that all allocations below one state folder share.
#ifndef COPPICE_WORKER_DAEMON_SHARED_WIDTHS_H_
#define COPPICE_WORKER_DAEMON_SHARED_WIDTHS_H_

#include <string>

#include "absl/status/statusor.h"

namespace coppice::worker {

// Opens the folder "widths" below `root`, where every allocation has its folder, and creates it if
// it is missing. Removes the oldest files beyond a few hundred. Any number of workers, on any
// nodes, may do this and use a WidthCache of the folder at the same time. Returns the folder's
// path. The codes of ClaimFolder.
absl::StatusOr<std::string> OpenSharedWidths(const std::string& root);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_SHARED_WIDTHS_H_
