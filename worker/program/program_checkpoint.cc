#include "worker/program/program_checkpoint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/base/digest.h"
#include "common/base/directory.h"
#include "common/base/file_names.h"
#include "common/base/files.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "worker/program/archive.h"

namespace coppice::worker {
namespace {

constexpr char kArchiveSuffix[] = ".tar";
constexpr char kFileSuffix[] = ".file";
constexpr size_t kMaxSuffix = 16;

absl::Status NoCheckpoint(const std::string& path, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("the checkpoint ", PrintableLine(path), " ", why));
}

// The suffix of a name with its point, as far as a checkpoint's name may have it.
std::string SuffixOf(absl::string_view name) {
  const size_t point = name.rfind('.');
  if (point == absl::string_view::npos || point == 0) return "";
  const absl::string_view suffix = name.substr(point);
  if (suffix.size() < 2 || suffix.size() > kMaxSuffix + 1) return "";
  const bool plain =
      std::all_of(suffix.begin() + 1, suffix.end(), [](char c) { return absl::ascii_isalnum(c); });
  return plain ? std::string(suffix) : "";
}

std::string StepName(uint32_t step, absl::string_view suffix) {
  return absl::StrFormat("step-%09d%s", step, suffix);
}

// Something in the program's own folder is the program's fault, not the disk's.
absl::Status Blame(const absl::Status& status, const std::string& path) {
  if (absl::IsNotFound(status)) return NoCheckpoint(path, "is not there");
  if (absl::IsFailedPrecondition(status)) return absl::InvalidArgumentError(status.message());
  return status;
}

struct Place {
  Directory parent;
  std::string name;
};
absl::StatusOr<Place> FindPlace(const Directory& attempt, const std::string& path) {
  absl::StatusOr<Directory> folder = attempt.OpenFolder(kProgramWorkFolder);
  std::vector<std::string> parts = absl::StrSplit(path, '/');
  std::string name = std::move(parts.back());
  parts.pop_back();
  for (const std::string& part : parts) {
    if (!folder.ok()) break;
    folder = folder->OpenFolder(part);
  }
  if (!folder.ok()) return Blame(folder.status(), path);
  return Place{*std::move(folder), std::move(name)};
}

absl::StatusOr<TakenCheckpoint> TakeFile(const Directory& attempt, const Place& place,
                                         const std::string& path, uint32_t step) {
  const int fd = ::openat(place.parent.fd(), place.name.c_str(),
                          O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot open the checkpoint ", path));
  const absl::Cleanup close = [fd] { ::close(fd); };
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return NoCheckpoint(path, "is no file");
  if (info.st_size == 0) return NoCheckpoint(path, "is empty");
  if (::fsync(fd) != 0) return ErrnoToStatus(errno, absl::StrCat("cannot fsync ", path));
  TakenCheckpoint taken;
  taken.file = StepName(step, kFileSuffix + SuffixOf(place.name));
  taken.bytes = static_cast<uint64_t>(info.st_size);
  if (::renameat(place.parent.fd(), place.name.c_str(), attempt.fd(), taken.file.c_str()) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("cannot take the checkpoint ", path));
  }
  COPPICE_RETURN_IF_ERROR(SyncDirectory(attempt.path()));
  COPPICE_ASSIGN_OR_RETURN(taken.digest, DigestOfFile(JoinPath(attempt.path(), taken.file)));
  return taken;
}

absl::StatusOr<TakenCheckpoint> TakeFolder(const Directory& attempt, const Place& place,
                                           const std::string& path, uint32_t step) {
  const absl::StatusOr<Directory> folder = place.parent.OpenFolder(place.name);
  if (!folder.ok()) return Blame(folder.status(), path);
  TakenCheckpoint taken;
  taken.file = StepName(step, kArchiveSuffix);
  absl::StatusOr<Archived> archived = WriteArchive(*folder, JoinPath(attempt.path(), taken.file));
  if (absl::IsInvalidArgument(archived.status())) {
    return NoCheckpoint(path, absl::StrCat("cannot be saved: ", archived.status().message()));
  }
  COPPICE_RETURN_IF_ERROR(archived.status());
  taken.digest = std::move(archived->digest);
  taken.bytes = archived->bytes;
  COPPICE_RETURN_IF_ERROR(place.parent.RemoveTree(place.name));
  return taken;
}

}  // namespace

absl::StatusOr<std::string> MakeWorkFolder(const std::string& attempt_dir) {
  COPPICE_RETURN_IF_ERROR(MakeDirectories(attempt_dir));
  std::string work = JoinPath(attempt_dir, kProgramWorkFolder);
  COPPICE_RETURN_IF_ERROR(MakeDirectories(work));
  return work;
}

absl::StatusOr<TakenCheckpoint> TakeCheckpoint(const std::string& attempt_dir,
                                               const std::string& path, uint32_t step) {
  if (!IsSafeRelativePath(path)) return NoCheckpoint(path, "is not below its checkpoint_dir");
  COPPICE_ASSIGN_OR_RETURN(const Directory attempt, Directory::Open(attempt_dir));
  COPPICE_ASSIGN_OR_RETURN(const Place place, FindPlace(attempt, path));
  const absl::StatusOr<Directory::Entry> entry = place.parent.Find(place.name);
  if (!entry.ok()) return Blame(entry.status(), path);
  if (entry->is_file()) return TakeFile(attempt, place, path, step);
  if (entry->is_folder()) return TakeFolder(attempt, place, path, step);
  if (S_ISLNK(entry->info.st_mode)) {
    return NoCheckpoint(path, "is a symbolic link; name the file or folder itself");
  }
  return NoCheckpoint(path, "is neither a file nor a folder");
}

absl::StatusOr<std::string> UnpackCheckpoint(const std::string& file,
                                             const std::string& attempt_dir, uint32_t step) {
  if (!IsCheckpointArchiveName(absl::string_view(file).substr(file.rfind('/') + 1))) return file;
  COPPICE_ASSIGN_OR_RETURN(const std::string work, MakeWorkFolder(attempt_dir));
  COPPICE_ASSIGN_OR_RETURN(const Directory folder, Directory::Open(work));
  const std::string name = absl::StrFormat("resume-step-%09d", step);
  COPPICE_RETURN_IF_ERROR(folder.RemoveTree(name));
  COPPICE_ASSIGN_OR_RETURN(const Directory into, folder.MakeFolder(name));
  COPPICE_RETURN_IF_ERROR(ReadArchive(file, into));
  return into.path();
}

absl::Status RemoveWorkFolder(const std::string& attempt_dir) {
  const absl::StatusOr<Directory> attempt = Directory::Open(attempt_dir);
  if (absl::IsNotFound(attempt.status())) return absl::OkStatus();
  COPPICE_RETURN_IF_ERROR(attempt.status());
  return attempt->RemoveTree(kProgramWorkFolder);
}

}  // namespace coppice::worker
