#include "coordinator/commands/pool_keeper.h"

#include <memory>
#include <utility>

#include "common/base/files.h"

namespace coppice::commands {
namespace {

std::unique_ptr<CommandRunner> MakeRunner(bool by_client, Clock* clock,
                                          pools::RemoteCommands** remote) {
  if (!by_client) return std::make_unique<LocalCommands>();
  auto made = std::make_unique<pools::RemoteCommands>(clock);
  *remote = made.get();
  return made;
}

pools::AutoscalerOptions MakeOptions(PoolKeeperOptions options, pools::RemoteCommands* remote,
                                     core::Coordinator* core) {
  pools::AutoscalerOptions made;
  made.tell_spent = [core](pools::SpentSweeps spent, std::function<void(absl::Status)> done) {
    core->SetSpentSweeps(std::move(spent), std::move(done));
  };
  made.remote = remote;
  made.store_id = std::move(options.store_id);
  made.stop_file = JoinPath(options.data_dir, "pools.stop");
  made.checkpoint_root = std::move(options.checkpoint_root);
  made.dry_run = options.dry_run;
  return made;
}

}  // namespace

void PoolNews::Join(core::CoordinatorOptions* options) {
  options->work_came = [this] {
    absl::MutexLock lock(&mutex_);
    if (pools_ != nullptr) pools_->Nudge();
  };
  options->pool_worker_came = [this](const std::string& key) {
    absl::MutexLock lock(&mutex_);
    if (pools_ != nullptr) pools_->NoteRegistered(key);
  };
}

void PoolNews::Tell(pools::Autoscaler* pools) {
  absl::MutexLock lock(&mutex_);
  pools_ = pools;
}

void CoreRecords::Load(int64_t ended_since_ms,
                       std::function<void(absl::StatusOr<pools::PoolsLoaded>)> done) {
  core_.LoadPools(ended_since_ms, std::move(done));
}

void CoreRecords::Save(std::vector<pools::PoolRow> pools,
                       std::vector<pools::AllocationRow> allocations,
                       std::function<void(absl::Status)> done) {
  core_.SavePools(std::move(pools), std::move(allocations), std::move(done));
}

PoolKeeper::PoolKeeper(PoolKeeperOptions options, core::Coordinator* core, Clock* clock,
                       PoolNews* news)
    : news_(*news),
      records_(core),
      batch_(pools::SlurmOptions(), MakeRunner(options.slurm_by_client, clock, &remote_)),
      autoscaler_(MakeOptions(std::move(options), remote_, core), clock, &batch_, &records_,
                  [core](std::function<void(absl::StatusOr<pools::Demand>)> done) {
                    core->GetDemand(std::move(done));
                  }) {
  news_.Tell(&autoscaler_);
  autoscaler_.Start();
}

PoolKeeper::~PoolKeeper() { Shutdown(); }

void PoolKeeper::Shutdown() {
  news_.Tell(nullptr);
  autoscaler_.Shutdown();
  batch_.Shutdown();
}

}  // namespace coppice::commands
