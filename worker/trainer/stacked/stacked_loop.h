// The loop that trains a pack as one stacked model on a device.
#ifndef COPPICE_WORKER_TRAINER_STACKED_STACKED_LOOP_H_
#define COPPICE_WORKER_TRAINER_STACKED_STACKED_LOOP_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "worker/trainer/stacked/batch_feed.h"
#include "worker/trainer/stacked/stacked_device.h"
#include "worker/trainer/stacked/stacked_pack.h"
#include "worker/trainer/train/pack_loop.h"

namespace coppice::trainer {

// Each member reports, saves and ends by itself (train/member.h). Steps are enqueued ahead of the
// device. Their results are read only when a member has something due, and now and then to check
// for a diverged member. A diverged member stays in the stack, stopped, and its batches are still
// read. So the shapes of its pack-mates, and with them their bits, are those of a run without the
// failure.
//
// The members' rows are in host memory and are updated when they are saved. The constructor does
// not use the device. An error ends every member that still runs.
class StackedLoop : public PackLoop {
 public:
  // Both outlive this.
  StackedLoop(const PackContext* context, StackedDevice* device);
  ~StackedLoop() override;

  // All cores, because nothing else runs on the host before Run.
  int64_t setup_threads() const override;
  void Run(const std::vector<Member*>& members) override;

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

  const PackContext* const context_;
  StackedDevice* const device_;
  std::vector<Member*> members_;  // the stack
  std::unique_ptr<StackedPack> pack_;
  std::unique_ptr<Transformer> evaluation_model_;      // for evaluation and probes
  std::vector<at::Tensor> slots_;                      // batches in host memory
  std::vector<std::unique_ptr<WorkEvent>> step_done_;  // of each slot's last step
  at::Tensor member_states_;                           // the members' states in host memory
  std::unique_ptr<BatchFeed> feed_;
  std::deque<InFlight> in_flight_;
  int64_t enqueued_ = 0;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_STACKED_LOOP_H_
