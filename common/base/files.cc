#include "common/base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"

namespace coppice {
namespace {

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status WriteAll(int fd, const char* data, size_t size, const std::string& path) {
  while (size > 0) {
    const ssize_t written = ::write(fd, data, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
    }
    data += written;
    size -= static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ErrnoToStatus(int error_number, absl::string_view what) {
  const std::string message = absl::StrCat(what, ": ", std::strerror(error_number));
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    default:
      return absl::InternalError(message);
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  // Files read here are small. The bound keeps a wrong name from exhausting the memory.
  constexpr uint64_t kMaxBytes = uint64_t{256} << 20;
  return ReadRegularFile(path, kMaxBytes);
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view content) {
  COPPICE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Open(path));
  COPPICE_RETURN_IF_ERROR(file.Append(content.data(), content.size()));
  return file.Commit();
}

absl::StatusOr<AtomicFile> AtomicFile::Open(const std::string& path) {
  static std::atomic<uint64_t> counter{0};
  // A killed process may have left a file of this name, and in a container the next process may
  // have the same id. Then another name is tried.
  constexpr int kTries = 1000;
  int error = EEXIST;
  std::string temporary;
  for (int i = 0; i < kTries && error == EEXIST; ++i) {
    temporary = absl::StrCat(path, ".tmp-", ::getpid(), "-", counter.fetch_add(1));
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0) return AtomicFile(path, temporary, fd);
    error = errno;
  }
  return ErrnoToStatus(error, absl::StrCat("cannot create ", temporary));
}

AtomicFile::AtomicFile(std::string path, std::string temporary, int fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      fd_(std::exchange(other.fd_, -1)) {}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

absl::Status AtomicFile::Append(const void* data, size_t size) {
  return WriteAll(fd_, static_cast<const char*>(data), size, temporary_);
}

absl::Status AtomicFile::Commit() {
  if (::fsync(fd_) != 0) return ErrnoToStatus(errno, absl::StrCat("cannot fsync ", temporary_));
  if (::close(std::exchange(fd_, -1)) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    return ErrnoToStatus(error, absl::StrCat("cannot close ", temporary_));
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    return ErrnoToStatus(error, absl::StrCat("cannot rename to ", path_));
  }
  return SyncDirectory(DirectoryOf(path_));
}

namespace {

absl::Status MakeDirectoriesOnce(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("cannot create a folder with an empty name");
  struct stat info;
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return absl::OkStatus();
    return absl::AlreadyExistsError(absl::StrCat(path, " exists and is not a folder"));
  }
  const std::string parent = DirectoryOf(path);
  if (parent != path && parent != ".") COPPICE_RETURN_IF_ERROR(MakeDirectoriesOnce(parent));
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return ErrnoToStatus(errno, absl::StrCat("cannot create folder ", path));
  }
  return SyncDirectory(parent);
}

}  // namespace

absl::Status MakeDirectories(const std::string& path) {
  // Another process that removes empty folders may remove a parent before its child exists.
  constexpr int kTries = 5;
  absl::Status made = MakeDirectoriesOnce(path);
  for (int i = 1; i < kTries && absl::IsNotFound(made); ++i) made = MakeDirectoriesOnce(path);
  return made;
}

absl::Status SyncDirectory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot open folder ", path));
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  // Some network filesystems refuse to fsync a folder. There the rename cannot be made more
  // durable.
  if (result != 0 && error != EINVAL && error != ENOTSUP) {
    return ErrnoToStatus(error, absl::StrCat("cannot fsync folder ", path));
  }
  return absl::OkStatus();
}

absl::Status RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoToStatus(errno, absl::StrCat("cannot remove ", path));
  }
  return absl::OkStatus();
}

bool FileExists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

absl::StatusOr<uint64_t> FileSize(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0)
    return ErrnoToStatus(errno, absl::StrCat("cannot stat ", path));
  return static_cast<uint64_t>(info.st_size);
}

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return ErrnoToStatus(errno, absl::StrCat("cannot list ", path));
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

bool IsSafeRelativePath(absl::string_view path) {
  if (path.empty() || path.size() > 4096) return false;
  if (absl::StrContains(path, '\0') || absl::StrContains(path, '\\')) return false;
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

std::string JoinPath(absl::string_view a, absl::string_view b) {
  if (a.empty()) return std::string(b);
  return absl::StrCat(a, absl::EndsWith(a, "/") ? "" : "/", b);
}

namespace {

// The descriptor of the locked file. NOT_FOUND: the file was removed before it was locked.
absl::StatusOr<int> TryLock(const std::string& path) {
  // Links are not followed: they could lead to making or locking a file at a place of somebody
  // else's choice.
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0 && errno == ELOOP) {
    return absl::PermissionDeniedError(
        absl::StrCat("the lock file ", path, " is a symbolic link; remove it"));
  }
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot open lock file ", path));
  absl::Cleanup close = [fd] { ::close(fd); };
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is locked by another running process"));
    }
    return ErrnoToStatus(errno, absl::StrCat("cannot lock ", path));
  }
  // The holder before may have removed the file, and another process may have made a new one.
  struct stat locked, present;
  if (::fstat(fd, &locked) != 0 || ::lstat(path.c_str(), &present) != 0 ||
      locked.st_dev != present.st_dev || locked.st_ino != present.st_ino) {
    return absl::NotFoundError(absl::StrCat("the lock file ", path, " was just removed"));
  }
  std::move(close).Cancel();
  return fd;
}

}  // namespace

absl::StatusOr<FileLock> FileLock::Acquire(const std::string& path) {
  constexpr int kTries = 10;
  absl::StatusOr<int> fd = TryLock(path);
  for (int i = 1; i < kTries && absl::IsNotFound(fd.status()); ++i) fd = TryLock(path);
  if (!fd.ok()) return fd.status();
  return FileLock(*fd);
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace coppice
