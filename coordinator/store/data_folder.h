#ifndef COPPICE_COORDINATOR_STORE_DATA_FOLDER_H_
#define COPPICE_COORDINATOR_STORE_DATA_FOLDER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::store {

// The coordinator's data folder when no flag names one: below StateHome. FAILED_PRECONDITION, with
// the remedy, where an earlier version's default folder lies in the current folder instead.
absl::StatusOr<std::string> DefaultDataFolder();

// Makes the data folder, for its owner alone (0700). One that is there and open to others is closed
// to them, with a line in the log, if it is empty or holds a database of this account; nothing else
// is known to be the coordinator's. FAILED_PRECONDITION, with the remedy: it is a symbolic link,
// another account's, lies below another account's folder in a place like /tmp, or is open to others
// and holds other files. Else the codes of files.h.
absl::Status PrepareDataFolder(const std::string& path);

// That the database at `path`, its log and its lock are regular files of this account where they
// are there, and no links: through one a commit would go into a file that is somebody else's.
// FAILED_PRECONDITION with the remedy. The superuser may look at another account's.
absl::Status CheckDatabaseFiles(const std::string& path);

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_DATA_FOLDER_H_
