#ifndef COPPICE_BENCH_CONTROL_PLANE_ROWS_H_
#define COPPICE_BENCH_CONTROL_PLANE_ROWS_H_

#include <atomic>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "bench/control_plane/fleet.h"

namespace coppice::bench {

struct RowsResult {
  double seconds = 0;
  uint64_t rows = 0;  // acknowledged, so durable
  uint64_t refused = 0;
  Latencies latency;
  double client_cpu = 0;
  double server_cpu = 0;
};

// Purpose: metric rows of the held jobs, over one stream of records for each worker. A job sends
// its next row once the last one is acknowledged. Owner: main.
class Rows {
 public:
  Rows(const Options& options, Fleet* fleet) : options_(options), fleet_(*fleet) {}

  RowsResult Run(pid_t server, absl::Duration duration);
  // Sends rows until Stop.
  void Start();
  void Stop() { open_ = false; }
  bool WaitForNone(absl::Duration limit);
  // The last acknowledged step of each job.
  absl::flat_hash_map<uint64_t, uint32_t> acked() const;

 private:
  struct Series {
    SimulatedWorker* worker;
    v1::LeaseRef lease;
    uint32_t step = 0;  // acknowledged; also its number
  };
  void Send(Series* series);

  const Options& options_;
  Fleet& fleet_;
  std::vector<std::unique_ptr<Series>> series_;
  std::atomic<bool> open_{false};
  std::atomic<int64_t> in_flight_{0};
  mutable absl::Mutex mutex_;
  RowsResult result_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_ROWS_H_
