// Runs the operations of worker/trainer/stacked/ on the device. These functions exist only in a
// build with CUDA (COPPICE_CUDA).
#ifndef COPPICE_WORKER_TRAINER_CUDA_LAUNCH_H_
#define COPPICE_WORKER_TRAINER_CUDA_LAUNCH_H_

#include <cstdint>
#include <string>

struct CUstream_st;

namespace coppice::trainer {

// The devices that are visible to this process. `code` and `error` are the runtime's answer.
struct CudaDeviceList {
  int count = 0;
  int code = 0;  // 0: no error
  std::string error;
  int driver_version = 0, runtime_version = 0;  // 13000 is 13.0; 0: there is no driver
};
CudaDeviceList FindCudaDevices();
// The runtime's codes cudaErrorInsufficientDriver and cudaErrorNoDevice.
inline constexpr int kCudaOldDriver = 35, kCudaNoDevice = 100;

// `error` says why this build's kernels do not run on the device; empty: they do.
// DescribeCudaDevice makes it the calling thread's device.
struct CudaDeviceInfo {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  std::string error;
  int64_t memory_bytes = 0;
};
CudaDeviceInfo DescribeCudaDevice(int index);

// Enqueues the operation for each of its items on a stream of the current device. The operation
// must point to that device's memory. Does not wait, so it may be captured into a graph. Defined
// for every operation of stacked/, in float and in double. Throws std::runtime_error when the
// launch is refused. Later errors appear at the next synchronization.
template <typename Operation>
void Launch(const Operation& operation, CUstream_st* stream);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CUDA_LAUNCH_H_
