#include "common/base/output_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/files.h"
#include "common/base/paths.h"
#include "common/base/status_macros.h"

namespace coppice {
namespace {

// The kernel's own limit.
constexpr int kMaxLinks = 40;

// The number of this process's descriptor that `path` names; -1 for another path. If such a path
// were opened by name, a file behind it would be written again from its start.
int DescriptorOf(absl::string_view path) {
  if (path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  int fd = -1;
  if ((absl::ConsumePrefix(&path, "/dev/fd/") || absl::ConsumePrefix(&path, "/proc/self/fd/")) &&
      absl::SimpleAtoi(path, &fd)) {
    return fd;
  }
  return -1;
}

absl::Status Kept(const std::string& path) {
  return absl::AlreadyExistsError(
      absl::StrCat(path, " is there already; name another file, or replace it with --force"));
}

absl::Status CheckKind(const std::string& path, mode_t mode) {
  const char* kind = nullptr;
  if (S_ISDIR(mode))
    return absl::InvalidArgumentError(absl::StrCat(path, " is a folder; name a file in it"));
  if (S_ISBLK(mode)) kind = "a block device";
  if (S_ISSOCK(mode)) kind = "a socket";
  if (kind == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, " is ", kind, "; name a file"));
}

}  // namespace

absl::StatusOr<std::string> FollowLinks(const std::string& path) {
  std::string at = path;
  for (int i = 0; i <= kMaxLinks; ++i) {
    struct stat info;
    // If lstat fails, the caller's open will fail too and report the reason.
    if (::lstat(at.c_str(), &info) != 0 || !S_ISLNK(info.st_mode)) return at;
    char target[PATH_MAX];
    const ssize_t size = ::readlink(at.c_str(), target, sizeof(target));
    if (size < 0) return ErrnoToStatus(errno, absl::StrCat("cannot read the link ", at));
    const std::string next(target, static_cast<size_t>(size));
    at = absl::StartsWith(next, "/") ? next : JoinPath(FolderOf(at), next);
  }
  return absl::InvalidArgumentError(absl::StrCat(path, ": symbolic links lead in a circle"));
}

absl::StatusOr<OutputFile> OutputFile::Open(const std::string& path, Existing existing) {
  if (path.empty()) return absl::InvalidArgumentError("the name of the file to write is empty");
  if (const int descriptor = DescriptorOf(path); descriptor >= 0) {
    const int fd = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
    return OutputFile(path, fd);
  }
  OutputFile file(path, -1);
  file.existing_ = existing;
  COPPICE_ASSIGN_OR_RETURN(file.target_, FollowLinks(path));
  struct stat info;
  if (::stat(file.target_.c_str(), &info) != 0) {
    if (errno != ENOENT) return ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
    if (absl::EndsWith(file.target_, "/")) return CheckKind(path, S_IFDIR);
    COPPICE_RETURN_IF_ERROR(file.OpenTemporary());
    return file;
  }
  COPPICE_RETURN_IF_ERROR(CheckKind(path, info.st_mode));
  if (!S_ISREG(info.st_mode)) {
    file.fd_ = ::open(file.target_.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (file.fd_ < 0) return ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
    return file;
  }
  if (existing == Existing::kKeep) return Kept(path);
  file.old_ = info;
  COPPICE_RETURN_IF_ERROR(file.OpenTemporary());
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      old_(other.old_),
      existing_(other.existing_),
      fd_(std::exchange(other.fd_, -1)) {}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::Status OutputFile::OpenTemporary() {
  static std::atomic<uint64_t> counter{0};
  // A killed process may have left a file of this name. Then another name is tried.
  constexpr int kTries = 1000;
  int error = EEXIST;
  for (int i = 0; i < kTries && error == EEXIST; ++i) {
    const std::string name = absl::StrCat(target_, ".tmp-", ::getpid(), "-", counter.fetch_add(1));
    // The umask determines the mode of a new file. A replacement stays private until it has the
    // mode of the old file.
    fd_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, old_ ? 0600 : 0666);
    if (fd_ >= 0) {
      temporary_ = name;
      return absl::OkStatus();
    }
    error = errno;
  }
  return ErrnoToStatus(error, absl::StrCat("cannot write ", path_));
}

absl::Status OutputFile::Append(absl::string_view data) {
  while (!data.empty()) {
    const ssize_t written = ::write(fd_, data.data(), data.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoToStatus(errno, absl::StrCat("cannot write ", path_));
    }
    data.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status OutputFile::TakeModeOfOld() {
  if (!old_.has_value()) return absl::OkStatus();
  mode_t mode = old_->st_mode & 07777;
  // Only root may give a file away, but a user may set a group of their own. Set-user-ID and
  // set-group-ID stay only with the owner and the group for which they were set.
  const bool owned = ::fchown(fd_, old_->st_uid, old_->st_gid) == 0;
  if (!owned) mode &= ~static_cast<mode_t>(S_ISUID);
  if (!owned && ::fchown(fd_, static_cast<uid_t>(-1), old_->st_gid) != 0) mode &= 0777;
  if (::fchmod(fd_, mode) == 0) return absl::OkStatus();
  return ErrnoToStatus(errno, absl::StrCat("cannot set the mode of ", path_));
}

absl::Status OutputFile::Rename() {
  if (existing_ == Existing::kKeep) {
    if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE) ==
        0) {
      return absl::OkStatus();
    }
    if (errno == EEXIST) return Kept(path_);
    // Not every filesystem supports this. There an earlier check must suffice.
    if (errno != EINVAL && errno != ENOSYS)
      return ErrnoToStatus(errno, absl::StrCat("cannot create ", path_));
    if (FileExists(target_)) return Kept(path_);
  }
  if (::rename(temporary_.c_str(), target_.c_str()) == 0) return absl::OkStatus();
  return ErrnoToStatus(errno, absl::StrCat("cannot replace ", path_));
}

absl::Status OutputFile::Commit() {
  const bool through = temporary_.empty();
  if (!through) {
    COPPICE_RETURN_IF_ERROR(TakeModeOfOld());
    if (::fsync(fd_) != 0) return ErrnoToStatus(errno, absl::StrCat("cannot write ", path_));
  }
  if (::close(std::exchange(fd_, -1)) != 0)
    return ErrnoToStatus(errno, absl::StrCat("cannot write ", path_));
  if (through) return absl::OkStatus();
  COPPICE_RETURN_IF_ERROR(Rename());
  temporary_.clear();
  return SyncDirectory(FolderOf(target_));
}

absl::Status WriteOutputFile(const std::string& path, absl::string_view content,
                             OutputFile::Existing existing) {
  COPPICE_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Open(path, existing));
  COPPICE_RETURN_IF_ERROR(file.Append(content));
  return file.Commit();
}

absl::Status RemoveOutputFile(const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(const std::string target, FollowLinks(path));
  struct stat info;
  if (::lstat(target.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return absl::OkStatus();
  return RemoveFile(target);
}

}  // namespace coppice
