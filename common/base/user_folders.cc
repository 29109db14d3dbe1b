#include "common/base/user_folders.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice {
namespace {

constexpr mode_t kUserFolderMode = S_IRWXU;

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::StatusOr<std::string> Home() {
  const std::string home = Variable("HOME");
  if (!home.empty() && home.front() == '/') return home;
  struct passwd entry;
  struct passwd* found = nullptr;
  std::vector<char> buffer(1 << 14);
  if (home.empty() &&
      ::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr && found->pw_dir != nullptr && found->pw_dir[0] == '/') {
    return std::string(found->pw_dir);
  }
  return absl::FailedPreconditionError(
      absl::StrCat(home.empty() ? "HOME is not set and the account has no home folder"
                                : "HOME is not an absolute path",
                   "; set HOME, or name the folder by its flag"));
}

absl::StatusOr<std::string> Base(const char* variable, const char* below_home) {
  const std::string base = Variable(variable);
  if (!base.empty()) {
    if (base.front() == '/') return JoinPath(base, "coppice");
    return absl::FailedPreconditionError(absl::StrCat(
        variable, " is '", base, "', which is not an absolute path; correct or unset it"));
  }
  COPPICE_ASSIGN_OR_RETURN(const std::string home, Home());
  return JoinPath(JoinPath(home, below_home), "coppice");
}

}  // namespace

absl::StatusOr<std::string> StateHome() { return Base("XDG_STATE_HOME", ".local/state"); }

absl::StatusOr<std::string> ConfigHome() { return Base("XDG_CONFIG_HOME", ".config"); }

std::string TemporaryFolder() {
  const std::string chosen = Variable("TMPDIR");
  return chosen.empty() ? "/tmp" : chosen;
}

absl::StatusOr<int> OpenUnnamedFile(const std::string& folder) {
  int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd >= 0) return fd;
  // Not every filesystem supports O_TMPFILE.
  std::string name = JoinPath(folder, "coppice-XXXXXX");
  fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd >= 0) {
    ::unlink(name.c_str());
    return fd;
  }
  const absl::Status status =
      ErrnoToStatus(errno, absl::StrCat("cannot make a temporary file in ", folder));
  return absl::Status(status.code(),
                      absl::StrCat(status.message(), "; name a folder with room by TMPDIR"));
}

absl::Status MakePrivateDirectories(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("cannot create a folder with an empty name");
  struct stat info;
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return absl::OkStatus();
    return absl::AlreadyExistsError(absl::StrCat(path, " exists and is not a folder"));
  }
  const size_t end = path.find_last_not_of('/');
  const size_t slash = path.rfind('/', end);
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash);
  if (!parent.empty() && parent != ".") COPPICE_RETURN_IF_ERROR(MakePrivateDirectories(parent));
  if (::mkdir(path.c_str(), kUserFolderMode) != 0 && errno != EEXIST) {
    return ErrnoToStatus(errno, absl::StrCat("cannot create folder ", path));
  }
  return SyncDirectory(parent.empty() ? "/" : parent);
}

}  // namespace coppice
