// Files that survive a crash: atomic replacement, fsync of file and folder, whole-file reads.
#ifndef COPPICE_COMMON_BASE_FILES_H_
#define COPPICE_COMMON_BASE_FILES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice {

// Codes of every function here: NOT_FOUND (no such file), PERMISSION_DENIED, RESOURCE_EXHAUSTED
// (disk full, quota), ALREADY_EXISTS, otherwise INTERNAL. Messages name the path and the system's
// reason.
absl::Status ErrnoToStatus(int error_number, absl::string_view what);

// Reads a small file. INVALID_ARGUMENT: not a regular file, or over 256 MiB. For a file that others
// name, use ReadRegularFile (regular_file.h) with a fitting limit.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Writes to a temporary file in the same folder, fsyncs it, renames it to `path`, and fsyncs the
// folder. After OK the content is durable. After an error the old content, if any, is untouched and
// the temporary file is gone.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view content);

// The same for content that is produced in pieces. Usage: Open, Append..., Commit. If destroyed
// before Commit, it removes its temporary file. Not thread-safe.
class AtomicFile {
 public:
  static absl::StatusOr<AtomicFile> Open(const std::string& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  absl::Status Append(const void* data, size_t size);
  absl::Status Commit();

 private:
  AtomicFile(std::string path, std::string temporary, int fd);
  std::string path_;
  std::string temporary_;
  int fd_;
};

// Like mkdir -p; also fsyncs the parent of every created folder.
absl::Status MakeDirectories(const std::string& path);
absl::Status SyncDirectory(const std::string& path);
// OK also when the file is already gone.
absl::Status RemoveFile(const std::string& path);
bool FileExists(const std::string& path);
absl::StatusOr<uint64_t> FileSize(const std::string& path);
// Names (not paths) in a folder, sorted.
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);
// True for a non-empty relative path without empty, "." or ".." parts, backslashes or NUL. Such a
// path may be joined to a root even if it came over the wire.
bool IsSafeRelativePath(absl::string_view path);
std::string JoinPath(absl::string_view a, absl::string_view b);

// An exclusive advisory lock on a file, held until destruction or the end of the process. It keeps
// two daemons from sharing one data folder.
class FileLock {
 public:
  // FAILED_PRECONDITION: another process holds the lock.
  static absl::StatusOr<FileLock> Acquire(const std::string& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_FILES_H_
