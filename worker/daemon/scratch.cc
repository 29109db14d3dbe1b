#include "worker/daemon/scratch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/file_names.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/own_folder.h"
#include "common/base/status_macros.h"

namespace coppice::worker {
namespace {

// <sweep>/<job>/attempt-<attempt>: the greatest depth of an attempt's folder.
constexpr int kDepth = 3;

struct Sweep {
  bool dry = false;  // removes nothing
  std::vector<std::string> removed;
  std::vector<std::string> left;
  absl::Status failure;  // the first
  void Note(const absl::Status& status) { failure.Update(status); }
};

// Removes the checkpoints in `folder`, the folder of an attempt, which is at `relative`, and the
// folder in which a program saved.
void EmptyAttempt(const Directory& folder, const std::string& relative, Sweep* sweep) {
  const auto entries = folder.List();
  if (!entries.ok()) return sweep->Note(entries.status());
  for (const Directory::Entry& entry : *entries) {
    const std::string path = JoinPath(relative, entry.name);
    if (entry.is_folder() && entry.name == kProgramWorkFolder) {
      if (!sweep->dry) sweep->Note(folder.RemoveTree(entry.name));
      continue;
    }
    if (!entry.is_file() || !IsCheckpointFileName(entry.name)) {
      sweep->left.push_back(path);
      continue;
    }
    const absl::Status removed = sweep->dry ? absl::OkStatus() : folder.RemoveFile(entry.name);
    removed.ok() ? sweep->removed.push_back(path) : sweep->Note(removed);
  }
}

// Walks from `folder`, which is at `relative`, down to the attempts' folders. The folder of a job
// or a sweep is removed once it is empty.
void SweepFolder(const Directory& folder, const std::string& relative, int depth,
                 const std::set<std::string>& keep, Sweep* sweep) {
  const auto entries = folder.List();
  if (!entries.ok()) return sweep->Note(entries.status());
  for (const Directory::Entry& entry : *entries) {
    const std::string path = JoinPath(relative, entry.name);
    if (keep.contains(path)) continue;
    absl::StatusOr<Directory> inner = absl::NotFoundError("no folder");
    if (entry.is_folder() && depth > 0) inner = folder.OpenFolder(entry.name);
    if (!inner.ok()) {
      sweep->left.push_back(path);
      continue;
    }
    if (IsAttemptFolderName(entry.name)) {
      EmptyAttempt(*inner, path, sweep);
    } else {
      SweepFolder(*inner, path, depth - 1, keep, sweep);
    }
    if (!sweep->dry) sweep->Note(folder.RemoveFolderIfEmpty(entry.name).status());
  }
}

std::pair<std::string, std::string> Split(absl::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return {"", std::string(path)};
  return {std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

absl::StatusOr<Directory> OpenBelow(const Directory& folder, const std::string& relative) {
  return relative.empty() ? folder.OpenFolder(".") : folder.Walk(relative);
}

}  // namespace

absl::Status RemoveScratch(const Directory& scratch, absl::string_view relative) {
  const auto [folder, name] = Split(relative);
  const absl::StatusOr<Directory> parent = OpenBelow(scratch, folder);
  if (absl::IsNotFound(parent.status())) return absl::OkStatus();
  COPPICE_RETURN_IF_ERROR(parent.status());
  const absl::StatusOr<Directory> attempt = parent->Walk(name);
  if (absl::IsNotFound(attempt.status())) return absl::OkStatus();
  COPPICE_RETURN_IF_ERROR(attempt.status());
  Sweep sweep;
  EmptyAttempt(*attempt, std::string(relative), &sweep);
  COPPICE_RETURN_IF_ERROR(sweep.failure);
  return parent->RemoveFolderIfEmpty(name).status();
}

absl::Status RemoveScratchFile(const Directory& scratch, absl::string_view relative) {
  const auto [folder, name] = Split(relative);
  const absl::StatusOr<Directory> attempt = OpenBelow(scratch, folder);
  if (absl::IsNotFound(attempt.status()) || !IsCheckpointFileName(name)) return absl::OkStatus();
  COPPICE_RETURN_IF_ERROR(attempt.status());
  return attempt->RemoveFile(name);
}

absl::Status CleanScratch(const Directory& scratch, const std::set<std::string>& keep) {
  Sweep sweep;
  SweepFolder(scratch, "", kDepth, keep, &sweep);
  if (!sweep.removed.empty()) {
    spdlog::info("removed {} checkpoints that were on their way in {}: {}", sweep.removed.size(),
                 scratch.path(), SomeNames(sweep.removed));
  }
  if (!sweep.left.empty()) {
    spdlog::info("left in {} what no worker has put there: {}", scratch.path(),
                 SomeNames(sweep.left));
  }
  return sweep.failure;
}

absl::StatusOr<bool> HoldsOnlyCheckpoints(const Directory& scratch) {
  Sweep sweep;
  sweep.dry = true;
  SweepFolder(scratch, "", kDepth, {}, &sweep);
  COPPICE_RETURN_IF_ERROR(sweep.failure);
  return sweep.left.empty();
}

absl::Status EmptyScratch(const Directory& scratch) {
  Sweep sweep;
  SweepFolder(scratch, "", kDepth, {}, &sweep);
  return sweep.failure;
}

void KeepNewest(const Directory& folder, const std::vector<std::string>& patterns, size_t keep,
                absl::Time abandoned) {
  const auto entries = folder.List();
  if (!entries.ok()) {
    spdlog::warn("{}", std::string(entries.status().message()));
    return;
  }
  const auto fits = [&](const std::string& name, auto matches) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern) { return matches(name, pattern); });
  };
  std::vector<Directory::Entry> whole;
  std::vector<std::string> doomed;
  for (const Directory::Entry& entry : *entries) {
    if (!entry.is_file()) continue;
    if (fits(entry.name, NameFits)) {
      whole.push_back(entry);
    } else if (fits(entry.name, NameFitsOrIsUnfinished) &&
               absl::TimeFromTimespec(entry.info.st_mtim) < abandoned) {
      doomed.push_back(entry.name);
    }
  }
  std::sort(whole.begin(), whole.end(), [](const Directory::Entry& a, const Directory::Entry& b) {
    return std::pair(a.info.st_mtim.tv_sec, a.info.st_mtim.tv_nsec) >
           std::pair(b.info.st_mtim.tv_sec, b.info.st_mtim.tv_nsec);
  });
  for (size_t i = keep; i < whole.size(); ++i) doomed.push_back(whole[i].name);
  std::vector<std::string> removed;
  for (const std::string& name : doomed) {
    const absl::Status status = folder.RemoveFile(name);
    status.ok() ? removed.push_back(name) : spdlog::warn("{}", std::string(status.message()));
  }
  if (removed.empty()) return;
  spdlog::info("removed the oldest {} files of {}: {}", removed.size(), folder.path(),
               SomeNames(removed));
}

}  // namespace coppice::worker
