#include "common/base/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/base/status_macros.h"

namespace coppice {
namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
constexpr size_t kSmall = 64 << 10;

absl::Status WriteAll(int fd, absl::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoToStatus(errno, "cannot write");
    content.remove_prefix(static_cast<size_t>(written));
  }
  if (::fsync(fd) != 0) return ErrnoToStatus(errno, "cannot fsync");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Directory> Directory::OpenAt(int parent, const std::string& name, std::string path) {
  const int fd = ::openat(parent, name.c_str(), kFolder);
  const int error = errno;
  struct stat info;
  if (fd < 0) {
    // With O_DIRECTORY and O_NOFOLLOW together, a link gives ENOTDIR.
    if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
      if (S_ISLNK(info.st_mode)) {
        return absl::FailedPreconditionError(
            absl::StrCat(path,
                         " is a symbolic link, which is not followed here; name the folder "
                         "itself, or replace the link by a folder"));
      }
      if (!S_ISDIR(info.st_mode)) {
        return absl::FailedPreconditionError(absl::StrCat(path, " is no folder; move it away"));
      }
    }
    return ErrnoToStatus(error, absl::StrCat("cannot open folder ", path));
  }
  if (::fstat(fd, &info) != 0) {
    const int stat_error = errno;
    ::close(fd);
    return ErrnoToStatus(stat_error, absl::StrCat("cannot read folder ", path));
  }
  return Directory(std::move(path), fd, info.st_dev);
}

absl::StatusOr<Directory> Directory::Open(const std::string& path) {
  // The link in "link/" would be followed.
  std::string plain = path;
  while (plain.size() > 1 && plain.back() == '/') plain.pop_back();
  return OpenAt(AT_FDCWD, plain, plain);
}

Directory::Directory(Directory&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), device_(other.device_) {}

Directory& Directory::operator=(Directory&& other) noexcept {
  if (this == &other) return *this;
  if (fd_ >= 0) ::close(fd_);
  path_ = std::move(other.path_);
  fd_ = std::exchange(other.fd_, -1);
  device_ = other.device_;
  return *this;
}

Directory::~Directory() {
  if (fd_ >= 0) ::close(fd_);
}

absl::Status Directory::CheckOwner(const struct stat& info) const {
  if (info.st_uid == ::geteuid()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s belongs to another account (user id %d, this one is %d); name a folder that is not "
      "there yet, or one of your own",
      path_, info.st_uid, ::geteuid()));
}

absl::Status Directory::CheckOwned() const {
  struct stat info;
  if (::fstat(fd_, &info) != 0) return ErrnoToStatus(errno, absl::StrCat("cannot read ", path_));
  COPPICE_RETURN_IF_ERROR(CheckOwner(info));
  if ((info.st_mode & kOthersWrite) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "other accounts may write to %s (its mode is %04o); run `chmod -R go-w %s` if nobody has, or "
      "name a folder that is not there yet",
      path_, info.st_mode & 07777, path_));
}

absl::StatusOr<bool> Directory::MakePrivate() const {
  struct stat info;
  if (::fstat(fd_, &info) != 0) return ErrnoToStatus(errno, absl::StrCat("cannot read ", path_));
  const mode_t mode = info.st_mode & 07777;
  if ((mode & (S_IRWXG | S_IRWXO)) == 0) return false;
  if (::fchmod(fd_, mode & ~static_cast<mode_t>(S_IRWXG | S_IRWXO)) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("cannot set the mode of ", path_));
  }
  return true;
}

absl::StatusOr<Directory> Directory::OpenFolder(const std::string& name) const {
  COPPICE_ASSIGN_OR_RETURN(Directory folder, OpenAt(fd_, name, JoinPath(path_, name)));
  if (folder.device_ != device_) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder.path_, " is on another filesystem than ", path_,
                     "; put the whole folder ", path_, " on that filesystem in its place"));
  }
  struct stat info;
  if (::fstat(folder.fd_, &info) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("cannot read ", folder.path_));
  }
  COPPICE_RETURN_IF_ERROR(folder.CheckOwner(info));
  return folder;
}

absl::StatusOr<Directory> Directory::MakeFolder(const std::string& name) const {
  if (::mkdirat(fd_, name.c_str(), S_IRWXU) == 0) {
    if (::fsync(fd_) != 0 && errno != EINVAL && errno != ENOTSUP) {
      return ErrnoToStatus(errno, absl::StrCat("cannot fsync folder ", path_));
    }
  } else if (errno != EEXIST) {
    return ErrnoToStatus(errno, absl::StrCat("cannot create folder ", JoinPath(path_, name)));
  }
  COPPICE_ASSIGN_OR_RETURN(Directory folder, OpenFolder(name));
  COPPICE_RETURN_IF_ERROR(folder.CheckOwned());
  return folder;
}

absl::StatusOr<Directory> Directory::Walk(absl::string_view relative) const {
  if (!IsSafeRelativePath(relative)) {
    return absl::InvalidArgumentError(absl::StrCat("'", relative, "' is no path below ", path_));
  }
  COPPICE_ASSIGN_OR_RETURN(Directory folder, OpenAt(fd_, ".", path_));
  for (const absl::string_view part : absl::StrSplit(relative, '/')) {
    absl::StatusOr<Directory> next = folder.OpenFolder(std::string(part));
    if (absl::IsFailedPrecondition(next.status())) {
      return absl::NotFoundError(next.status().message());
    }
    COPPICE_RETURN_IF_ERROR(next.status());
    folder = *std::move(next);
  }
  return folder;
}

