#include "common/base/probe_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/files.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"

namespace coppice {
namespace {

absl::string_view SideName(ProbeSide side) {
  return side == ProbeSide::kCoordinator ? "coordinator" : "node";
}

std::string Content(const std::string& key, ProbeSide side) {
  return absl::StrCat("coppice probe ", key, " ", SideName(side), "\n");
}

}  // namespace

std::string ProbeFilePath(const std::string& folder, const std::string& key, ProbeSide side) {
  return JoinPath(folder, absl::StrCat(".coppice-probe-", key, ".", SideName(side)));
}

absl::Status WriteProbeFile(const std::string& folder, const std::string& key, ProbeSide side) {
  const std::string path = ProbeFilePath(folder, key, side);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoToStatus(errno, path);
  const std::string content = Content(key, side);
  const ssize_t written = ::write(fd, content.data(), content.size());
  absl::Status stored;
  if (written < 0) {
    stored = ErrnoToStatus(errno, path);
  } else if (static_cast<size_t>(written) < content.size()) {
    stored = absl::ResourceExhaustedError(absl::StrCat(path, ": the disk is full"));
  } else if (::fsync(fd) != 0) {  // the other machine sees what has left this one's cache
    stored = ErrnoToStatus(errno, path);
  }
  ::close(fd);
  if (!stored.ok()) ::unlink(path.c_str());
  return stored;
}

absl::Status CheckProbeFile(const std::string& folder, const std::string& key, ProbeSide side) {
  const std::string path = ProbeFilePath(folder, key, side);
  const std::string wanted = Content(key, side);
  COPPICE_ASSIGN_OR_RETURN(RegularFile file, RegularFile::Open(path, O_NOFOLLOW));
  std::string found(wanted.size() + 1, '\0');
  size_t used = 0;
  while (used < found.size()) {
    COPPICE_ASSIGN_OR_RETURN(const size_t got, file.Read(found.data() + used, found.size() - used));
    if (got == 0) break;
    used += got;
  }
  found.resize(used);
  if (found == wanted) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, " has another content than was written"));
}

void RemoveProbeFile(const std::string& folder, const std::string& key, ProbeSide side) {
  if (!CheckProbeFile(folder, key, side).ok()) return;
  ::unlink(ProbeFilePath(folder, key, side).c_str());
}

}  // namespace coppice
