// Measured pack widths, on disk.
#ifndef COPPICE_WORKER_DAEMON_WIDTH_CACHE_H_
#define COPPICE_WORKER_DAEMON_WIDTH_CACHE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/daemon/width_reader.h"

namespace coppice::worker {

// The names of a cache's files (NameFits).
inline constexpr char kWidthFileNames[] = "%.json";

// Everything that a measurement depends on.
struct WidthKey {
  std::string trainer;  // the build of the program: TrainerIdentity
  std::string machine;  // the requested device, the processor and the GPUs
  uint32_t threads = 1;
  uint32_t widest = 1;
  std::string kind;  // the run's GrantedRun::kind

  // One text for each key. Other versions of the worker have other texts.
  std::string Text() const;
};

// Identifies a build of the program by its size and modification time. Empty if the program cannot
// be examined.
std::string TrainerIdentity(const std::string& path);

// A folder with a file for each key. Files appear whole or not at all, so several processes may
// share the folder. Each file also holds its key's text, and is ignored under any other key.
// Thread-safe; blocks on the disk.
class WidthCache {
 public:
  explicit WidthCache(std::string folder) : folder_(std::move(folder)) {}

  // NOT_FOUND: not measured. DATA_LOSS: the file is damaged or another key's. Otherwise the codes
  // of common/base/files.h.
  absl::StatusOr<std::vector<MeasuredWidth>> Read(const WidthKey& key) const;
  absl::Status Write(const WidthKey& key, const std::vector<MeasuredWidth>& measured) const;

  std::string PathOf(const WidthKey& key) const;

 private:
  const std::string folder_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_WIDTH_CACHE_H_
