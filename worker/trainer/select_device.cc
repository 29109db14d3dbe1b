#include "worker/trainer/select_device.h"

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "spdlog/spdlog.h"
#include "worker/trainer/cuda/cuda_device.h"
#include "worker/trainer/cuda/device_status.h"

namespace coppice::trainer {

absl::StatusOr<std::shared_ptr<Device>> SelectDevice(absl::string_view device,
                                                     absl::string_view precision) {
  if (device == "cpu") return MakeCpu();
  int index = 0;
  absl::string_view number = device;
  if (absl::ConsumePrefix(&number, "cuda:") && !absl::SimpleAtoi(number, &index)) {
    return absl::InvalidArgumentError(absl::StrCat("there is no device ", device));
  }
  absl::StatusOr<std::shared_ptr<StackedDevice>> cuda =
      MakeCudaDevice(index, precision != "float32");
  if (cuda.ok()) return *std::move(cuda);
  if (device != "auto") return cuda.status();
  // Warns because a user with a GPU does not expect the CPU.
  if (IsWorthAWarning(cuda.status())) {
    spdlog::warn("the CPU is used: {}", std::string(cuda.status().message()));
  }
  return MakeCpu();
}

}  // namespace coppice::trainer
