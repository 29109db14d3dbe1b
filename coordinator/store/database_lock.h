#ifndef COPPICE_COORDINATOR_STORE_DATABASE_LOCK_H_
#define COPPICE_COORDINATOR_STORE_DATABASE_LOCK_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/base/files.h"

namespace coppice::store {

// Creates the folder of a database if needed and takes the lock (`<path>.lock`) that allows one
// process at a time to write it. FAILED_PRECONDITION: another process holds it. PERMISSION_DENIED:
// folder or file cannot be written.
absl::StatusOr<FileLock> LockDatabase(const std::string& path);

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_DATABASE_LOCK_H_
