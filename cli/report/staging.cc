#include "cli/report/staging.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <random>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

constexpr char kPrefix[] = ".coppice-report-";
constexpr char kLock[] = "lock";
constexpr size_t kDigits = 16;
constexpr int kTries = 100;

std::string NewName() {
  std::random_device random;
  return absl::StrFormat("%s%08x%08x", kPrefix, random(), random());
}

std::string LockPath(const std::string& path) { return JoinPath(path, kLock); }

// The lock file goes last. If something still writes to the folder, so that it cannot be emptied, a
// later Sweep can remove it.
void RemoveAll(const std::string& path) {
  std::error_code error;
  for (const std::string& name : ListDirectory(path).value_or(std::vector<std::string>())) {
    if (name != kLock) std::filesystem::remove_all(JoinPath(path, name), error);
    if (error) return;
  }
  std::filesystem::remove_all(path, error);
}

}  // namespace

absl::StatusOr<Staging> Staging::Make(const std::string& parent) {
  for (int i = 0; i < kTries; ++i) {
    const std::string path = JoinPath(parent, NewName());
    // The mode of any new folder.
    if (::mkdir(path.c_str(), 0777) != 0) {
      if (errno == EEXIST) continue;
      return ErrnoToStatus(errno, absl::StrCat("cannot make folder ", path));
    }
    absl::StatusOr<FileLock> lock = FileLock::Acquire(LockPath(path));
    // A Sweep may come between the creation of the folder and its lock. It moves the folder away
    // before it releases the lock, and names are not reused.
    if (lock.ok() && FileExists(LockPath(path))) return Staging(path, *std::move(lock));
    if (lock.ok() || absl::IsFailedPrecondition(lock.status()) || absl::IsNotFound(lock.status()))
      continue;
    COPPICE_RETURN_IF_ERROR(RemoveFile(LockPath(path)));
    return Staging(path, std::nullopt);
  }
  return absl::UnavailableError(absl::StrCat("cannot make a new folder in ", parent));
}

Staging::Staging(Staging&& other) noexcept
    : path_(std::exchange(other.path_, "")), lock_(std::move(other.lock_)) {}

Staging::~Staging() {
  if (!path_.empty()) RemoveAll(path_);
}

bool Staging::IsName(const std::string& name) {
  return absl::StartsWith(name, kPrefix) && name.size() == sizeof(kPrefix) - 1 + kDigits &&
         std::all_of(name.end() - kDigits, name.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

void Staging::Sweep(const std::string& parent) {
  const absl::StatusOr<std::vector<std::string>> names = ListDirectory(parent);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const std::string path = JoinPath(parent, name);
    struct stat info;
    if (!IsName(name) || ::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) ||
        info.st_uid != ::geteuid()) {
      continue;
    }
    if (!FileExists(LockPath(path))) {
      // Removes it only if it is empty. Its owner may have just created it, and then makes another.
      // A folder without locks stays.
      ::rmdir(path.c_str());
      continue;
    }
    const absl::StatusOr<FileLock> lock = FileLock::Acquire(LockPath(path));
    const std::string dead = JoinPath(parent, NewName());
    if (lock.ok() && ::rename(path.c_str(), dead.c_str()) == 0) RemoveAll(dead);
  }
}

}  // namespace coppice::cli
