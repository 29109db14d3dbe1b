#include "coordinator/store/restore.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/paths.h"
#include "common/base/status_macros.h"
#include "coordinator/store/database_lock.h"

namespace coppice::store {
namespace {

absl::Status RemoveAll(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal", ".lock"}) {
    COPPICE_RETURN_IF_ERROR(RemoveFile(path + suffix));
  }
  return absl::OkStatus();
}

absl::Status Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return ErrnoToStatus(errno, absl::StrCat("cannot rename ", from, " to ", to));
}

// After a restore by the superuser, the coordinator's own user must be able to open the database.
absl::Status GiveToOwnerOfFolder(const std::string& path) {
  struct stat folder;
  if (::geteuid() != 0 || ::stat(FolderOf(path).c_str(), &folder) != 0) return absl::OkStatus();
  for (const std::string& file : {path, path + ".lock"}) {
    if (::lchown(file.c_str(), folder.st_uid, folder.st_gid) != 0 && errno != ENOENT) {
      return ErrnoToStatus(errno, absl::StrCat("cannot give ", file, " to its folder's owner"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<StagedRestore>> StagedRestore::Begin(const RestoreOptions& options) {
  if (!FileExists(options.backup)) {
    return absl::NotFoundError(absl::StrCat("there is no file ", options.backup));
  }
  COPPICE_ASSIGN_OR_RETURN(FileLock lock, LockDatabase(options.database));
  if (FileExists(options.database) && !options.force) {
    return absl::AlreadyExistsError(absl::StrCat("there is a database at ", options.database));
  }
  std::unique_ptr<StagedRestore> staged(new StagedRestore(options, std::move(lock)));
  COPPICE_RETURN_IF_ERROR(RemoveAll(staged->path_));  // of a killed restore
  COPPICE_RETURN_IF_ERROR(CopyDatabase(options.backup, staged->path_));
  COPPICE_ASSIGN_OR_RETURN(const auto db, Connection::Open(staged->path_, SQLITE_OPEN_READWRITE));
  COPPICE_ASSIGN_OR_RETURN(staged->facts_, InspectDatabase(*db));
  return staged;
}

StagedRestore::~StagedRestore() { RemoveAll(path_).IgnoreError(); }

absl::StatusOr<std::string> StagedRestore::PutAside(int64_t now_ms) {
  const std::string& database = options_.database;
  std::string aside;
  if (FileExists(database)) {
    const std::string time =
        absl::FormatTime("%Y%m%dT%H%M%SZ", absl::FromUnixMillis(now_ms), absl::UTCTimeZone());
    aside = absl::StrCat(database, ".replaced-", time);
    // A second restore within a second must not overwrite the first one's old database.
    for (int i = 2; FileExists(aside); ++i) {
      aside = absl::StrCat(database, ".replaced-", time, "-", i);
    }
    COPPICE_RETURN_IF_ERROR(Rename(database, aside));
    // Its log moves with it: without the log it would lack its last commits.
    if (FileExists(database + "-wal")) {
      COPPICE_RETURN_IF_ERROR(Rename(database + "-wal", aside + "-wal"));
    }
  }
  // A log without its database is useless, and must not be mistaken for the restored one's.
  for (const char* suffix : {"-wal", "-shm", "-journal"}) {
    COPPICE_RETURN_IF_ERROR(RemoveFile(database + suffix));
  }
  return aside;
}

absl::StatusOr<std::string> StagedRestore::Install(int64_t now_ms) {
  if (FileExists(path_ + "-wal")) {
    return absl::FailedPreconditionError(absl::StrCat(path_, " is still open"));
  }
  COPPICE_RETURN_IF_ERROR(GiveToOwnerOfFolder(path_));
  COPPICE_RETURN_IF_ERROR(SyncFile(path_));
  COPPICE_ASSIGN_OR_RETURN(const std::string aside, PutAside(now_ms));
  COPPICE_RETURN_IF_ERROR(Rename(path_, options_.database));
  COPPICE_RETURN_IF_ERROR(GiveToOwnerOfFolder(options_.database));
  COPPICE_RETURN_IF_ERROR(SyncDirectory(FolderOf(options_.database)));
  return aside;
}

}  // namespace coppice::store
