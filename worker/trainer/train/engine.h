// Trains a pack: all members to their end, each in its own rows of the buffers, on several threads.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_ENGINE_H_
#define COPPICE_WORKER_TRAINER_TRAIN_ENGINE_H_

#include <atomic>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "worker/trainer/checkpoint/member_checkpoints.h"
#include "worker/trainer/config.h"
#include "worker/trainer/events.h"
#include "worker/trainer/model/parameters.h"
#include "worker/trainer/probes/probes.h"
#include "worker/trainer/stacked/accelerator.h"
#include "worker/trainer/stacked/stacked_training.h"
#include "worker/trainer/train/evaluator.h"
#include "worker/trainer/train/member.h"

namespace coppice::trainer {

struct EngineOptions {
  PackSpec spec;
  Provenance provenance;
  // By hand: each member resumes from the newest readable checkpoint of its folder.
  bool resume_newest = false;
  SaveFunction save = SaveCheckpoint;
  // Null: trains on the CPU, each member by itself. Otherwise trains the pack there as one.
  std::shared_ptr<Accelerator> accelerator = nullptr;
  // On an accelerator: evaluates once before the first step, to allocate the memory that evaluation
  // needs.
  bool evaluate_first = false;
};

// Parameters, gradients and both Adam moments are four flat buffers [K, P]. On the CPU a member
// works on its own row as a pack of one, on one thread at a time, so its bits depend on neither
// pack-mates nor thread count. Threads pick the member with the smallest step. On an accelerator
// one thread trains the pack (stacked/stacked_training.h); members start from the buffers in host
// memory and are saved from them. If checkpoints are written during training, a fifth buffer [K, 3,
// P] holds a snapshot of each member, and one more thread writes them.
//
// Life: 1. Create. 2. Restore. 3. Run. Not thread-safe; Run uses its own threads.
class Engine {
 public:
  // The dataset, `events`, `clock` and `stop` must outlive the engine. INVALID_ARGUMENT: the data
  // do not fit the run (a sentence is too long, or there are fewer examples than a batch needs).
  // Also codes of DrawProbeSample.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const EngineOptions& options,
                                                        const Dataset* dataset, EventWriter* events,
                                                        Clock* clock,
                                                        const std::atomic<bool>* stop);

  // Reads every checkpoint, writes the start event, then a failed event for each member whose
  // resume file is unreadable. FAILED_PRECONDITION: a folder that is resumed by hand belongs to
  // another run; nothing was written.
  absl::Status Restore();

  struct Outcome {
    bool failed = false;     // at least one member
    bool preempted = false;  // at least one member
  };
  Outcome Run();

  Member& member(size_t index) { return *members_[index]; }
  size_t size() const { return members_.size(); }

 private:
  Engine(const EngineOptions& options, const Dataset* dataset, Probes probes, EventWriter* events,
         Clock* clock, const std::atomic<bool>* stop, int64_t max_length);

  // False: the folder has no readable checkpoint.
  absl::StatusOr<bool> RestoreNewest(Member* member);
  // Initializes members in parallel, on the run's threads. With an accelerator it uses all cores,
  // since nothing else runs yet.
  void Initialize(const std::vector<Member*>& members);
  void Work();
  void WorkStacked();
  Member* TakeMember() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportProgress(absl::Duration interval, int64_t* last_sequences);
  int64_t TotalSequences() const;

  const EngineOptions options_;
  const int64_t max_length_;
  const ParameterLayout layout_;
  const EvaluationPlan evaluation_;
  const Probes probes_;
  const CheckpointContext checkpoint_context_;
  const MemberContext context_;
  at::Tensor parameters_, gradients_, adam_m_, adam_v_;  // [K, P]
  at::Tensor snapshots_;                                 // [K, 3, P], or [0, 3, P]
  std::vector<std::unique_ptr<Member>> members_;
  std::unique_ptr<StackedTraining> stacked_;  // null on the CPU
  Executor checkpoint_thread_;                // after the members, so that it ends before them

  absl::Mutex mutex_;
  std::vector<Member*> ready_ ABSL_GUARDED_BY(mutex_);
  int working_threads_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_ENGINE_H_
