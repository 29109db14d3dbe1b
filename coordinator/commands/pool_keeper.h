#ifndef COPPICE_COORDINATOR_COMMANDS_POOL_KEEPER_H_
#define COPPICE_COORDINATOR_COMMANDS_POOL_KEEPER_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/pools/autoscaler.h"
#include "coordinator/pools/records.h"
#include "coordinator/pools/remote_commands.h"
#include "coordinator/pools/slurm_batch.h"

namespace coppice::commands {

// Purpose: passes the core's news to the autoscaler, which begins after the core and ends before
// it. Owner: main; outlives both. Thread-safe.
class PoolNews {
 public:
  // Sets the core's callbacks for pools.
  void Join(core::CoordinatorOptions* options);
  // Null: there is no autoscaler. Afterwards no call to the one before runs.
  void Tell(pools::Autoscaler* pools);

 private:
  absl::Mutex mutex_;
  pools::Autoscaler* pools_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

// Purpose: the pools' rows in the core's database. Owner: PoolKeeper. Thread-safe.
class CoreRecords : public pools::PoolRecords {
 public:
  explicit CoreRecords(core::Coordinator* core) : core_(*core) {}
  void Load(int64_t ended_since_ms,
            std::function<void(absl::StatusOr<pools::PoolsLoaded>)> done) override;
  void Save(std::vector<pools::PoolRow> pools, std::vector<pools::AllocationRow> allocations,
            std::function<void(absl::Status)> done) override;

 private:
  core::Coordinator& core_;
};

struct PoolKeeperOptions {
  std::string store_id;
  std::string data_dir;  // holds the stop file, pools.stop
  std::string checkpoint_root;
  bool dry_run = false;
  bool slurm_by_client = false;  // `coppice pool run` runs Slurm's commands
};

// Purpose: runs the pools beside the core. Owner: main, which destroys it before the core. Without
// a pool it runs no command of a batch system. A stop cancels no allocation.
//   1. The constructor starts the autoscaler.
//   2. Shutdown ends it, and the commands of the batch system that run.
class PoolKeeper {
 public:
  PoolKeeper(PoolKeeperOptions options, core::Coordinator* core, Clock* clock, PoolNews* news);
  ~PoolKeeper();
  PoolKeeper(const PoolKeeper&) = delete;
  PoolKeeper& operator=(const PoolKeeper&) = delete;

  pools::Autoscaler* autoscaler() { return &autoscaler_; }
  void Shutdown();

 private:
  PoolNews& news_;
  CoreRecords records_;
  pools::RemoteCommands* remote_ = nullptr;  // of batch_; null: commands run on this machine
  pools::SlurmBatch batch_;
  pools::Autoscaler autoscaler_;
};

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_POOL_KEEPER_H_
