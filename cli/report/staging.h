#ifndef COPPICE_CLI_REPORT_STAGING_H_
#define COPPICE_CLI_REPORT_STAGING_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/files.h"

namespace coppice::cli {

// A hidden folder of files in the making, .coppice-report-<16 hex digits>, which goes with this
// object. Its lock file is held as long as it lives, so that a later Sweep tells what a killed
// process left from what a running one works in. Not thread-safe.
class Staging {
 public:
  // The codes of files.h.
  static absl::StatusOr<Staging> Make(const std::string& parent);
  Staging(Staging&& other) noexcept;
  Staging& operator=(Staging&&) = delete;
  ~Staging();

  const std::string& path() const { return path_; }

  // Whether a folder of this name is one of these.
  static bool IsName(const std::string& name);
  // Removes those of this user in `parent` that no process holds. What it cannot remove stays.
  static void Sweep(const std::string& parent);

 private:
  Staging(std::string path, std::optional<FileLock> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;  // empty: nothing to remove
  // None where the file system has no locks; then there is no lock file either, and a Sweep leaves
  // the folder alone.
  std::optional<FileLock> lock_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_STAGING_H_
