#include "common/base/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/base/paths.h"
#include "common/base/status_macros.h"

namespace coppice {
namespace {

constexpr mode_t kSecretFileMode = S_IRUSR | S_IWUSR;
constexpr mode_t kForbidden = S_IWGRP | S_IRWXO;

absl::Status CheckMode(const std::string& path, const struct stat& info) {
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a regular file"));
  }
  if (info.st_size > static_cast<off_t>(kMaxSecretBytes)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is too large to be what it should be"));
  }
  if ((info.st_mode & kForbidden) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("%s holds a secret but others may read or change it (its mode is %04o); run "
                      "`chmod 600 %s`, and replace the secret if somebody may have read it",
                      path, info.st_mode & 07777, path));
}

absl::Status WriteDurably(int fd, const std::string& path, absl::string_view content) {
  // The umask may have removed rights of the owner too.
  if (::fchmod(fd, kSecretFileMode) != 0)
    return ErrnoToStatus(errno, "cannot set the mode of " + path);
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
    content.remove_prefix(static_cast<size_t>(written));
  }
  if (::fsync(fd) != 0) return ErrnoToStatus(errno, absl::StrCat("cannot fsync ", path));
  return absl::OkStatus();
}

// Writes under a temporary name, then calls `publish` to give the file its name. `publish` returns
// the result of link or rename.
template <typename Publish>
absl::Status Write(const std::string& path, absl::string_view content, const Publish& publish) {
  const std::string temporary = absl::StrCat(path, ".tmp-", RandomId());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                        kSecretFileMode);
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot create ", temporary));
  const absl::Cleanup remove = [&] { ::unlink(temporary.c_str()); };
  const absl::Status written = WriteDurably(fd, temporary, content);
  ::close(fd);
  COPPICE_RETURN_IF_ERROR(written);
  if (publish(temporary.c_str(), path.c_str()) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("cannot create ", path));
  }
  return SyncDirectory(FolderOf(path));
}

}  // namespace

absl::StatusOr<std::string> ReadSecretFile(const std::string& path) {
  // Without O_NONBLOCK a named pipe would block the program.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  const absl::Cleanup close = [fd] { ::close(fd); };
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  COPPICE_RETURN_IF_ERROR(CheckMode(path, info));
  std::string content(static_cast<size_t>(info.st_size), '\0');
  size_t got = 0;
  while (got < content.size()) {
    const ssize_t count = ::read(fd, content.data() + got, content.size() - got);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    if (count == 0) break;
    got += static_cast<size_t>(count);
  }
  content.resize(got);
  return content;
}

absl::Status CreateSecretFile(const std::string& path, absl::string_view content) {
  return Write(path, content, [](const char* from, const char* to) { return ::link(from, to); });
}

absl::Status ReplaceSecretFile(const std::string& path, absl::string_view content) {
  return Write(path, content, [](const char* from, const char* to) { return ::rename(from, to); });
}

}  // namespace coppice