absl::StatusOr<std::vector<Directory::Entry>> Directory::List() const {
  // Needs a descriptor of its own, because the position in a listing belongs to the open file.
  const int fd = ::openat(fd_, ".", kFolder);
  DIR* const folder = fd < 0 ? nullptr : ::fdopendir(fd);
  if (folder == nullptr) {
    const int error = errno;
    if (fd >= 0) ::close(fd);
    return ErrnoToStatus(error, absl::StrCat("cannot list ", path_));
  }
  const absl::Cleanup close = [folder] { ::closedir(folder); };
  std::vector<Entry> entries;
  for (errno = 0; const dirent* found = ::readdir(folder); errno = 0) {
    const std::string name = found->d_name;
    if (name == "." || name == "..") continue;
    absl::StatusOr<Entry> entry = Find(name);
    if (absl::IsNotFound(entry.status())) continue;  // it was removed meanwhile
    COPPICE_RETURN_IF_ERROR(entry.status());
    entries.push_back(*std::move(entry));
  }
  if (errno != 0) return ErrnoToStatus(errno, absl::StrCat("cannot list ", path_));
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

absl::StatusOr<Directory::Entry> Directory::Find(const std::string& name) const {
  Entry entry;
  entry.name = name;
  if (::fstatat(fd_, name.c_str(), &entry.info, AT_SYMLINK_NOFOLLOW) == 0) return entry;
  return ErrnoToStatus(errno, absl::StrCat("cannot read ", JoinPath(path_, name)));
}

absl::StatusOr<std::string> Directory::Read(const std::string& name) const {
  const std::string path = JoinPath(path_, name);
  // Without O_NONBLOCK a named pipe would block the program.
  const int fd = ::openat(fd_, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ELOOP) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is a symbolic link, which is not followed here; move it away"));
    }
    return ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  }
  const absl::Cleanup close = [fd] { ::close(fd); };
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not a regular file of this account; move it away"));
  }
  std::string content(kSmall + 1, '\0');
  const ssize_t count = TEMP_FAILURE_RETRY(::read(fd, content.data(), content.size()));
  if (count < 0) return ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  if (static_cast<size_t>(count) > kSmall) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is too large to be what it should"));
  }
  content.resize(static_cast<size_t>(count));
  return content;
}

absl::Status Directory::Write(const std::string& name, absl::string_view content) const {
  const std::string path = JoinPath(path_, name);
  const std::string temporary = absl::StrCat(name, ".tmp-", RandomId());
  const int fd = ::openat(fd_, temporary.c_str(),
                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot create ", path));
  absl::Cleanup remove = [&] { ::unlinkat(fd_, temporary.c_str(), 0); };
  const absl::Status written = WriteAll(fd, content);
  ::close(fd);
  if (!written.ok()) {
    return absl::Status(written.code(), absl::StrCat(path, ": ", written.message()));
  }
  if (::renameat(fd_, temporary.c_str(), fd_, name.c_str()) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("cannot create ", path));
  }
  std::move(remove).Cancel();
  if (::fsync(fd_) != 0 && errno != EINVAL && errno != ENOTSUP) {
    return ErrnoToStatus(errno, absl::StrCat("cannot fsync folder ", path_));
  }
  return absl::OkStatus();
}

absl::Status Directory::RemoveFile(const std::string& name) const {
  const std::string path = JoinPath(path_, name);
  struct stat info;
  if (::fstatat(fd_, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not a regular file, so it stays; move it away"));
  }
  if (::unlinkat(fd_, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoToStatus(errno, absl::StrCat("cannot remove ", path));
}

absl::StatusOr<bool> Directory::RemoveFolderIfEmpty(const std::string& name) const {
  if (::unlinkat(fd_, name.c_str(), AT_REMOVEDIR) == 0) return true;
  if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT || errno == ENOTDIR) return false;
  return ErrnoToStatus(errno, absl::StrCat("cannot remove folder ", JoinPath(path_, name)));
}

absl::Status Directory::RemoveTree(const std::string& name) const {
  return RemoveTree(name, kMaxTreeDepth);
}

absl::Status Directory::RemoveTree(const std::string& name, int depth) const {
  if (depth == 0) {
    return absl::FailedPreconditionError(absl::StrCat(JoinPath(path_, name), " lies deeper than ",
                                                      kMaxTreeDepth,
                                                      " folders, so it stays; remove it by hand"));
  }
  const absl::StatusOr<Directory> folder = OpenFolder(name);
  if (absl::IsNotFound(folder.status())) return absl::OkStatus();
  COPPICE_RETURN_IF_ERROR(folder.status());
  COPPICE_ASSIGN_OR_RETURN(const std::vector<Entry> entries, folder->List());
  for (const Entry& entry : entries) {
    if (entry.is_folder()) {
      COPPICE_RETURN_IF_ERROR(folder->RemoveTree(entry.name, depth - 1));
    } else if (::unlinkat(folder->fd_, entry.name.c_str(), 0) != 0 && errno != ENOENT) {
      return ErrnoToStatus(errno,
                           absl::StrCat("cannot remove ", JoinPath(folder->path_, entry.name)));
    }
  }
  return RemoveFolderIfEmpty(name).status();
}

}  // namespace coppice
