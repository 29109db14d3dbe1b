#include "coordinator/core/checkpoint_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/base/file_names.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice::core {
namespace {

// Of a program's work folder: the rest is found when these are gone.
constexpr int kMaxWorkDepth = 40;
constexpr size_t kMaxFound = 100'000;
constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

std::pair<std::string, std::string> Split(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

FoundFile Describe(std::string path, const struct stat& info) {
  return {std::move(path), absl::TimeFromTimespec(info.st_mtim),
          static_cast<uint64_t>(info.st_size)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointTree>> CheckpointTree::Open(const std::string& root,
                                                                     const std::string& store_id) {
  // Another filesystem, or none, may be mounted there by now.
  COPPICE_ASSIGN_OR_RETURN(const std::string owner, ReadFile(JoinPath(root, ".coppice-store")));
  if (absl::StripAsciiWhitespace(owner) != store_id) {
    return absl::FailedPreconditionError(
        absl::StrCat("the checkpoint folder ", root, " is not this store's any more"));
  }
  return OpenAnyStores(root);
}

absl::StatusOr<std::unique_ptr<CheckpointTree>> CheckpointTree::OpenAnyStores(
    const std::string& root) {
  const int fd = ::open(root.c_str(), kFolder);
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot open ", root));
  return std::unique_ptr<CheckpointTree>(new CheckpointTree(fd));
}

CheckpointTree::~CheckpointTree() { ::close(root_); }

absl::StatusOr<int> CheckpointTree::OpenFolder(const std::string& path) const {
  int fd = ::openat(root_, ".", kFolder);
  if (fd >= 0 && !path.empty()) {
    for (const absl::string_view part : absl::StrSplit(path, '/')) {
      const int next = ::openat(fd, std::string(part).c_str(), kFolder | O_NOFOLLOW);
      const int error = errno;
      ::close(fd);
      fd = next;
      errno = error;
      if (fd < 0) break;
    }
  }
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot open folder ", path));
  return fd;
}

absl::StatusOr<std::vector<std::string>> CheckpointTree::Names(const std::string& path,
                                                               bool hidden) const {
  COPPICE_ASSIGN_OR_RETURN(const int fd, OpenFolder(path));
  DIR* const folder = ::fdopendir(fd);
  if (folder == nullptr) {
    const int error = errno;
    ::close(fd);
    return ErrnoToStatus(error, absl::StrCat("cannot list ", path));
  }
  const absl::Cleanup close = [folder] { ::closedir(folder); };
  std::vector<std::string> names;
  for (errno = 0; const dirent* entry = ::readdir(folder); errno = 0) {
    const absl::string_view name = entry->d_name;
    if (name == "." || name == ".." || (name[0] == '.' && !hidden)) continue;
    names.emplace_back(name);
  }
  // A partial listing would do no harm, but it would look complete.
  if (errno != 0) return ErrnoToStatus(errno, absl::StrCat("cannot list ", path));
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::vector<std::string>> CheckpointTree::Sweeps() const {
  COPPICE_ASSIGN_OR_RETURN(std::vector<std::string> names, Names(""));
  const auto is_no_folder = [this](const std::string& name) {
    struct stat info;
    return ::fstatat(root_, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
           !S_ISDIR(info.st_mode);
  };
  names.erase(std::remove_if(names.begin(), names.end(), is_no_folder), names.end());
  return names;
}

absl::StatusOr<std::vector<JobId>> CheckpointTree::Jobs(const std::string& sweep) const {
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(sweep));
  std::vector<JobId> jobs;
  for (const std::string& name : names) {
    if (const auto job = ParseJobFolder(name); job.has_value()) jobs.push_back(*job);
  }
  std::sort(jobs.begin(), jobs.end());
  return jobs;
}

absl::StatusOr<FoundJob> CheckpointTree::Find(const std::string& sweep, JobId job) const {
  FoundJob found{sweep, job, {}, {}};
  const std::string base = absl::StrCat(sweep, "/", job);
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> attempts, Names(base));
  for (const std::string& attempt : attempts) {
    if (!ParseAttemptFolder(attempt).has_value()) continue;
    const std::string path = absl::StrCat(base, "/", attempt);
    const absl::StatusOr<int> fd = OpenFolder(path);
    if (!fd.ok()) continue;  // not a folder, a link, or already gone
    const absl::Cleanup close = [&fd] { ::close(*fd); };
    struct stat info;
    if (::fstat(*fd, &info) != 0) continue;
    const FoundFile folder = Describe(path, info);
    COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(path));
    for (const std::string& name : names) {
      if (::fstatat(*fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
      // Other files may belong to anyone.
      if (S_ISREG(info.st_mode) && IsCheckpointFileName(name)) {
        found.files.push_back(Describe(absl::StrCat(path, "/", name), info));
      } else if (S_ISDIR(info.st_mode) && name == kProgramWorkFolder) {
        COPPICE_RETURN_IF_ERROR(FindWork(absl::StrCat(path, "/", name), kMaxWorkDepth, &found));
      }
    }
    found.folders.push_back(folder);
  }
  return found;
}

absl::Status CheckpointTree::FindWork(const std::string& path, int depth, FoundJob* found) const {
  const absl::StatusOr<int> fd = OpenFolder(path);
  if (!fd.ok() || depth == 0) return absl::OkStatus();
  const absl::Cleanup close = [&fd] { ::close(*fd); };
  struct stat info;
  if (::fstat(*fd, &info) != 0) return absl::OkStatus();
  const FoundFile folder = Describe(path, info);
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(path, /*hidden=*/true));
  for (const std::string& name : names) {
    if (found->files.size() >= kMaxFound) return absl::OkStatus();
    const std::string inner = absl::StrCat(path, "/", name);
    if (::fstatat(*fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISREG(info.st_mode)) {
      found->files.push_back(Describe(inner, info));
    } else if (S_ISDIR(info.st_mode)) {
      COPPICE_RETURN_IF_ERROR(FindWork(inner, depth - 1, found));
    }
  }
  found->folders.push_back(folder);
  return absl::OkStatus();
}

absl::Status CheckpointTree::RemoveFile(const std::string& path) const {
  const auto [folder, name] = Split(path);
  COPPICE_ASSIGN_OR_RETURN(const int fd, OpenFolder(folder));
  const absl::Cleanup close = [fd = fd] { ::close(fd); };
  struct stat info;
  if (::fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a regular file, so it stays"));
  }
  if (::unlinkat(fd, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoToStatus(errno, absl::StrCat("cannot remove ", path));
}

absl::StatusOr<bool> CheckpointTree::RemoveIfEmpty(const std::string& path) const {
  const auto [folder, name] = Split(path);
  COPPICE_ASSIGN_OR_RETURN(const int fd, OpenFolder(folder));
  const absl::Cleanup close = [fd = fd] { ::close(fd); };
  if (::unlinkat(fd, name.c_str(), AT_REMOVEDIR) == 0) return true;
  if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT) return false;
  return ErrnoToStatus(errno, absl::StrCat("cannot remove folder ", path));
}

}  // namespace coppice::core
