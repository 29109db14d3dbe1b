// Replaces cuda_accelerator.cc in builds without CUDA.
#include "worker/trainer/stacked/accelerator.h"

namespace coppice::trainer {

absl::StatusOr<std::shared_ptr<Accelerator>> MakeCudaAccelerator(int, bool) {
  return absl::UnimplementedError(
      "device cuda was asked for, but this trainer was built without CUDA; use --device cpu or "
      "auto, or a trainer built with -DCOPPICE_CUDA=ON against a CUDA LibTorch");
}

}  // namespace coppice::trainer
