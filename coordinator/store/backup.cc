#include "coordinator/store/backup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/output_file.h"
#include "common/base/paths.h"
#include "common/base/status_macros.h"
#include "coordinator/store/data_folder.h"
#include "coordinator/store/database_lock.h"
#include "coordinator/store/schema.h"

namespace coppice::store {
namespace {

constexpr char kPartial[] = ".partial-";

absl::StatusOr<std::string> Meta(Connection& db, const std::string& key) {
  Statement statement = db.Prepare("SELECT value FROM meta WHERE key = ?");
  COPPICE_ASSIGN_OR_RETURN(const bool found, statement.Bind(key).Step());
  return found ? statement.Text(0) : std::string();
}

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("the database is damaged: ", what));
}

absl::Status QuickCheck(Connection& db) {
  Statement check = db.Prepare("PRAGMA quick_check(1)");
  COPPICE_ASSIGN_OR_RETURN(const bool row, check.Step());
  if (row && check.Text(0) == "ok") return absl::OkStatus();
  return Damaged(row ? check.Text(0) : "its check says nothing");
}

void RemoveDatabase(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    RemoveFile(path + suffix).IgnoreError();
  }
}

absl::Status Copy(const std::string& from, const std::string& to) {
  COPPICE_ASSIGN_OR_RETURN(const auto source, Connection::Open(from, SQLITE_OPEN_READONLY));
  COPPICE_RETURN_IF_ERROR(source->Execute("PRAGMA busy_timeout = 10000"));
  {
    COPPICE_ASSIGN_OR_RETURN(const auto target, Connection::Open(to, SQLITE_OPEN_READWRITE));
    // The file is synced once at the end, and is useless before that.
    COPPICE_RETURN_IF_ERROR(target->Execute("PRAGMA synchronous = OFF"));
    COPPICE_RETURN_IF_ERROR(source->CopyInto(*target));
  }
  COPPICE_ASSIGN_OR_RETURN(const auto target, Connection::Open(to, SQLITE_OPEN_READWRITE));
  return target->Execute(
      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; PRAGMA journal_mode = DELETE");
}

// Removes leftovers of killed backups beside this target.
void RemoveLeftovers(const std::string& target) {
  const auto names = ListDirectory(FolderOf(target));
  if (!names.ok()) return;
  const std::string prefix = target.substr(target.rfind('/') + 1) + kPartial;
  for (const std::string& name : *names) {
    int pid = 0;
    if (!absl::StartsWith(name, prefix) || !absl::SimpleAtoi(name.substr(prefix.size()), &pid)) {
      continue;
    }
    struct stat info;
    const std::string path = JoinPath(FolderOf(target), name);
    const bool ours =
        ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == ::geteuid();
    if (ours && ::kill(pid, 0) != 0 && errno == ESRCH) RemoveDatabase(path);
  }
}

absl::Status CheckTarget(const BackupOptions& options) {
  if (options.target.empty() || absl::EndsWith(options.target, "/")) {
    return absl::InvalidArgumentError("a backup needs the name of a file");
  }
  COPPICE_RETURN_IF_ERROR(CheckDatabaseFiles(options.database));
  struct stat source, target;
  if (::stat(options.database.c_str(), &source) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("cannot open ", options.database));
  }
  if (::stat(options.target.c_str(), &target) != 0) return absl::OkStatus();
  if (source.st_dev == target.st_dev && source.st_ino == target.st_ino) {
    return absl::InvalidArgumentError(absl::StrCat(options.target, " is the database itself"));
  }
  if (!S_ISREG(target.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(options.target, " is not a regular file"));
  }
  if (options.force) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(options.target, " exists already"));
}

