// The records that an earlier process of this worker left.
#ifndef COPPICE_WORKER_DAEMON_LEFT_SPOOLS_H_
#define COPPICE_WORKER_DAEMON_LEFT_SPOOLS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/daemon/spool.h"

namespace coppice::worker {

// Reads every spool in the folder, sorted by job and attempt. The log says what was found, and what
// is lost. A spool that does not even name its lease is removed; files of other names stay. The
// codes of common/base/files.h if the folder cannot be read.
absl::StatusOr<std::vector<SpoolContents>> ReadLeftSpools(const std::string& path);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_LEFT_SPOOLS_H_
