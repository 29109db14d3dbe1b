#ifndef COPPICE_CLI_REPORT_REPLACEMENT_H_
#define COPPICE_CLI_REPORT_REPLACEMENT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::cli {

// Changes to a folder's files, which are undone unless Keep is called. At every moment each path
// has its old or its new file. Not thread-safe.
//   1. MakeFolder, Move, Remove.
//   2. Keep.
// FAILED_PRECONDITION: a folder is in the place of a file, or a file in the place of a folder.
// Otherwise the codes of files.h.
class Replacement {
 public:
  // Copies (or links) of the old files go to `backup`, an empty folder that outlives this object.
  explicit Replacement(std::string backup) : backup_(std::move(backup)) {}
  ~Replacement();
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  absl::Status MakeFolder(const std::string& path);
  absl::Status Move(const std::string& from, const std::string& to);
  absl::Status Remove(const std::string& path);
  void Keep() { steps_.clear(); }

 private:
  struct Step {
    std::string path;
    std::string copy;  // of the old file; empty: there was none
    bool folder = false;
  };
  // Returns the copy's path; empty if there is no file.
  absl::StatusOr<std::string> Copy(const std::string& path);

  const std::string backup_;
  std::vector<Step> steps_;
  int copies_ = 0;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_REPLACEMENT_H_
