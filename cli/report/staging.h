#ifndef COPPICE_CLI_REPORT_STAGING_H_
#define COPPICE_CLI_REPORT_STAGING_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/files.h"

namespace coppice::cli {

// A hidden folder for unfinished files, .coppice-report-<16 hex digits>, which is removed with this
// object. Its lock file is held for the object's life, so that a later Sweep can tell the folder of
// a killed process from one in use. Not thread-safe.
class Staging {
 public:
  // Codes as of files.h.
  static absl::StatusOr<Staging> Make(const std::string& parent);
  Staging(Staging&& other) noexcept;
  Staging& operator=(Staging&&) = delete;
  ~Staging();

  const std::string& path() const { return path_; }

  // Returns whether `name` is that of a staging folder.
  static bool IsName(const std::string& name);
  // Removes this user's staging folders in `parent` that no process holds. Folders that it cannot
  // remove stay.
  static void Sweep(const std::string& parent);

 private:
  Staging(std::string path, std::optional<FileLock> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;  // empty: nothing to remove
  // None if the file system has no locks. Then there is no lock file either, and a Sweep leaves the
  // folder alone.
  std::optional<FileLock> lock_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_STAGING_H_
