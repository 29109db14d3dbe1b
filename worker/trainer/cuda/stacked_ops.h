// FusedOps on stacked tensors, made of this folder's operations, and what a training step needs
// beside the model.
#ifndef COPPICE_WORKER_TRAINER_CUDA_STACKED_OPS_H_
#define COPPICE_WORKER_TRAINER_CUDA_STACKED_OPS_H_

#include <memory>

#include "ATen/core/Tensor.h"
#include "worker/trainer/cuda/pack.h"
#include "worker/trainer/model/fused_ops.h"
#include "worker/trainer/train/learning_rate.h"

namespace coppice::trainer {

// A pack's flat rows [K, P], in the accelerator's memory.
struct FlatRows {
  at::Tensor parameters, gradients, adam_m, adam_v;
};

// Tensors are the accelerator's. Work is enqueued and not waited for, but where a function returns
// numbers to the host. Scratch memory grows with what is asked for and then stays where it is, so
// that a captured step may be replayed: the largest shapes come first.
class StackedOps : public FusedOps {
 public:
  // The clipped AdamW update of every member that has not stopped (update.h).
  virtual void Update(const UpdateSettings& settings, const FlatRows& rows,
                      DeviceMember* state) = 0;
  // Of each member's row of x [K, P], in float64: [K] in host memory.
  virtual at::Tensor SquareSums(const at::Tensor& x) = 0;
};

// On tensors in host memory, each operation run by the calling thread.
std::unique_ptr<StackedOps> MakeHostStackedOps(at::ScalarType dtype);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CUDA_STACKED_OPS_H_
