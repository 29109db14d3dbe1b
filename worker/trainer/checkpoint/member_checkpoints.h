#ifndef COPPICE_WORKER_TRAINER_CHECKPOINT_MEMBER_CHECKPOINTS_H_
#define COPPICE_WORKER_TRAINER_CHECKPOINT_MEMBER_CHECKPOINTS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/failure_kind.h"
#include "worker/trainer/base/events.h"
#include "worker/trainer/checkpoint/checkpoint.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/model/parameters.h"

namespace coppice::trainer {

// SaveCheckpoint, or a test's replacement.
using SaveFunction = std::function<decltype(SaveCheckpoint)>;

// Shared by the checkpoints of a pack's members. Everything here outlives them.
struct CheckpointContext {
  const RunConfig* run = nullptr;
  const ParameterLayout* layout = nullptr;
  bool prune = true;
  EventWriter* events = nullptr;
  Clock* clock = nullptr;
  const std::atomic<bool>* stop = nullptr;
  Executor* executor = nullptr;  // one thread; writes the snapshots
  SaveFunction save = SaveCheckpoint;
};

struct CheckpointFailure {
  FailureKind kind = FailureKind::kDisk;
  std::string message;
};

// Purpose: writes one member's checkpoints, one at a time. Snapshot copies the member's rows and
// returns; the copy is written while the member trains on. Write writes the rows themselves and
// returns when they are written. Both do these steps in this order: the file with its digest,
// fsync, the checkpoint event, pruning. All of them precede the next checkpoint's file.
// Owner: its Member. Thread safety: the member's thread calls every function; the executor must be
// shut down before this is destroyed.
// Failures: the first one stays, and every later call returns it. Nothing is thrown.
// Durability: that of SaveCheckpoint, once the event is written.
// Life of a snapshot: 1. waiting, behind those of other members; 2. writing, on the executor, or on
// the member's thread if that waits for it; 3. none. Once the process stops, the executor leaves
// waiting snapshots to their members.
class MemberCheckpoints {
 public:
  // `snapshot`: [3, P] float32, which all snapshots reuse; null if none is ever taken.
  MemberCheckpoints(const CheckpointContext* context, uint64_t seed, std::string directory,
                    float* snapshot);
  MemberCheckpoints(const MemberCheckpoints&) = delete;
  MemberCheckpoints& operator=(const MemberCheckpoints&) = delete;

  // Waits for the previous checkpoint, then takes the time of a copy.
  std::optional<CheckpointFailure> Snapshot(const MemberProgress& progress, const MemberRows& rows);
  std::optional<CheckpointFailure> Write(const MemberProgress& progress, const MemberRows& rows);
  // Returns when no checkpoint is being written.
  std::optional<CheckpointFailure> Finish();
  // The failure of a finished checkpoint. Does not wait.
  std::optional<CheckpointFailure> failure() const;
  // Drops a waiting snapshot, because a newer checkpoint will replace it. False: none waits, or
  // `keep_every` asks for it.
  bool Supersede();

 private:
  enum class State { kNone, kWaiting, kWriting };

  void WriteWaiting();
  // `at_once`: training also stands still during the write.
  std::optional<CheckpointFailure> Save(const MemberProgress& progress, const MemberRows& rows,
                                        absl::Duration stall, bool at_once);
  std::optional<CheckpointFailure> SaveOrThrow(const MemberProgress& progress,
                                               const MemberRows& rows, absl::Duration stall,
                                               bool at_once);

  const CheckpointContext* const context_;
  const uint64_t seed_;
  const std::string directory_;
  const MemberRows snapshot_;  // filled in kNone by the member's thread, read by the writer

  mutable absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kNone;
  MemberProgress progress_ ABSL_GUARDED_BY(mutex_);  // of the snapshot, like stall_
  absl::Duration stall_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();
  std::optional<CheckpointFailure> failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CHECKPOINT_MEMBER_CHECKPOINTS_H_
