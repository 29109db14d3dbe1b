// Why a CUDA device cannot be used, as far as the runtime's answers tell. Free of CUDA.
#ifndef COPPICE_WORKER_TRAINER_CUDA_DEVICE_STATUS_H_
#define COPPICE_WORKER_TRAINER_CUDA_DEVICE_STATUS_H_

#include "absl/status/status.h"
#include "worker/trainer/cuda/launch.h"

namespace coppice::trainer {

// NOT_FOUND: there is no such device, or nothing of CUDA on this machine. FAILED_PRECONDITION:
// there is something, and it is out of order: an old driver, say. Messages name the remedy.
absl::Status CheckCudaDevices(const CudaDevices& devices, int index);
// FAILED_PRECONDITION: this build's kernels do not run on device number `index`.
absl::Status CheckCudaDevice(const CudaDevice& device, int index);

// Whether somebody who asked for any device (`auto`) and gets the CPU is to be told why, given what
// MakeCudaAccelerator said: not where there is no GPU, or no CUDA in this build.
bool IsWorthAWarning(const absl::Status& status);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CUDA_DEVICE_STATUS_H_
