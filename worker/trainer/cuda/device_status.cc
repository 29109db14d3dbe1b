#include "worker/trainer/cuda/device_status.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace coppice::trainer {
namespace {

// 13000 is version 13.0.
std::string VersionName(int version) {
  return absl::StrCat(version / 1000, ".", version % 1000 / 10);
}

// A machine without a GPU often also has no driver; CUDA reports that as an old driver.
bool IsNothingThere(const CudaDeviceList& devices) {
  return devices.code == kCudaNoDevice ||
         (devices.code == kCudaOldDriver && devices.driver_version == 0);
}

}  // namespace

absl::Status CheckCudaDevices(const CudaDeviceList& devices, int index) {
  if (devices.code == 0 && devices.count > 0) {
    if (index >= 0 && index < devices.count) return absl::OkStatus();
    return absl::NotFoundError(absl::StrCat(
        "device cuda:", index,
        " was asked for, but the last one that is visible here is cuda:", devices.count - 1));
  }
  if (devices.code == 0 || IsNothingThere(devices)) {
    return absl::NotFoundError(absl::StrCat(
        "device cuda was asked for, but no CUDA device is visible here (", devices.error,
        "); look at nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu"));
  }
  if (devices.code == kCudaOldDriver) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the driver of this machine's CUDA devices is for CUDA ",
        VersionName(devices.driver_version), ", and this trainer was built with CUDA ",
        VersionName(devices.runtime_version),
        "; update the driver, build the trainer with an older CUDA, or use --device cpu"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the CUDA devices of this machine are out of order (", devices.error, ", CUDA error ",
      devices.code, "); look at nvidia-smi and the kernel's log, or use --device cpu"));
}

absl::Status CheckCudaDevice(const CudaDeviceInfo& device, int index) {
  if (device.error.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("cuda:", index, " (", device.name, ", compute capability ", device.major, ".",
                   device.minor, ") cannot run this trainer's kernels (", device.error,
                   "); build it with -DCMAKE_CUDA_ARCHITECTURES=", device.major, device.minor,
                   ", or use --device cpu"));
}

bool IsWorthAWarning(const absl::Status& status) {
  return !status.ok() && !absl::IsNotFound(status) && !absl::IsUnimplemented(status);
}

}  // namespace coppice::trainer
