#ifndef COPPICE_COORDINATOR_STORE_DATA_FOLDER_H_
#define COPPICE_COORDINATOR_STORE_DATA_FOLDER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::store {

// Returns the coordinator's default data folder, below StateHome. FAILED_PRECONDITION, with the
// remedy, if the current folder holds the default folder of an earlier version.
absl::StatusOr<std::string> DefaultDataFolder();

// Creates the data folder for its owner alone (0700). An existing folder that is open to others is
// closed to them, with a line in the log, if it is empty or holds a database of this account. Other
// folders may not be the coordinator's. FAILED_PRECONDITION, with the remedy: it is a symbolic
// link, belongs to another account, lies below another account's folder in a place like /tmp, or is
// open to others and holds other files. Otherwise the codes of files.h.
absl::Status PrepareDataFolder(const std::string& path);

// Checks that the database at `path`, its log and its lock, if they exist, are regular files of
// this account and no links: through a link, a commit would go into somebody else's file.
// FAILED_PRECONDITION with the remedy. The superuser may open another account's files.
absl::Status CheckDatabaseFiles(const std::string& path);

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_DATA_FOLDER_H_
