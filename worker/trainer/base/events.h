// The trainer's side of the event stream that docs/trainer-protocol.md defines.
#ifndef COPPICE_WORKER_TRAINER_BASE_EVENTS_H_
#define COPPICE_WORKER_TRAINER_BASE_EVENTS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/failure_kind.h"
#include "nlohmann/json_fwd.hpp"

namespace coppice::trainer {

struct Provenance {
  std::string build;
  std::string libtorch;
  std::string blas;
  std::string device;
  std::string precision;
  int64_t threads = 1;
  int64_t pack_width = 1;
};

struct MemberStep {
  uint64_t seed = 0;
  int64_t step = 0;
};

struct CheckpointInfo {
  std::string path;
  std::string digest;
  uint64_t bytes = 0;
  absl::Duration stall;  // the time for which training stood still
  absl::Duration write;  // the time until it was durable
};

using MetricValues = std::vector<std::pair<std::string, double>>;

// Writes one JSON object per line to a file descriptor, each line whole and at once. Thread-safe.
// The first write that fails (EPIPE: the reader is gone) calls `on_closed`; every later line is
// dropped. SIGPIPE must be ignored.
class EventWriter {
 public:
  EventWriter(int fd, std::function<void()> on_closed);

  void Start(const Provenance& provenance, const std::vector<MemberStep>& members, int64_t steps,
             int64_t parameters);
  void Progress(const std::vector<MemberStep>& members, double steps_per_second,
                double sequences_per_second, uint64_t activity);
  // Every value must be finite.
  void Metrics(uint64_t seed, int64_t step, const MetricValues& values);
  void Checkpoint(uint64_t seed, int64_t step, const CheckpointInfo& info);
  void Done(uint64_t seed, int64_t step);
  void Failed(uint64_t seed, int64_t step, FailureKind kind, absl::string_view message);
  void Preempted(uint64_t seed, int64_t step);
  // Refuses the run as a whole. No start event is written then.
  void Refused(absl::string_view message);

  // Events of a measurement: its plan, then each result.
  void Measure(const Provenance& provenance, const std::vector<int64_t>& widths);
  void Width(int64_t width, double steps_per_second, double seed_steps_per_second,
             int64_t peak_bytes);
  void WidthOutOfMemory(int64_t width, absl::string_view message);

  // The errno of the failed write; 0 while every line was written.
  int unwritten() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Write(const nlohmann::ordered_json& event) ABSL_LOCKS_EXCLUDED(mutex_);

  const int fd_;
  const std::function<void()> on_closed_;
  mutable absl::Mutex mutex_;
  int unwritten_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_BASE_EVENTS_H_
