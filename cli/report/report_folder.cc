#include "cli/report/report_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/report/figures.h"
#include "cli/report/page.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

namespace fs = std::filesystem;

absl::Status CheckDestination(const std::string& dir) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(dir, error))) return absl::OkStatus();
  if (!fs::is_directory(dir, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat(dir, " is no folder; choose another one with -o"));
  }
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(dir));
  if (names.empty()) return absl::OkStatus();
  const absl::StatusOr<std::string> page = ReadFile(JoinPath(dir, "index.html"));
  if (page.ok() && absl::StrContains(page->substr(0, 1'000), kGenerator)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(dir, " holds other files than a report; choose an empty or new folder with -o"));
}

absl::Status Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return ErrnoToStatus(errno, absl::StrCat("cannot move ", from, " to ", to));
}

}  // namespace

absl::StatusOr<ReportFolder> ReportFolder::Prepare(const std::string& destination) {
  std::error_code error;
  std::string absolute = fs::weakly_canonical(fs::absolute(destination, error), error).string();
  if (error) return ErrnoToStatus(error.value(), absl::StrCat("cannot use ", destination));
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  COPPICE_RETURN_IF_ERROR(CheckDestination(absolute));
  const fs::path whole(absolute);
  COPPICE_RETURN_IF_ERROR(MakeDirectories(whole.parent_path().string()));
  std::string pattern = JoinPath(whole.parent_path().string(),
                                 absl::StrCat(".", whole.filename().string(), ".XXXXXX"));
  if (::mkdtemp(pattern.data()) == nullptr)
    return ErrnoToStatus(errno, absl::StrCat("cannot make ", pattern));
  ReportFolder folder(absolute, pattern);
  // As any other folder, not as mkdtemp's private one.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::chmod(pattern.c_str(), 0777 & ~mask);
  COPPICE_RETURN_IF_ERROR(MakeDirectories(JoinPath(pattern, "figures")));
  return folder;
}

ReportFolder::ReportFolder(ReportFolder&& other) noexcept
    : destination_(std::move(other.destination_)), path_(std::exchange(other.path_, "")) {}

ReportFolder::~ReportFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

absl::Status ReportFolder::Publish() {
  // A rename replaces an empty folder, and nothing else.
  if (::rename(path_.c_str(), destination_.c_str()) == 0) {
    path_.clear();
    return SyncDirectory(fs::path(destination_).parent_path().string());
  }
  COPPICE_RETURN_IF_ERROR(MakeDirectories(JoinPath(destination_, "figures")));
  COPPICE_RETURN_IF_ERROR(MoveFiles("figures"));
  COPPICE_RETURN_IF_ERROR(MoveFiles(""));
  return SyncDirectory(destination_);
}

absl::Status ReportFolder::MoveFiles(const std::string& folder) {
  const std::string from = folder.empty() ? path_ : JoinPath(path_, folder);
  const std::string to = folder.empty() ? destination_ : JoinPath(destination_, folder);
  COPPICE_ASSIGN_OR_RETURN(std::vector<std::string> names, ListDirectory(from));
  // The page names the others, so it comes last.
  std::stable_partition(names.begin(), names.end(),
                        [](const std::string& name) { return name != "index.html"; });
  if (folder == "figures") {
    COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> old, ListDirectory(to));
    for (const std::string& name : old) {
      const bool stale = IsFigureName(fs::path(name).stem().string()) &&
                         std::find(names.begin(), names.end(), name) == names.end();
      if (stale) COPPICE_RETURN_IF_ERROR(RemoveFile(JoinPath(to, name)));
    }
  }
  for (const std::string& name : names) {
    if (name == "figures") continue;
    COPPICE_RETURN_IF_ERROR(Rename(JoinPath(from, name), JoinPath(to, name)));
  }
  return absl::OkStatus();
}

}  // namespace coppice::cli
