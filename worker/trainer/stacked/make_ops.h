// The stacked operations of a number type, for the code of a device.
#ifndef COPPICE_WORKER_TRAINER_STACKED_MAKE_OPS_H_
#define COPPICE_WORKER_TRAINER_STACKED_MAKE_OPS_H_

#include <memory>

#include "worker/trainer/stacked/stacked_ops.h"
#include "worker/trainer/stacked/stacked_optimizer.h"

namespace coppice::trainer {

// `dtype`: float32, or float64 for comparisons. `device` has the memory that `run` works on.
template <typename Runner>
std::unique_ptr<ModelOps> MakeStackedOps(at::ScalarType dtype, at::Device device, Runner run) {
  if (dtype == at::kDouble) return std::make_unique<StackedOps<double, Runner>>(device, run);
  return std::make_unique<StackedOps<float, Runner>>(device, run);
}

template <typename Runner>
std::unique_ptr<PackOptimizer> MakeStackedOptimizer(at::ScalarType dtype, at::Device device,
                                                    Runner run) {
  if (dtype == at::kDouble) return std::make_unique<StackedOptimizer<double, Runner>>(device, run);
  return std::make_unique<StackedOptimizer<float, Runner>>(device, run);
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_MAKE_OPS_H_
