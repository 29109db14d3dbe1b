#include "worker/trainer/cuda/device_status.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace coppice::trainer {
namespace {

using nlohmann::ordered_json;

constexpr int kProtocol = 1;

// 13000 is version 13.0.
std::string VersionName(int version) {
  return absl::StrCat(version / 1000, ".", version % 1000 / 10);
}

// A machine without a GPU often also has no driver; CUDA reports that as an old driver.
bool IsNothingThere(const CudaDeviceList& devices) {
  return devices.code == kCudaNoDevice ||
         (devices.code == kCudaOldDriver && devices.driver_version == 0);
}

// The reason why no device at all can be used; empty if there is none.
std::string ProblemOf(const CudaReport& report) {
  if (!report.built) {
    return "this trainer was built without CUDA; scripts/build_gpu_trainer.sh builds one with it";
  }
  if (report.list.code == 0 && report.list.count > 0) return "";
  if (report.list.code == 0 || IsNothingThere(report.list)) {
    return absl::StrCat("no CUDA device is visible here (", report.list.error,
                        "); look at nvidia-smi and CUDA_VISIBLE_DEVICES");
  }
  return std::string(CheckCudaDevices(report.list, 0).message());
}

ordered_json DeviceJson(const CudaDeviceInfo& device, int index) {
  return {{"index", index},
          {"name", device.name},
          {"compute_capability", absl::StrCat(device.major, ".", device.minor)},
          {"memory_bytes", device.memory_bytes},
          {"problem", std::string(CheckCudaDevice(device, index).message())}};
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
                   "); build it with scripts/build_gpu_trainer.sh --arch ", device.major,
                   device.minor, " (CMake: -DCMAKE_CUDA_ARCHITECTURES=", device.major, device.minor,
                   "), or use --device cpu"));
}

bool IsWorthAWarning(const absl::Status& status) {
  return !status.ok() && !absl::IsNotFound(status) && !absl::IsUnimplemented(status);
}

std::string CudaReportJson(const CudaReport& report, const std::string& libtorch) {
  ordered_json devices = ordered_json::array();
  for (size_t i = 0; i < report.devices.size(); ++i) {
    devices.push_back(DeviceJson(report.devices[i], static_cast<int>(i)));
  }
  const auto version = [](int number) { return number == 0 ? "" : VersionName(number); };
  const ordered_json event = {{"event", "devices"},
                              {"protocol", kProtocol},
                              {"version", COPPICE_VERSION},
                              {"libtorch", libtorch},
                              {"cuda", report.built},
                              {"cuda_runtime", version(report.list.runtime_version)},
                              {"cuda_driver", version(report.list.driver_version)},
                              {"devices", std::move(devices)},
                              {"problem", ProblemOf(report)}};
  // A driver's text may be anything.
  return event.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace coppice::trainer
