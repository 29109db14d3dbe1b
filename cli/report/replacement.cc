#include "cli/report/replacement.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice::cli {

namespace fs = std::filesystem;

Replacement::~Replacement() {
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    if (step->folder)
      ::rmdir(step->path.c_str());
    else if (step->copy.empty())
      ::unlink(step->path.c_str());
    else
      ::rename(step->copy.c_str(), step->path.c_str());
  }
}

absl::Status Replacement::MakeFolder(const std::string& path) {
  std::error_code ignored;
  // A link would lead to files that no report wrote.
  const fs::file_status status = fs::symlink_status(path, ignored);
  if (fs::is_directory(status)) return absl::OkStatus();
  if (fs::exists(status))
    return absl::FailedPreconditionError(absl::StrCat(path, " is no folder; move it away"));
  if (::mkdir(path.c_str(), 0777) != 0)
    return ErrnoToStatus(errno, absl::StrCat("cannot make folder ", path));
  steps_.push_back({path, "", true});
  return absl::OkStatus();
}

absl::Status Replacement::Move(const std::string& from, const std::string& to) {
  COPPICE_ASSIGN_OR_RETURN(const std::string copy, Copy(to));
  if (::rename(from.c_str(), to.c_str()) != 0)
    return ErrnoToStatus(errno, absl::StrCat("cannot move ", from, " to ", to));
  steps_.push_back({to, copy});
  return absl::OkStatus();
}

absl::Status Replacement::Remove(const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(const std::string copy, Copy(path));
  COPPICE_RETURN_IF_ERROR(RemoveFile(path));
  if (!copy.empty()) steps_.push_back({path, copy});
  return absl::OkStatus();
}

absl::StatusOr<std::string> Replacement::Copy(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (!fs::exists(status)) return "";
  if (fs::is_directory(status))
    return absl::FailedPreconditionError(absl::StrCat(path, " is a folder; move it away"));
  const std::string copy = JoinPath(backup_, absl::StrCat(copies_++));
  // A link also keeps times and owner, if the file system supports it.
  fs::create_hard_link(path, copy, error);
  if (error) fs::copy(path, copy, fs::copy_options::copy_symlinks, error);
  if (error) return ErrnoToStatus(error.value(), absl::StrCat("cannot keep a copy of ", path));
  return copy;
}

}  // namespace coppice::cli
