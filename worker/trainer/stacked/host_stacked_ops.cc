#include "worker/trainer/stacked/inference_ops.h"

namespace coppice::trainer {

std::unique_ptr<StackedOps> MakeHostStackedOps(at::ScalarType dtype) {
  if (dtype == at::kDouble)
    return std::make_unique<OperationOps<double, HostRunner>>(at::kCPU, HostRunner());
  return std::make_unique<OperationOps<float, HostRunner>>(at::kCPU, HostRunner());
}

}  // namespace coppice::trainer
