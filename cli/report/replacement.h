#ifndef COPPICE_CLI_REPORT_REPLACEMENT_H_
#define COPPICE_CLI_REPORT_REPLACEMENT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::cli {

// Changes to a folder's files, all of which are taken back unless they are kept. 1. MakeFolder,
// Move, Remove. 2. Keep. At every moment each path has its old or its new file. Not thread-safe.
// FAILED_PRECONDITION: a folder is where a file should be, or the other way round; the codes of
// files.h.
class Replacement {
 public:
  // Copies (or links) of the old files go to `backup`, an empty folder that outlives this.
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
    std::string copy;  // of what was there; empty: nothing was
    bool folder = false;
  };
  // The copy's path; empty when nothing is there.
  absl::StatusOr<std::string> Copy(const std::string& path);

  const std::string backup_;
  std::vector<Step> steps_;
  int copies_ = 0;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_REPLACEMENT_H_
