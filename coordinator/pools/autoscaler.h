#ifndef COPPICE_COORDINATOR_POOLS_AUTOSCALER_H_
#define COPPICE_COORDINATOR_POOLS_AUTOSCALER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "coordinator/pools/batch_system.h"
#include "coordinator/pools/demand.h"
#include "coordinator/pools/pool.h"
#include "coordinator/pools/pool_usage.h"
#include "coordinator/pools/probe.h"
#include "coordinator/pools/records.h"
#include "coordinator/pools/remote_commands.h"

namespace coppice::pools {

struct AutoscalerOptions {
  std::string store_id;
  // While this file exists, nothing is submitted or cancelled. Empty: there is none.
  std::string stop_file;
  // The folder of the jobs' checkpoints, for probes; empty: unknown.
  std::string checkpoint_root;
  // Runs the batch system's commands on another machine; null: they run here.
  RemoteCommands* remote = nullptr;
  // Tells the dispatcher of sweeps that have used what a pool may give them. Null: nobody is told.
  // It calls back once, on any thread; after an error it is told again.
  std::function<void(SpentSweeps, std::function<void(absl::Status)>)> tell_spent;
  // Decides and logs, but submits and cancels nothing.
  bool dry_run = false;
  // Runs the closures of the autoscaler's own thread; null: a real thread (Executor).
  Executor::Runner runner = nullptr;
};

// A pool as people see it.
struct PoolStatus {
  PoolRow row;
  uint32_t wanted = 0;                            // workers for which there is work
  uint32_t connected = 0;                         // workers of its allocations that are connected
  uint32_t queued = 0, running = 0, unclear = 0;  // allocations, by state
  double gpu_seconds_today = 0;                   // in the last 24 hours
  UsageSums usage;                                // likewise, and since the coordinator started
  QueueWaits waits;
  std::vector<AllocationRow> allocations;  // alive ones, then ended ones, newest first
};

struct AutoscalerStatus {
  std::vector<PoolStatus> pools;  // by rank, then by name
  // Empty: the batch system answered the last time. Else since when it does not, and its words.
  std::string trouble;
  int64_t trouble_since_ms = 0;
  int64_t polled_ms = 0;  // the last answer of the batch system
  bool stopped_by_file = false;
  bool dry_run = false;
};

// The report of `coppice pool check`.
struct PoolCheck {
  std::string script;
  std::vector<std::string> facts;     // "partition low: at most 1 h, GraceTime 10 s"
  std::vector<std::string> warnings;  // each with its remedy
  std::vector<std::string> errors;    // the pool could not work; each with its remedy
  std::vector<Finding> findings;      // of the probe
};

// Purpose: keeps as many allocations of each pool as the work needs. docs/pools.md says how it
// decides, and what it concludes from what.
//   1. Start loads the pools and their allocations. Until that has succeeded it does nothing else.
//   2. A tick asks the batch system for all jobs, brings the rows up to date, asks for the demand,
//      and lets Decide (policy.h) say what to submit and to cancel.
//   3. A submission's row is durable before sbatch is called. What became of an sbatch without a
//      clear answer is found by the key.
// Owner: main. Thread-safe; nothing blocks. All state belongs to one thread, or to the runner's.
// Durability: what a caller was told with OK survives a crash. Allocations outlive the coordinator:
// a stop cancels nothing. Failure codes: NOT_FOUND (no such pool), ALREADY_EXISTS,
// INVALID_ARGUMENT, FAILED_PRECONDITION (the pool still has allocations), UNAVAILABLE (not loaded
// yet, or shut down), else those of PoolRecords.
class Autoscaler {
 public:
  Autoscaler(AutoscalerOptions options, Clock* clock, BatchSystem* batch, PoolRecords* records,
             DemandSource demand);
  ~Autoscaler();

  void Start();
  // No callback comes after it, and nothing is submitted.
  void Shutdown();

  // The work has changed: looks within a second.
  void Nudge();
  // A worker with this key has registered.
  void NoteRegistered(std::string key);

  using Done = std::function<void(absl::Status)>;
  void AddPool(PoolSpec spec, Done done);
  // Replaces the settings of a pool; its mode stays.
  void UpdatePool(PoolSpec spec, Done done);
  // kStopped is not for callers: INVALID_ARGUMENT. kRunning also starts a stopped pool again and
  // forgets its failures.
  void SetMode(std::string pool, PoolMode mode, Done done);
  // nullopt: the work decides again.
  void Scale(std::string pool, std::optional<uint32_t> target, Done done);
  // FAILED_PRECONDITION while allocations are queued or run: drain the pool first. With `cancel`,
  // queued ones are cancelled and running ones left to end; the pool vanishes at once.
  void RemovePool(std::string pool, bool cancel, Done done);

  // Asks the batch system about a pool that need not exist. With `probe_wait` a probe follows,
  // whose job has so long to start, unless there are errors. FAILED_PRECONDITION: a probe of this
  // pool runs already, or nothing may be submitted now.
  void Check(PoolSpec spec, std::optional<absl::Duration> probe_wait,
             std::function<void(absl::StatusOr<PoolCheck>)> done);
  // NOT_FOUND: no such probe runs.
  void TakeNodeReport(NodeReport report,
                      std::function<void(absl::StatusOr<NodeReportAnswer>)> done);
  void Status(std::function<void(absl::StatusOr<AutoscalerStatus>)> done);

  // A request of the client that runs the batch system's commands. A new session makes the pools
  // look at once. Codes of RemoteCommands::Exchange; FAILED_PRECONDITION also without `remote`.
  void RunCommands(CommandsRequest request, RemoteCommands::Done done);

 private:
  class Loop;
  std::shared_ptr<Loop> loop_;
};

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_AUTOSCALER_H_
