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
  // Files and folders that changed less than this long ago are kept.
  absl::Duration min_age = absl::Hours(1);
  // Nothing is removed for this long after a restore from a backup. A person who undoes the restore
  // needs the files that the backup does not know.
  absl::Duration after_restore = absl::Hours(24);
};

struct GarbageReport {
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t folders = 0;
  uint64_t failures = 0;  // could not be removed; tried again in the next run
};

// Purpose: removes files from the checkpoint root that no job will ever resume from: files of
// attempts that ended before their commit, temporary files of uploads that a crash interrupted,
// files that a restored backup does not know, and empty folders. FileRemover deletes files after
// commits; this class does not.
// Owner: main; destroyed before store and clock. Thread-safe; works on its own thread, never on the
// writer's. A run handles some hundred jobs at a time:
//   1. It reads the root's mark, which must be this store's.
//   2. It lists the folders of the jobs.
//   3. It then reads those jobs from the store, in one snapshot (garbage_plan.h explains the
//      order).
//   4. It removes the files in the plan and logs each.
// Failure codes of Collect: those of CheckpointTree and Store. A file that cannot be removed does
// not end the run.
class GarbageCollector {
 public:
  GarbageCollector(Store* store, Clock* clock, GarbageOptions options);
  ~GarbageCollector();

  // Starts the first run at once, and each later run `every` after the end of the one before. The
  // pause is longer if a run takes long.
  void Start();
  // Ends a run after its current files.
  void Shutdown();
  // Does one run on the calling thread.
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
