#include "coordinator/store/database_lock.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/paths.h"
#include "common/base/status_macros.h"
#include "common/base/user_folders.h"
#include "coordinator/store/data_folder.h"

namespace coppice::store {

// FileLock creates its file, so it also checks that the folder is writable.
absl::StatusOr<FileLock> LockDatabase(const std::string& path) {
  const std::string folder = FolderOf(path);
  if (folder != ".") COPPICE_RETURN_IF_ERROR(MakePrivateDirectories(folder));
  COPPICE_RETURN_IF_ERROR(CheckDatabaseFiles(path));
  auto lock = FileLock::Acquire(path + ".lock");
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::FailedPreconditionError(absl::StrCat(
        "another process uses ", path, ": stop it first, or choose another data directory"));
  }
  if (!lock.ok()) return lock.status();
  if (FileExists(path) && ::access(path.c_str(), W_OK) != 0) {
    return absl::PermissionDeniedError(absl::StrCat("cannot write ", path));
  }
  return lock;
}

}  // namespace coppice::store
