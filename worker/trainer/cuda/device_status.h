// Explains why a CUDA device cannot be used, from the runtime's answers. Free of CUDA.
#ifndef COPPICE_WORKER_TRAINER_CUDA_DEVICE_STATUS_H_
#define COPPICE_WORKER_TRAINER_CUDA_DEVICE_STATUS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "worker/trainer/cuda/launch.h"

namespace coppice::trainer {

// NOT_FOUND: there is no such device, or this machine has no CUDA. FAILED_PRECONDITION: the device
// exists but does not work, e.g. because of an old driver. Messages name the remedy.
absl::Status CheckCudaDevices(const CudaDeviceList& devices, int index);
// FAILED_PRECONDITION: this build's kernels do not run on device number `index`.
absl::Status CheckCudaDevice(const CudaDeviceInfo& device, int index);

// True if a user who asked for any device (`auto`) and gets the CPU should know the reason.
// `status` is that of MakeCudaDevice. False if there is no GPU, or no CUDA in this build.
bool IsWorthAWarning(const absl::Status& status);

// What a trainer finds out about its CUDA devices (ReportCudaDevices in cuda_device.h).
struct CudaReport {
  bool built = false;  // false: this build has no CUDA, and the rest is empty
  CudaDeviceList list;
  std::vector<CudaDeviceInfo> devices;  // one for each of list.count
};
// The report as one line of JSON, for `coppice-trainer devices` (docs/trainer-protocol.md). Each
// problem names its remedy.
std::string CudaReportJson(const CudaReport& report, const std::string& libtorch);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CUDA_DEVICE_STATUS_H_
