#ifndef COPPICE_COORDINATOR_CORE_GARBAGE_COLLECTOR_H_
#define COPPICE_COORDINATOR_CORE_GARBAGE_COLLECTOR_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "coordinator/core/checkpoint_tree.h"
#include "coordinator/core/garbage_plan.h"
#include "coordinator/core/store.h"

namespace coppice::core {

struct GarbageOptions {
  std::string root;
  absl::Duration every = absl::Hours(1);
  // A file or folder that was changed later is left alone.
  absl::Duration min_age = absl::Hours(1);
  // After a restore from a backup, for so long nothing is removed: what the backup does not know
  // is what a person who takes the restore back needs.
  absl::Duration after_restore = absl::Hours(24);
};

struct GarbageReport {
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t folders = 0;
  uint64_t failures = 0;  // could not be removed; tried again in the next run
};

// Purpose: removes from the checkpoint root what no job will ever resume from: files of attempts
// that ended before their commit, temporary files of uploads that a crash cut off, what a restore
// from a backup no longer knows, folders that are empty. What FileRemover does after a commit is
// not its business.
// Owner: main; destroyed before store and clock. Thread-safe; works on a thread of its own, and
// never on the writer's. A run, some hundred jobs at a time:
//   1. the root's mark is read: it must be this store's;
//   2. the folders of the jobs are looked at;
//   3. then the store is asked for those jobs, in one snapshot (garbage_plan.h says why in this
//      order);
//   4. what the plan names is removed, and said in the log.
// Failure codes of Collect: those of CheckpointTree and Store; one file that cannot be removed ends
// nothing.
class GarbageCollector {
 public:
  GarbageCollector(Store* store, Clock* clock, GarbageOptions options);
  ~GarbageCollector();

  // The first run at once, the others `every` after the end of the one before; less often when a
  // run takes long.
  void Start();
  // Ends a run after the files it is at.
  void Shutdown();
  // One run, here and now.
  absl::StatusOr<GarbageReport> Collect();

 private:
  void RunAndSchedule();
  absl::StatusOr<bool> IsTooSoon();
  absl::Status CollectSweep(const CheckpointTree& tree, const std::string& sweep,
                            GarbageReport* report);
  absl::Status CollectJobs(const CheckpointTree& tree, const std::vector<FoundJob>& jobs,
                           GarbageReport* report);
  void Remove(const CheckpointTree& tree, const FoundJob& job, const JobFacts* facts,
              GarbageReport* report);
  void RemoveFolder(const CheckpointTree& tree, const std::string& path, GarbageReport* report);

  Store& store_;
  Clock& clock_;
  const GarbageOptions options_;
  std::atomic<bool> stop_{false};
  Executor thread_{1};
  absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  Clock::TimerId timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_GARBAGE_COLLECTOR_H_
