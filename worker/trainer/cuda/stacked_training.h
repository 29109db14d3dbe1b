// Trains a pack as one stacked model on an accelerator.
#ifndef COPPICE_WORKER_TRAINER_CUDA_STACKED_TRAINING_H_
#define COPPICE_WORKER_TRAINER_CUDA_STACKED_TRAINING_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "worker/trainer/cuda/accelerator.h"
#include "worker/trainer/cuda/batch_feed.h"
#include "worker/trainer/cuda/pack_trainer.h"
#include "worker/trainer/train/member.h"

namespace coppice::trainer {

// Members that are running when it starts, each to its end; what a member reports, saves and ends
// with is its own (train/member.h). Steps are enqueued ahead of the accelerator and nothing is read
// of them until a member has something due, but for a look now and then at whether one has
// diverged. Such a member stays in the stack, stopped, and its batches go on to be read, so that
// its pack-mates' shapes, and with them their bits, are those of a run in which nothing happened.
//
// Owned by the engine; one thread runs it. Rows of the members are in host memory and are brought
// up to date when they are saved. Life: 1. the constructor, without the accelerator. 2. Run.
class StackedTraining {
 public:
  // Everything outlives it. `max_length`: of the model's positions.
  // `evaluate_first`: see EngineOptions.
  StackedTraining(const MemberContext* context, std::shared_ptr<Accelerator> accelerator,
                  int64_t max_length, bool evaluate_first);
  ~StackedTraining();

  // Does not throw: what goes wrong ends every member that is still running.
  void Run(std::vector<Member*> members);

 private:
  // A step that was enqueued and is not known to be done.
  struct InFlight {
    size_t slot = 0;
    bool looks = false;  // it is followed by a copy of the members' states
  };

  void RunOrThrow();
  void Prepare();
  void EvaluateAll();
  // Enqueues up to `steps` and waits for them; fewer when the process is to stop or a member was
  // seen to have diverged.
  void Train(int64_t steps);
  // Waits for the oldest step in flight; false when a member was seen to have diverged.
  bool Retire();
  // What is due now, for every member.
  void Settle();
  // Measurements of the members `due`, indices of the stack; empty when they were abandoned.
  std::vector<MetricValues> Measure(const std::vector<size_t>& due);
  // Of those for whom probes are due; false when they were abandoned.
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
  std::unique_ptr<Transformer> reader_;           // for evaluation and probes
  std::vector<at::Tensor> slots_;                 // batches in host memory
  std::vector<std::unique_ptr<WorkMark>> marks_;  // of each slot's last step
  at::Tensor look_;                               // the members' states in host memory
  std::unique_ptr<BatchFeed> feed_;
  std::deque<InFlight> in_flight_;
  int64_t enqueued_ = 0;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CUDA_STACKED_TRAINING_H_
