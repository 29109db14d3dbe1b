#include "worker/daemon/scratch.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace coppice::worker {

namespace fs = std::filesystem;

absl::Status RemoveScratch(const std::string& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  // A superseded checkpoint may be removed at the same time, which the walk takes for an error.
  if (error == std::errc::no_such_file_or_directory) fs::remove_all(folder, error);
  if (!error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot remove ", folder, ": ", error.message()));
}

absl::Status CleanScratch(const std::string& root, const std::set<std::string>& keep) {
  std::error_code error;
  std::vector<fs::path> doomed;
  std::vector<fs::path> folders;  // each before what is in it
  for (auto it = fs::recursive_directory_iterator(root, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it->is_directory()) {
      folders.push_back(it->path());
      continue;
    }
    const std::string relative = it->path().lexically_relative(root).string();
    const bool kept = std::any_of(keep.begin(), keep.end(), [&](const std::string& folder) {
      return absl::StartsWith(relative, folder + "/");
    });
    if (!kept) doomed.push_back(it->path());
  }
  for (size_t i = 0; !error && i < doomed.size(); ++i) fs::remove(doomed[i], error);
  std::error_code not_empty;
  for (auto it = folders.rbegin(); it != folders.rend(); ++it) fs::remove(*it, not_empty);
  if (!error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot clean ", root, ": ", error.message()));
}

void KeepNewest(const std::string& folder, size_t keep) {
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    std::error_code unreadable;
    const fs::file_time_type written = it->last_write_time(unreadable);
    if (!unreadable && it->is_regular_file(unreadable)) files.emplace_back(written, it->path());
  }
  if (files.size() <= keep) return;
  std::sort(files.begin(), files.end());
  for (size_t i = 0; i + keep < files.size(); ++i) fs::remove(files[i].second, error);
}

}  // namespace coppice::worker
