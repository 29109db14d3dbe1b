#include "worker/daemon/ended_allocations.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/directory.h"
#include "common/base/file_names.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/own_folder.h"
#include "common/base/status_macros.h"
#include "worker/daemon/scratch.h"
#include "worker/daemon/state_folder.h"

namespace coppice::worker {
namespace {

constexpr absl::Duration kMinAge = absl::Hours(24 * 7);
constexpr size_t kMaxExamined = 100;
constexpr size_t kMaxRemoved = 20;

// "<cluster>-<job>-<task>", and the same with ".2" and so on (OpenAllocationState). A cluster's
// name may hold '-' itself.
bool IsAllocationFolderName(absl::string_view name) {
  return std::any_of(name.begin(), name.end(), [&, at = name.data()](const char& c) {
    if (c != '-' || &c == at) return false;
    const absl::string_view rest = name.substr(static_cast<size_t>(&c - at));
    return NameFits(rest, "-#-#") || NameFits(rest, "-#_#-#") || NameFits(rest, "-#-#.#") ||
           NameFits(rest, "-#_#-#.#");
  });
}

absl::Time ChangedAt(const struct stat& info) { return absl::TimeFromTimespec(info.st_mtim); }

// Locks the file `lock` of the folder, which must exist. The descriptor holds the lock. NOT_FOUND
// also if another process has just removed the file, UNAVAILABLE if another one holds the lock.
absl::StatusOr<int> Lock(const Directory& folder) {
  const int fd = ::openat(folder.fd(), "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return ErrnoToStatus(errno, "lock");
  absl::Cleanup close = [fd] { ::close(fd); };
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return absl::UnavailableError("locked");
  struct stat locked;
  COPPICE_ASSIGN_OR_RETURN(const Directory::Entry now, folder.Find("lock"));
  if (::fstat(fd, &locked) != 0 || locked.st_ino != now.info.st_ino) {
    return absl::NotFoundError("replaced");
  }
  std::move(close).Cancel();
  return fd;
}

enum class Found { kRemoved, kUnsent, kForeign, kInUse };

// One folder, while its lock is held.
class EndedFolder {
 public:
  EndedFolder(const Directory& root, const std::string& name, Directory folder)
      : root_(root), name_(name), folder_(std::move(folder)) {}

  // Reads everything before anything is removed.
  absl::StatusOr<Found> Examine(absl::Time now) {
    COPPICE_ASSIGN_OR_RETURN(const std::vector<Directory::Entry> entries, folder_.List());
    for (const Directory::Entry& entry : entries) {
      if (!IsStateEntry(entry)) return Found::kForeign;
      // The lock's time is that of the last worker's start.
      if (now - ChangedAt(entry.info) < kMinAge) return Found::kInUse;
      if (!entry.is_folder()) continue;
      COPPICE_ASSIGN_OR_RETURN(Directory inner, folder_.OpenFolder(entry.name));
      COPPICE_ASSIGN_OR_RETURN(const Found found, ExamineInner(entry.name, inner, now));
      if (found != Found::kRemoved) return found;
      inner_.push_back({entry.name, std::move(inner)});
    }
    return Found::kRemoved;
  }

  // The mark goes last: a folder that a crash leaves half removed is still known as a worker's.
  absl::Status Remove() {
    for (const auto& [name, inner] : inner_) {
      if (name == "scratch") {
        COPPICE_RETURN_IF_ERROR(EmptyScratch(inner));
      } else {
        COPPICE_ASSIGN_OR_RETURN(const std::vector<Directory::Entry> files, inner.List());
        for (const Directory::Entry& file : files) {
          if (IsStateFile(name, file)) COPPICE_RETURN_IF_ERROR(inner.RemoveFile(file.name));
        }
      }
      COPPICE_RETURN_IF_ERROR(folder_.RemoveFolderIfEmpty(name).status());
    }
    COPPICE_ASSIGN_OR_RETURN(const std::vector<Directory::Entry> rest, folder_.List());
    for (const Directory::Entry& entry : rest) {
      if (entry.is_folder()) return absl::FailedPreconditionError(entry.name + " is in use");
      if (entry.name != "lock" && entry.name != kStateMark) {
        COPPICE_RETURN_IF_ERROR(folder_.RemoveFile(entry.name));
      }
    }
    COPPICE_RETURN_IF_ERROR(folder_.RemoveFile("lock"));
    COPPICE_RETURN_IF_ERROR(folder_.RemoveFile(kStateMark));
    return root_.RemoveFolderIfEmpty(name_).status();
  }

 private:
  static absl::StatusOr<Found> ExamineInner(const std::string& name, const Directory& inner,
                                            absl::Time now) {
    if (name == "scratch") {
      COPPICE_ASSIGN_OR_RETURN(const bool only_ours, HoldsOnlyCheckpoints(inner));
      return only_ours ? Found::kRemoved : Found::kForeign;
    }
    COPPICE_ASSIGN_OR_RETURN(const std::vector<Directory::Entry> files, inner.List());
    for (const Directory::Entry& file : files) {
      if (name == "spool") return IsSpoolFileName(file.name) ? Found::kUnsent : Found::kForeign;
      if (!IsStateFile(name, file)) return Found::kForeign;
      if (now - ChangedAt(file.info) < kMinAge) return Found::kInUse;
    }
    return Found::kRemoved;
  }

  const Directory& root_;
  const std::string name_;
  const Directory folder_;
  std::vector<std::pair<std::string, Directory>> inner_;
};

absl::StatusOr<Found> RemoveIfEnded(const Directory& root, const std::string& name,
                                    absl::Time now) {
  COPPICE_ASSIGN_OR_RETURN(Directory folder, root.OpenFolder(name));
  COPPICE_RETURN_IF_ERROR(folder.CheckOwned());
  COPPICE_RETURN_IF_ERROR(CheckStateMark(folder));
  const absl::StatusOr<int> lock = Lock(folder);
  if (absl::IsUnavailable(lock.status())) return Found::kInUse;
  COPPICE_RETURN_IF_ERROR(lock.status());
  const absl::Cleanup unlock = [fd = *lock] { ::close(fd); };
  EndedFolder ended(root, name, std::move(folder));
  COPPICE_ASSIGN_OR_RETURN(const Found found, ended.Examine(now));
  if (found == Found::kRemoved) COPPICE_RETURN_IF_ERROR(ended.Remove());
  return found;
}

// The names of folders that may be old, in random order: a bounded call looks at others each time.
absl::StatusOr<std::vector<std::string>> OldFolders(const Directory& root, absl::Time now) {
  COPPICE_ASSIGN_OR_RETURN(const std::vector<Directory::Entry> entries, root.List());
  std::vector<std::string> names;
  for (const Directory::Entry& entry : entries) {
    if (entry.is_folder() && IsAllocationFolderName(entry.name) &&
        now - ChangedAt(entry.info) >= kMinAge) {
      names.push_back(entry.name);
    }
  }
  std::shuffle(names.begin(), names.end(), std::mt19937(std::random_device()()));
  if (names.size() > kMaxExamined) names.resize(kMaxExamined);
  return names;
}

void LogRemoval(const std::string& root, const std::vector<std::string>& removed,
                const std::vector<std::string>& unsent, const std::vector<std::string>& foreign) {
  if (!removed.empty()) {
    spdlog::info("removed the state of {} ended allocations from {}: {}", removed.size(), root,
                 SomeNames(removed));
  }
  if (!unsent.empty()) {
    spdlog::warn(
        "{}: {} ended allocations have records that were never sent, so their state stays: {}; "
        "`coppice-worker --state-dir FOLDER --idle-exit 1s` outside of a Slurm job sends them; or "
        "remove the folder",
        root, unsent.size(), SomeNames(unsent));
  }
  if (!foreign.empty()) {
    spdlog::info("left the state of {} ended allocations in {}, where others have put files: {}",
                 foreign.size(), root, SomeNames(foreign));
  }
}

absl::Status RemoveFrom(const std::string& path, absl::Time now,
                        const std::function<bool()>& stop) {
  COPPICE_ASSIGN_OR_RETURN(const Directory root, Directory::Open(path));
  COPPICE_RETURN_IF_ERROR(root.CheckOwned());
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> names, OldFolders(root, now));
  std::vector<std::string> removed, unsent, foreign;
  for (const std::string& name : names) {
    if (removed.size() == kMaxRemoved || stop()) break;
    const absl::StatusOr<Found> found = RemoveIfEnded(root, name, now);
    if (!found.ok()) {
      spdlog::debug("{} stays: {}", JoinPath(path, name), std::string(found.status().message()));
      continue;
    }
    if (*found == Found::kRemoved) removed.push_back(name);
    if (*found == Found::kUnsent) unsent.push_back(name);
    if (*found == Found::kForeign) foreign.push_back(name);
  }
  LogRemoval(path, removed, unsent, foreign);
  return absl::OkStatus();
}

}  // namespace

void RemoveEndedAllocations(const std::string& root, absl::Time now,
                            const std::function<bool()>& stop) {
  // A user may have made a link of the folder itself, for example to another disk.
  std::error_code error;
  const std::string path = std::filesystem::canonical(root, error).string();
  const absl::Status status = error ? absl::NotFoundError(absl::StrCat(root, ": ", error.message()))
                                    : RemoveFrom(path, now, stop);
  if (!status.ok()) {
    spdlog::info("the state of ended allocations stays: {}", std::string(status.message()));
  }
}

}  // namespace coppice::worker
