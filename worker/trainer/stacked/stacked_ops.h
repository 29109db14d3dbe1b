// FusedOps on stacked tensors, built from this folder's operations, and the operations of a
// training step outside the model.
#ifndef COPPICE_WORKER_TRAINER_STACKED_STACKED_OPS_H_
#define COPPICE_WORKER_TRAINER_STACKED_STACKED_OPS_H_

#include <memory>

#include "ATen/core/Tensor.h"
#include "worker/trainer/model/fused_ops.h"
#include "worker/trainer/stacked/device_batch.h"
#include "worker/trainer/train/learning_rate.h"

namespace coppice::trainer {

// A pack's flat rows [K, P], in the accelerator's memory.
struct FlatRows {
  at::Tensor parameters, gradients, adam_m, adam_v;
};

// Tensors are in the accelerator's memory. Functions enqueue work and do not wait, except those
// that return numbers to the host. A captured step needs its scratch memory to stay in place. So
// the largest shapes must come first: scratch memory moves only when it grows.
class StackedOps : public FusedOps {
 public:
  // The clipped AdamW update of every member that has not stopped (adamw.h).
  virtual void Update(const UpdateSettings& settings, const FlatRows& rows,
                      DeviceMember* state) = 0;
  // The sum of squares of each member's row of x [K, P], in float64: [K] in host memory.
  virtual at::Tensor SquareSums(const at::Tensor& x) = 0;
};

// On tensors in host memory. The calling thread runs each operation.
std::unique_ptr<StackedOps> MakeHostStackedOps(at::ScalarType dtype);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_STACKED_OPS_H_
