#include "cli/report/report_folder.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/report/figures.h"
#include "cli/report/page.h"
#include "cli/report/replacement.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

namespace fs = std::filesystem;

bool Exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

absl::Status CheckDestination(const std::string& dir) {
  std::error_code error;
  if (!Exists(dir)) return absl::OkStatus();
  if (!fs::is_directory(dir, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat(dir, " is no folder; choose another one with -o"));
  }
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(dir));
  if (std::all_of(names.begin(), names.end(), Staging::IsName)) return absl::OkStatus();
  const absl::StatusOr<std::string> page = ReadFile(JoinPath(dir, "index.html"));
  if (page.ok() && absl::StrContains(page->substr(0, 1'000), kGenerator)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(dir, " holds other files than a report; choose an empty or new folder with -o"));
}

absl::Status MakeFolder(const std::string& path) {
  // Unlike MakeDirectories, with every permission that the umask allows.
  if (::mkdir(path.c_str(), 0777) == 0) return absl::OkStatus();
  return ErrnoToStatus(errno, absl::StrCat("cannot make folder ", path));
}

// mkdir -p; returns the folders that it created, the outermost first.
absl::StatusOr<std::vector<std::string>> MakeParents(const fs::path& parent) {
  std::vector<std::string> missing;
  for (fs::path path = parent; !Exists(path.string()); path = path.parent_path())
    missing.insert(missing.begin(), path.string());
  COPPICE_RETURN_IF_ERROR(MakeDirectories(parent.string()));
  return missing;
}

// Returns whether an earlier report may have left the file in figures/; no other program uses these
// names.
bool IsFigureFile(const std::string& folder, const std::string& name) {
  const fs::path path(name);
  const std::string type = path.extension().string();
  const bool known = type == ".svg" || type == ".pdf" || type == ".csv" || type == ".gp";
  std::error_code ignored;
  return known && IsFigureName(path.stem().string()) &&
         fs::is_regular_file(fs::symlink_status(JoinPath(folder, name), ignored));
}

}  // namespace

absl::StatusOr<ReportFolder> ReportFolder::Prepare(const std::string& destination) {
  std::error_code error;
  std::string absolute = fs::weakly_canonical(fs::absolute(destination, error), error).string();
  if (error) return ErrnoToStatus(error.value(), absl::StrCat("cannot use ", destination));
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  COPPICE_RETURN_IF_ERROR(CheckDestination(absolute));
  const std::string parent = fs::path(absolute).parent_path().string();
  const std::string home = Exists(absolute) ? absolute : parent;
  COPPICE_ASSIGN_OR_RETURN(std::vector<std::string> made, MakeParents(home));
  // Both places are swept: a killed run may have begun before the destination existed.
  Staging::Sweep(parent);
  Staging::Sweep(absolute);
  COPPICE_ASSIGN_OR_RETURN(Staging staging, Staging::Make(home));
  ReportFolder folder(absolute, std::move(made), std::move(staging));
  COPPICE_RETURN_IF_ERROR(MakeFolder(folder.path_));
  COPPICE_RETURN_IF_ERROR(MakeFolder(JoinPath(folder.path_, "figures")));
  return folder;
}

ReportFolder::ReportFolder(std::string destination, std::vector<std::string> made, Staging staging)
    : destination_(std::move(destination)),
      made_(std::move(made)),
      staging_(std::move(staging)),
      path_(JoinPath(staging_.path(), "report")) {}

ReportFolder::~ReportFolder() {
  { const Staging gone = std::move(staging_); }
  // A folder that now holds something else stays.
  for (auto path = made_.rbegin(); path != made_.rend(); ++path) ::rmdir(path->c_str());
}

absl::Status ReportFolder::Publish() {
  if (Exists(destination_)) {
    // The destination may have appeared since Prepare.
    COPPICE_RETURN_IF_ERROR(CheckDestination(destination_));
    return MoveIntoDestination();
  }
  if (::rename(path_.c_str(), destination_.c_str()) != 0)
    return ErrnoToStatus(errno, absl::StrCat("cannot move ", path_, " to ", destination_));
  return SyncDirectory(fs::path(destination_).parent_path().string());
}

absl::Status ReportFolder::MoveIntoDestination() {
  const std::string old = JoinPath(staging_.path(), "old");
  COPPICE_RETURN_IF_ERROR(MakeFolder(old));
  Replacement replacement(old);
  const std::string page = JoinPath(destination_, "index.html");
  if (!Exists(page)) {
    // The stub lets the next run recognize the folder if this one is killed here.
    const std::string stub = JoinPath(staging_.path(), "index.html");
    COPPICE_RETURN_IF_ERROR(WriteFileAtomically(
        stub, absl::StrCat(kGenerator, "This report is not complete; write it again.\n")));
    COPPICE_RETURN_IF_ERROR(replacement.Move(stub, page));
  }
  const std::string from = JoinPath(path_, "figures");
  const std::string to = JoinPath(destination_, "figures");
  COPPICE_RETURN_IF_ERROR(replacement.MakeFolder(to));
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(from));
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> there, ListDirectory(to));
  for (const std::string& name : names)
    COPPICE_RETURN_IF_ERROR(replacement.Move(JoinPath(from, name), JoinPath(to, name)));
  for (const std::string& name : there) {
    const bool stale =
        !std::binary_search(names.begin(), names.end(), name) && IsFigureFile(to, name);
    if (stale) COPPICE_RETURN_IF_ERROR(replacement.Remove(JoinPath(to, name)));
  }
  for (const char* name : {"summary.csv", "jobs.csv", "index.html"}) {
    COPPICE_RETURN_IF_ERROR(replacement.Move(JoinPath(path_, name), JoinPath(destination_, name)));
  }
  COPPICE_RETURN_IF_ERROR(SyncDirectory(to));
  COPPICE_RETURN_IF_ERROR(SyncDirectory(destination_));
  replacement.Keep();
  return absl::OkStatus();
}

}  // namespace coppice::cli
