#ifndef COPPICE_CLI_REPORT_REPORT_FOLDER_H_
#define COPPICE_CLI_REPORT_REPORT_FOLDER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/report/staging.h"

namespace coppice::cli {

// A report in the making, in a hidden folder. That folder is inside the destination if the
// destination exists, since it may be a mount point, the working folder, or in a folder that the
// user may not write; otherwise beside it. Until Publish, the destination is unchanged. Not
// thread-safe.
//   1. Prepare.
//   2. Files are written under path().
//   3. Publish.
class ReportFolder {
 public:
  // Also removes the folders of killed runs. FAILED_PRECONDITION if `destination` is no folder, or
  // holds files but no report.
  static absl::StatusOr<ReportFolder> Prepare(const std::string& destination);
  ReportFolder(ReportFolder&& other) noexcept = default;
  ReportFolder& operator=(ReportFolder&&) = delete;
  ~ReportFolder();

  const std::string& path() const { return path_; }
  const std::string& destination() const { return destination_; }
  // A new destination appears at once, as a whole folder. An existing one stays in place and gets
  // its files one by one, the page last. Figures that the report no longer has are removed.
  absl::Status Publish();

 private:
  ReportFolder(std::string destination, std::vector<std::string> made, Staging staging);
  absl::Status MoveIntoDestination();

  std::string destination_;
  std::vector<std::string> made_;  // parents of the destination, the outermost first
  Staging staging_;
  std::string path_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_REPORT_FOLDER_H_
