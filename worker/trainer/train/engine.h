// Trains a pack: all members to their end, each in its own rows of the buffers.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_ENGINE_H_
#define COPPICE_WORKER_TRAINER_TRAIN_ENGINE_H_

#include <atomic>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "worker/trainer/base/events.h"
#include "worker/trainer/checkpoint/member_checkpoints.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/model/parameters.h"
#include "worker/trainer/probes/probes.h"
#include "worker/trainer/train/device.h"
#include "worker/trainer/train/evaluator.h"
#include "worker/trainer/train/member.h"

namespace coppice::trainer {

struct EngineOptions {
  PackSpec spec;
  Provenance provenance;
  // Standalone: each member resumes from the newest readable checkpoint of its folder.
  bool resume_newest = false;
  SaveFunction save = SaveCheckpoint;
  std::shared_ptr<Device> device = MakeCpu();
  // On a stacked device: evaluates once before the first step, to allocate the memory that
  // evaluation needs.
  bool evaluate_first = false;
};

// Sets a pack up, has a loop of the device train it, and reports its progress. Parameters and both
// Adam moments are three flat buffers [K, P] in host memory, from which members start and are
// saved. If checkpoints are written during training, a fourth buffer [K, 3, P] holds a snapshot of
// each member, and one more thread writes them. pack_loop.h has the threads that train.
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
  // Initializes members in parallel, on the loop's setup threads.
  void Initialize(const std::vector<Member*>& members);
  void ReportProgress(absl::Duration interval, int64_t* last_sequences);
  int64_t TotalSequences() const;

  const EngineOptions options_;
  const ParameterLayout layout_;
  const EvaluationPlan evaluation_;
  const Probes probes_;
  const CheckpointContext checkpoint_context_;
  const PackContext context_;
  const PackBuffers buffers_;
  std::vector<std::unique_ptr<Member>> members_;
  std::unique_ptr<PackLoop> loop_;
  Executor checkpoint_thread_;  // after the members, so that it ends before them
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_ENGINE_H_
