#include "worker/daemon/state_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/file_names.h"
#include "common/base/ids.h"
#include "common/base/logging.h"
#include "common/base/own_folder.h"
#include "common/base/printable.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"
#include "common/base/user_folders.h"
#include "worker/daemon/scratch.h"
#include "worker/daemon/width_cache.h"

namespace coppice::worker {
namespace {

constexpr size_t kKeptFiles = 500;  // logs and run specs of earlier packs
constexpr size_t kMaxHolderBytes = 1024;

OwnFolderKind Kind() {
  OwnFolderKind kind;
  kind.mark = kStateMark;
  kind.what = "a worker's state";
  kind.flag = "--state-dir";
  kind.proof = {"lock", "spool/", "runs/", "logs/", "scratch/"};
  kind.more = {"widths/", "name-suffix"};
  return kind;
}

std::vector<std::string> SpecNames() {
  return {"job-#-attempt-#.json", "job-#-attempt-#-and-#.json", "measure-#.json"};
}

std::vector<std::string> LogNames() { return {"job-#-attempt-#.log", "job-#-attempt-#-and-#.log"}; }

std::vector<std::string> WidthNames() { return {kWidthFileNames}; }

// Locks may not reach across the nodes of a cluster. So the file says which process holds the
// folder, for people.
void NameHolder(const std::string& lock) {
  const auto boot = ReadFile("/proc/sys/kernel/random/boot_id");
  const std::string text =
      absl::StrCat("process ", ::getpid(), " on ", HostName(), ", boot ",
                   boot.ok() ? absl::StripAsciiWhitespace(*boot) : "unknown", "\n");
  const int fd = ::open(lock.c_str(), O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    spdlog::warn("{}", ErrnoToStatus(errno, absl::StrCat("cannot write ", lock)).ToString());
  }
  if (fd >= 0) ::close(fd);
}

// " (process 7 on node-1, boot ...)", or nothing.
std::string HolderOf(const std::string& lock) {
  const auto text = ReadRegularFile(lock, kMaxHolderBytes);
  if (!text.ok() || text->empty()) return "";
  return absl::StrCat(" (", PrintableLine(absl::StripAsciiWhitespace(*text)), ")");
}

absl::StatusOr<std::shared_ptr<const Directory>> MakeFolder(const Directory& root,
                                                            const std::string& name) {
  COPPICE_ASSIGN_OR_RETURN(Directory folder, root.MakeFolder(name));
  return std::make_shared<const Directory>(std::move(folder));
}

absl::StatusOr<StateFolder> OpenOnce(const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(Directory root, ClaimFolder(path, Kind()));
  const std::string lock_file = JoinPath(path, "lock");
  absl::StatusOr<FileLock> lock = FileLock::Acquire(lock_file);
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::UnavailableError(
        absl::StrCat("another worker uses ", path, HolderOf(lock_file),
                     "; give each worker of a machine a folder of its own with --state-dir DIR"));
  }
  COPPICE_RETURN_IF_ERROR(lock.status());
  NameHolder(lock_file);
  StateFolder state{path, *std::move(lock), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
  COPPICE_ASSIGN_OR_RETURN(state.spool, MakeFolder(root, "spool"));
  COPPICE_ASSIGN_OR_RETURN(state.runs, MakeFolder(root, "runs"));
  COPPICE_ASSIGN_OR_RETURN(state.logs, MakeFolder(root, "logs"));
  COPPICE_ASSIGN_OR_RETURN(state.scratch, MakeFolder(root, "scratch"));
  COPPICE_ASSIGN_OR_RETURN(state.widths, MakeFolder(root, "widths"));
  state.root = std::make_shared<const Directory>(std::move(root));
  return state;
}

}  // namespace

absl::StatusOr<StateFolder> OpenStateFolder(const std::string& path) {
  auto state = OpenOnce(path);
  if (!absl::IsNotFound(state.status())) return state;
  // Another worker has removed the folder, as that of an ended allocation, between two steps.
  return OpenOnce(path);
}

void RemoveOldFiles(const StateFolder& state) {
  KeepNewest(*state.runs, SpecNames(), kKeptFiles);
  KeepNewest(*state.logs, LogNames(), kKeptFiles);
  KeepNewest(*state.widths, WidthNames(), kKeptFiles);
  KeepNewest(*state.root, {"name-suffix"}, 1);
}

absl::Status CheckStateMark(const Directory& folder) { return CheckFolderMark(folder, Kind()); }

bool IsStateEntry(const Directory::Entry& entry) {
  const OwnFolderKind kind = Kind();
  const std::string name = entry.is_folder() ? entry.name + "/" : entry.name;
  if (!entry.is_folder() && !entry.is_file()) return false;
  return absl::c_linear_search(kind.proof, name) || absl::c_linear_search(kind.more, name) ||
         NameFitsOrIsUnfinished(name, "name-suffix") || NameFitsOrIsUnfinished(name, kind.mark);
}

bool IsStateFile(absl::string_view folder, const Directory::Entry& file) {
  const std::vector<std::string> patterns = folder == "runs"     ? SpecNames()
                                            : folder == "logs"   ? LogNames()
                                            : folder == "widths" ? WidthNames()
                                                                 : std::vector<std::string>();
  return file.is_file() && absl::c_any_of(patterns, [&](const std::string& pattern) {
           return NameFitsOrIsUnfinished(file.name, pattern);
         });
}

bool IsSpoolFileName(absl::string_view name) { return NameFits(name, "#-#.spool"); }

absl::StatusOr<std::string> DefaultStateFolder() {
  COPPICE_ASSIGN_OR_RETURN(const std::string home, StateHome());
  return JoinPath(home, absl::StrCat("worker-", HostName()));
}

}  // namespace coppice::worker
