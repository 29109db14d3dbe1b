// Trains a pack as one stacked model on an accelerator.
#ifndef COPPICE_WORKER_TRAINER_STACKED_STACKED_TRAINING_H_
#define COPPICE_WORKER_TRAINER_STACKED_STACKED_TRAINING_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "worker/trainer/stacked/accelerator.h"
#include "worker/trainer/stacked/batch_feed.h"
#include "worker/trainer/stacked/pack_trainer.h"
#include "worker/trainer/train/member.h"

namespace coppice::trainer {

// Trains the members that run at the start, each to its end. Each member reports, saves and ends by
// itself (train/member.h). Steps are enqueued ahead of the accelerator. Their results are read only
// when a member has something due, and now and then to check for a diverged member. A diverged
// member stays in the stack, stopped, and its batches are still read. So the shapes of its
// pack-mates, and with them their bits, are those of a run without the failure.
//
// Owned by the engine; one thread runs it. The members' rows are in host memory and are updated
// when they are saved.
// Life: 1. The constructor, which does not use the accelerator. 2. Run.
class StackedTraining {
 public:
  // Everything outlives this. `max_length` is that of the model's positions. `evaluate_first`: see
  // EngineOptions.
  StackedTraining(const MemberContext* context, std::shared_ptr<Accelerator> accelerator,
                  int64_t max_length, bool evaluate_first);
  ~StackedTraining();

  // Does not throw: an error ends every member that still runs.
  void Run(std::vector<Member*> members);

 private:
  // An enqueued step that is not known to be done.
  struct InFlight {
    size_t slot = 0;
    bool checks = false;  // a copy of the members' states follows it
  };

  void RunOrThrow();
  void Prepare();
  void EvaluateAll();
  // Enqueues up to `steps` steps and waits for them. Stops early when the process should stop or a
  // member has diverged.
  void Train(int64_t steps);
  // Waits for the oldest step in flight. False: a member has diverged.
  bool Retire();
  // Does everything that is due now, for every member.
  void Settle();
  // The measurements of the members `due` (indices of the stack); empty when they were abandoned.
  std::vector<MetricValues> Measure(const std::vector<size_t>& due);
  // Measures probes of those members of `due` that need them. False: abandoned.
  bool MeasureProbes(const std::vector<size_t>& due, std::vector<MetricValues>* values);
  // The weights' rows of these members of the stack.
  at::Tensor RowsOf(const std::vector<size_t>& members) const;
  std::vector<DeviceMember> StatesOfMembers() const;
  int64_t StepsToBoundary() const;
  bool Stopping() const { return context_->stop->load(std::memory_order_relaxed); }

  const MemberContext* const context_;
  const std::shared_ptr<Accelerator> accelerator_;
  const int64_t max_length_;
  const bool evaluate_first_;
  std::vector<Member*> members_;  // the stack
  std::unique_ptr<PackTrainer> trainer_;
  std::unique_ptr<Transformer> evaluation_model_;  // for evaluation and probes
  std::vector<at::Tensor> slots_;                  // batches in host memory
  std::vector<std::unique_ptr<WorkMark>> marks_;   // of each slot's last step
  at::Tensor member_states_;                       // the members' states in host memory
  std::unique_ptr<BatchFeed> feed_;
  std::deque<InFlight> in_flight_;
  int64_t enqueued_ = 0;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_STACKED_TRAINING_H_
