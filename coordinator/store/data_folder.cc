#include "coordinator/store/data_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/directory.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/own_folder.h"
#include "common/base/status_macros.h"
#include "common/base/user_folders.h"

namespace coppice::store {
namespace {

constexpr char kDatabase[] = "coppice.db";
constexpr char kFormerDefault[] = "coppice-coordinator";
constexpr const char* kSuffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};

absl::Status WithFlag(const absl::Status& status) {
  if (!absl::IsFailedPrecondition(status)) return status;
  return absl::FailedPreconditionError(
      absl::StrCat(status.message(), " (--data-dir DIR names another)"));
}

// Removes the permissions of others from a folder that is certainly the coordinator's.
absl::Status CloseToOthers(const Directory& folder) {
  struct stat info;
  if (::fstat(folder.fd(), &info) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("cannot read ", folder.path()));
  }
  if (info.st_uid != ::geteuid()) return folder.CheckOwned();
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) == 0) return absl::OkStatus();
  COPPICE_ASSIGN_OR_RETURN(std::vector<Directory::Entry> entries, folder.List());
  entries.erase(std::remove_if(entries.begin(), entries.end(),
                               [](const auto& entry) { return IsOfTheFilesystem(entry.name); }),
                entries.end());
  const bool ours =
      entries.empty() || std::any_of(entries.begin(), entries.end(), [](const auto& entry) {
        return entry.name == kDatabase && entry.is_file() && entry.info.st_uid == ::geteuid();
      });
  if (ours) {
    COPPICE_RETURN_IF_ERROR(folder.MakePrivate().status());
    if (!entries.empty()) {
      spdlog::warn("{} was open to other accounts (mode {:04o}); it is its owner's alone now",
                   folder.path(), info.st_mode & 07777);
    }
    return absl::OkStatus();
  }
  std::vector<std::string> names;
  for (const Directory::Entry& entry : entries) names.push_back(entry.name);
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s is open to other accounts (mode %04o) and holds other files (%s), so it is neither used "
      "nor closed; choose a new or empty folder, or run `chmod 700 %s`",
      folder.path(), info.st_mode & 07777, SomeNames(names), folder.path()));
}

}  // namespace

absl::StatusOr<std::string> DefaultDataFolder() {
  COPPICE_ASSIGN_OR_RETURN(const std::string home, StateHome());
  const std::string folder = JoinPath(home, "coordinator");
  if (!FileExists(JoinPath(folder, kDatabase)) && FileExists(JoinPath(kFormerDefault, kDatabase))) {
    return absl::FailedPreconditionError(
        absl::StrCat("earlier versions kept their data in ./", kFormerDefault,
                     ", which is here; go on with it "
                     "by --data-dir ",
                     kFormerDefault, ", or begin anew by --data-dir ", folder));
  }
  return folder;
}

absl::Status PrepareDataFolder(const std::string& path) {
  absl::StatusOr<Directory> folder = Directory::Open(path);
  if (absl::IsNotFound(folder.status())) {
    COPPICE_RETURN_IF_ERROR(MakePrivateDirectories(path));
    folder = Directory::Open(path);
  }
  if (!folder.ok()) return WithFlag(folder.status());
  COPPICE_RETURN_IF_ERROR(WithFlag(CloseToOthers(*folder)));
  COPPICE_RETURN_IF_ERROR(WithFlag(CheckNotBelowAStranger(path)));
  return CheckDatabaseFiles(JoinPath(path, kDatabase));
}

absl::Status CheckDatabaseFiles(const std::string& path) {
  for (const char* suffix : kSuffixes) {
    const std::string file = absl::StrCat(path, suffix);
    struct stat info;
    if (::lstat(file.c_str(), &info) != 0) {
      if (errno == ENOENT) continue;
      return ErrnoToStatus(errno, absl::StrCat("cannot read ", file));
    }
    if (S_ISLNK(info.st_mode)) {
      return absl::FailedPreconditionError(
          absl::StrCat(file,
                       " is a symbolic link, which is not followed; name the folder of the "
                       "database itself with --data-dir DIR"));
    }
    if (!S_ISREG(info.st_mode)) {
      return absl::FailedPreconditionError(
          absl::StrCat(file, " is not a regular file; move it away"));
    }
    if (info.st_uid != ::geteuid() && ::geteuid() != 0) {
      return absl::FailedPreconditionError(
          absl::StrFormat("%s belongs to another account (user id %d, this one is %d); run the "
                          "program as that one, or choose another folder with --data-dir DIR",
                          file, info.st_uid, ::geteuid()));
    }
  }
  return absl::OkStatus();
}

}  // namespace coppice::store
