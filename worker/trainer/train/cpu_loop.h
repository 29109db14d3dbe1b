// The loop that trains a pack on the CPU.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_CPU_LOOP_H_
#define COPPICE_WORKER_TRAINER_TRAIN_CPU_LOOP_H_

#include <memory>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "worker/trainer/train/member_trainer.h"
#include "worker/trainer/train/pack_loop.h"

namespace coppice::trainer {

// Trains each member by itself, on one thread at a time, so its bits depend on neither pack-mates
// nor thread count. Threads pick the member with the smallest step. A failure ends one member and
// leaves the others alone.
class CpuLoop : public PackLoop {
 public:
  // `context` outlives this.
  CpuLoop(const PackContext* context, const PackBuffers& buffers);

  int64_t setup_threads() const override { return context_->threads; }
  void Run(const std::vector<Member*>& members) override;

 private:
  // One thread's part of the training.
  void Work() ABSL_LOCKS_EXCLUDED(mutex_);
  // Null: no member is ready.
  MemberTrainer* TakeFurthestBack() ABSL_LOCKS_EXCLUDED(mutex_);

  const PackContext* const context_;
  const at::Tensor parameters_, gradients_;  // [K, P]

  absl::Mutex mutex_;
  // Members that train and that no thread has.
  std::vector<MemberTrainer*> ready_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_CPU_LOOP_H_