absl::StatusOr<DatabaseFacts> Stamp(const std::string& path, int64_t now_ms) {
  COPPICE_ASSIGN_OR_RETURN(const auto db, Connection::Open(path, SQLITE_OPEN_READWRITE));
  COPPICE_RETURN_IF_ERROR(db->Execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF"));
  COPPICE_ASSIGN_OR_RETURN(DatabaseFacts facts, InspectDatabase(*db));
  facts.backup_ms = now_ms;
  COPPICE_RETURN_IF_ERROR(
      db->Prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('backup_ms', ?)")
          .Bind(absl::StrCat(now_ms))
          .Run());
  return facts;
}

// A backup that replaces another one keeps its permissions.
absl::Status TakeModeOf(const std::string& replaced, const std::string& partial) {
  struct stat info;
  if (::stat(replaced.c_str(), &info) != 0) return absl::OkStatus();
  if (::chmod(partial.c_str(), info.st_mode & 0777) == 0) return absl::OkStatus();
  return ErrnoToStatus(errno, absl::StrCat("cannot set the mode of ", partial));
}

// Simultaneous backups must not replace each other's file unless forced.
absl::Status Rename(const std::string& from, const std::string& to, bool replace) {
  if (!replace && ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0)
    return absl::OkStatus();
  // Not every filesystem supports that. There a prior check must do.
  const bool cannot = errno == EINVAL || errno == ENOSYS;
  if (!replace && (!cannot || FileExists(to))) {
    return ErrnoToStatus(cannot ? EEXIST : errno, absl::StrCat("cannot create ", to));
  }
  if (::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return ErrnoToStatus(errno, absl::StrCat("cannot create ", to));
}

}  // namespace

absl::StatusOr<DatabaseFacts> InspectDatabase(Connection& db) {
  DatabaseFacts facts;
  COPPICE_ASSIGN_OR_RETURN(const int64_t application, db.PragmaInt("application_id"));
  COPPICE_ASSIGN_OR_RETURN(facts.version, db.PragmaInt("user_version"));
  if (application != kApplicationId || facts.version < 1) {
    return absl::FailedPreconditionError("the file is not a database of Coppice");
  }
  const auto known = static_cast<int64_t>(Migrations().size());
  if (facts.version > known) {
    return absl::FailedPreconditionError(absl::StrCat("the database has version ", facts.version,
                                                      ", this program knows versions up to ", known,
                                                      ": run the newer Coppice that wrote it"));
  }
  COPPICE_RETURN_IF_ERROR(QuickCheck(db));
  COPPICE_ASSIGN_OR_RETURN(facts.store_id, Meta(db, "store_id"));
  if (facts.store_id.empty()) return Damaged("it does not name its store");
  COPPICE_ASSIGN_OR_RETURN(const std::string backup_ms, Meta(db, "backup_ms"));
  if (!backup_ms.empty() && !absl::SimpleAtoi(backup_ms, &facts.backup_ms)) {
    return Damaged("the time of its backup is no number");
  }
  Statement count = db.Prepare("SELECT COUNT(*), COALESCE(SUM(jobs), 0) FROM groups");
  COPPICE_RETURN_IF_ERROR(count.Step().status());
  facts.jobs = count.As<uint64_t>(1);
  Statement sweeps = db.Prepare("SELECT COUNT(*) FROM sweeps");
  COPPICE_RETURN_IF_ERROR(sweeps.Step().status());
  facts.sweeps = sweeps.As<uint64_t>(0);
  COPPICE_ASSIGN_OR_RETURN(const int64_t pages, db.PragmaInt("page_count"));
  COPPICE_ASSIGN_OR_RETURN(const int64_t page_size, db.PragmaInt("page_size"));
  facts.bytes = static_cast<uint64_t>(pages * page_size);
  return facts;
}

absl::Status CopyDatabase(const std::string& from, const std::string& to) {
  struct stat info;
  if (::stat(from.c_str(), &info) != 0)
    return ErrnoToStatus(errno, absl::StrCat("cannot open ", from));
  const int fd = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot create ", to));
  ::close(fd);
  absl::Status status = Copy(from, to);
  if (!status.ok()) RemoveDatabase(to);
  return status;
}

absl::Status SyncFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  const absl::Cleanup close = [fd] { ::close(fd); };
  if (::fsync(fd) != 0) return ErrnoToStatus(errno, absl::StrCat("cannot fsync ", path));
  return absl::OkStatus();
}

absl::StatusOr<DatabaseFacts> BackupDatabase(const BackupOptions& given) {
  BackupOptions options = given;
  // A link to the backup's location stays a link.
  COPPICE_ASSIGN_OR_RETURN(options.target, FollowLinks(given.target));
  COPPICE_RETURN_IF_ERROR(CheckTarget(options));
  RemoveLeftovers(options.target);
  const std::string partial = absl::StrCat(options.target, kPartial, ::getpid());
  COPPICE_RETURN_IF_ERROR(CopyDatabase(options.database, partial));
  absl::Cleanup remove = [&partial] { RemoveDatabase(partial); };
  COPPICE_ASSIGN_OR_RETURN(const DatabaseFacts facts, Stamp(partial, options.now_ms));
  COPPICE_RETURN_IF_ERROR(TakeModeOf(options.target, partial));
  COPPICE_RETURN_IF_ERROR(SyncFile(partial));
  COPPICE_RETURN_IF_ERROR(Rename(partial, options.target, options.force));
  std::move(remove).Cancel();
  COPPICE_RETURN_IF_ERROR(SyncDirectory(FolderOf(options.target)));
  return facts;
}

}  // namespace coppice::store
