#ifndef COPPICE_COORDINATOR_CORE_DELETIONS_H_
#define COPPICE_COORDINATOR_CORE_DELETIONS_H_

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "coordinator/core/engine.h"

namespace coppice::core {

// Purpose: deletes sweeps. A sweep may have a hundred million rows, so they go part by part and
// delay no heartbeat.
//   1. A query counts the checkpoints. One command then marks the sweep as deleted: nobody sees it
//      any more, its name is free, and the caller is answered.
//   2. Further commands delete its rows, one part each. After the commit of a part the files of its
//      checkpoints are removed. While very many files wait for that, the next part waits too.
//   3. Deletions that a crash interrupted go on when the coordinator starts. After a failure, such
//      as a full disk, a deletion goes on a minute later.
// Files that no row names and empty folders are left to the garbage collector
// (garbage_collector.h). Owner: the coordinator. Thread-safe. Failure codes: coordinator.h.
class Deletions {
 public:
  static constexpr absl::Duration kRetryAfter = absl::Minutes(1);
  static constexpr absl::Duration kFilesPause = absl::Seconds(1);
  static constexpr size_t kMostFilesWaiting = FileRemover::kMaxPending / 2;

  template <typename T>
  using Done = Coordinator::Done<T>;

  Deletions(Engine* engine, Clock* clock) : engine_(*engine), clock_(*clock) {}

  void Delete(Caller caller, Deletion deletion, Done<DeletedSweep> done);
  // Called once, after the engine has started.
  void ContinueLeftovers();
  // Starts no further part. Called before the engine's shutdown.
  void Shutdown() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Mark(const Caller& caller, const Deletion& deletion, DeletedSweep deleted,
            Done<DeletedSweep> done);
  void Continue(SweepId id);
  void OnPart(SweepId id, const absl::StatusOr<bool>& gone);
  void ContinueAfter(SweepId id, absl::Duration wait) ABSL_LOCKS_EXCLUDED(mutex_);

  Engine& engine_;
  Clock& clock_;
  absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<SweepId, Clock::TimerId> timers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_DELETIONS_H_
