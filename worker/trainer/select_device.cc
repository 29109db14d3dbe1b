#include "worker/trainer/select_device.h"

#include <string>
#include <utility>

#include "common/base/logging.h"
#include "worker/trainer/cuda/cuda_device.h"
#include "worker/trainer/cuda/device_status.h"

namespace coppice::trainer {

absl::StatusOr<std::shared_ptr<Device>> SelectDevice(const DeviceSpec& spec,
                                                     settings::Precision precision) {
  if (spec.kind == DeviceKind::kCpu) return MakeCpu();
  absl::StatusOr<std::shared_ptr<StackedDevice>> cuda =
      MakeCudaDevice(spec.index.value_or(0), precision == settings::Precision::kTf32);
  if (cuda.ok()) return *std::move(cuda);
  if (spec.kind != DeviceKind::kAuto) return cuda.status();
  // Warns because a user with a GPU does not expect the CPU.
  if (IsWorthAWarning(cuda.status())) {
    spdlog::warn("the CPU is used: {}", std::string(cuda.status().message()));
  }
  return MakeCpu();
}

}  // namespace coppice::trainer
