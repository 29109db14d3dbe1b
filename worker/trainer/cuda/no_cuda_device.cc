// Replaces cuda_device.cc in builds without CUDA.
#include "worker/trainer/cuda/cuda_device.h"

namespace coppice::trainer {

absl::StatusOr<std::shared_ptr<StackedDevice>> MakeCudaDevice(int, bool) {
  return absl::UnimplementedError(
      "device cuda was asked for, but this trainer was built without CUDA; use --device cpu or "
      "auto, or a trainer with CUDA, which scripts/build_gpu_trainer.sh builds");
}

CudaReport ReportCudaDevices() { return {}; }

}  // namespace coppice::trainer
