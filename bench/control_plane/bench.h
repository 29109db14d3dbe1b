#ifndef COPPICE_BENCH_CONTROL_PLANE_BENCH_H_
#define COPPICE_BENCH_CONTROL_PLANE_BENCH_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "bench/control_plane/checks.h"
#include "bench/control_plane/client.h"
#include "bench/control_plane/coordinator_process.h"
#include "bench/control_plane/cycles.h"
#include "bench/control_plane/fleet.h"
#include "bench/control_plane/overload.h"
#include "bench/control_plane/rows.h"
#include "bench/control_plane/table.h"

namespace coppice::bench {

// Purpose: runs the phases in order on one coordinator, and collects their results in a table.
// Owner: main.
class Bench {
 public:
  // The database is in `folder`, the checkpoints in `checkpoint_folder`.
  Bench(const Options& options, std::string folder, std::string checkpoint_folder);

  absl::Status Run();
  const Table& table() const { return table_; }

 private:
  absl::Status Submit();
  absl::Status RegisterAndHold();
  void Idle();
  absl::Status Capacity();
  absl::Status HalfLoad();
  absl::Status Backup();
  absl::Status MetricRows();
  absl::Status Overload();
  void AddOverload(const LoadResult& during, double rate);
  absl::Status KillAndRestart();
  absl::Status CheckPhase(const char* phase, const LoadResult& result);
  void AddLoad(const char* name, uint32_t pack, const LoadResult& result);
  void AddStatus(const char* when, StatusLatencies latencies);
  void Say(const std::string& line);
  absl::Duration seconds(double share = 1) const { return absl::Seconds(options_.seconds * share); }

  const Options& options_;
  const std::string folder_;
  const std::string checkpoint_folder_;
  CoordinatorProcess process_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<Cycles> cycles_;
  std::unique_ptr<Rows> rows_;
  Table table_;
  OverloadResult overload_;
  Latencies beats_;  // of heartbeats, of each reported phase
  const absl::Time began_ = absl::Now();
  uint64_t peak_ = 0;  // resident bytes of the coordinator, over all its runs
};

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_BENCH_H_
