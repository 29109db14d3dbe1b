// What was measured of pack widths, on disk.
#ifndef COPPICE_WORKER_DAEMON_WIDTH_CACHE_H_
#define COPPICE_WORKER_DAEMON_WIDTH_CACHE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/daemon/width_reader.h"

namespace coppice::worker {

// Everything that a measurement depends on.
struct WidthKey {
  std::string trainer;  // which build of the program: TrainerIdentity
  std::string machine;  // the device that was asked for, the processor and the GPUs there are
  uint32_t threads = 1;
  uint32_t widest = 1;
  std::string kind;  // of run: GrantedRun::kind

  // One text for each key; other texts for other versions of the worker.
  std::string Text() const;
};

// Tells one build of the program from another: its size and when it was written. A program that
// cannot be looked at has the empty text.
std::string TrainerIdentity(const std::string& path);

// A folder with a file for each key, which appears whole or not at all; so several processes may
// use it at once. Each file holds the key's text as well, and is worth nothing under another.
// Thread-safe; blocks on the disk.
class WidthCache {
 public:
  explicit WidthCache(std::string folder) : folder_(std::move(folder)) {}

  // NOT_FOUND: was not measured. DATA_LOSS: the file is damaged or another key's. Else the codes of
  // common/base/files.h.
  absl::StatusOr<std::vector<MeasuredWidth>> Read(const WidthKey& key) const;
  absl::Status Write(const WidthKey& key, const std::vector<MeasuredWidth>& measured) const;

  std::string PathOf(const WidthKey& key) const;

 private:
  const std::string folder_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_WIDTH_CACHE_H_
