#ifndef COPPICE_CLI_REPORT_REPORT_FOLDER_H_
#define COPPICE_CLI_REPORT_REPORT_FOLDER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::cli {

// A report in the making, in a hidden folder beside its destination, which goes with this object
// unless it was published. 1. Prepare. 2. files are written under path(). 3. Publish.
// Not thread-safe.
class ReportFolder {
 public:
  // FAILED_PRECONDITION when `destination` is not empty and no report.
  static absl::StatusOr<ReportFolder> Prepare(const std::string& destination);
  ReportFolder(ReportFolder&& other) noexcept;
  ReportFolder& operator=(ReportFolder&&) = delete;
  ~ReportFolder();

  const std::string& path() const { return path_; }
  const std::string& destination() const { return destination_; }
  // Where nothing was, the whole folder appears at once; over an earlier report, file by file with
  // the page last, and figures it no longer has are removed.
  absl::Status Publish();

 private:
  ReportFolder(std::string destination, std::string path)
      : destination_(std::move(destination)), path_(std::move(path)) {}
  absl::Status MoveFiles(const std::string& folder);

  std::string destination_;
  std::string path_;  // empty: nothing to remove
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_REPORT_FOLDER_H_
