// The machine's influence on the figures, and the cost of producing them.
#ifndef COPPICE_BENCH_CONTROL_PLANE_MACHINE_H_
#define COPPICE_BENCH_CONTROL_PLANE_MACHINE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace coppice::bench {

// "ext4".
std::string FilesystemOf(const std::string& folder);
// The median of 200 appends of 4 KiB, each followed by fsync.
absl::StatusOr<absl::Duration> FsyncLatency(const std::string& folder);

// CPU seconds (user and system) so far.
double OwnCpuSeconds();
double CpuSecondsOf(pid_t pid);

struct Memory {
  uint64_t now = 0;   // bytes resident
  uint64_t peak = 0;  // since the process started
};
Memory MemoryOf(pid_t pid);

// Latencies in milliseconds.
class Latencies {
 public:
  void Add(absl::Duration latency) { values_.push_back(absl::ToDoubleMilliseconds(latency)); }
  void Append(const Latencies& more) {
    values_.insert(values_.end(), more.values_.begin(), more.values_.end());
  }
  size_t size() const { return values_.size(); }
  // 0 < share <= 1. 0 without values.
  double Quantile(double share) const;

 private:
  std::vector<double> values_;
};

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_MACHINE_H_
