#include "worker/daemon/state_folder.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/file_names.h"
#include "common/base/ids.h"
#include "common/base/logging.h"
#include "common/base/own_folder.h"
#include "common/base/status_macros.h"
#include "common/base/user_folders.h"
#include "worker/daemon/scratch.h"

namespace coppice::worker {
namespace {

constexpr size_t kKeptFiles = 500;  // logs and run specs of earlier packs

OwnFolderKind Kind() {
  OwnFolderKind kind;
  kind.mark = ".coppice-worker";
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

std::vector<std::string> WidthNames() { return {"%.json"}; }

absl::StatusOr<std::shared_ptr<const Directory>> MakeFolder(const Directory& root,
                                                            const std::string& name) {
  COPPICE_ASSIGN_OR_RETURN(Directory folder, root.MakeFolder(name));
  return std::make_shared<const Directory>(std::move(folder));
}

}  // namespace

absl::StatusOr<StateFolder> OpenStateFolder(const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(Directory root, ClaimFolder(path, Kind()));
  absl::StatusOr<FileLock> lock = FileLock::Acquire(JoinPath(path, "lock"));
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("another worker uses ", path,
                     "; give each worker of a machine a folder of its own with --state-dir DIR"));
  }
  COPPICE_RETURN_IF_ERROR(lock.status());
  StateFolder state{path, *std::move(lock), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
  COPPICE_ASSIGN_OR_RETURN(state.spool, MakeFolder(root, "spool"));
  COPPICE_ASSIGN_OR_RETURN(state.runs, MakeFolder(root, "runs"));
  COPPICE_ASSIGN_OR_RETURN(state.logs, MakeFolder(root, "logs"));
  COPPICE_ASSIGN_OR_RETURN(state.scratch, MakeFolder(root, "scratch"));
  COPPICE_ASSIGN_OR_RETURN(state.widths, MakeFolder(root, "widths"));
  state.root = std::make_shared<const Directory>(std::move(root));
  return state;
}

void RemoveOldFiles(const StateFolder& state) {
  KeepNewest(*state.runs, SpecNames(), kKeptFiles);
  KeepNewest(*state.logs, LogNames(), kKeptFiles);
  KeepNewest(*state.widths, WidthNames(), kKeptFiles);
  KeepNewest(*state.root, {"name-suffix"}, 1);
}

bool IsSpoolFileName(absl::string_view name) { return NameFits(name, "#-#.spool"); }

absl::StatusOr<std::string> DefaultStateFolder() {
  COPPICE_ASSIGN_OR_RETURN(const std::string home, StateHome());
  return JoinPath(home, absl::StrCat("worker-", HostName()));
}

}  // namespace coppice::worker
