// Runs the operations of this folder on the device. The one header of the folder whose functions
// exist only in a build with CUDA (COPPICE_CUDA).
#ifndef COPPICE_WORKER_TRAINER_CUDA_LAUNCH_H_
#define COPPICE_WORKER_TRAINER_CUDA_LAUNCH_H_

#include <string>

struct CUstream_st;

namespace coppice::trainer {

// The devices this process may see. `code` and `error` are what the runtime said when it was asked.
struct CudaDevices {
  int count = 0;
  int code = 0;  // 0: no error
  std::string error;
  int driver_version = 0, runtime_version = 0;  // 13000 is 13.0; 0: there is no driver
};
CudaDevices FindCudaDevices();
// Of the runtime's codes: cudaErrorInsufficientDriver, cudaErrorNoDevice.
inline constexpr int kCudaOldDriver = 35, kCudaNoDevice = 100;

// `error` says why this build's kernels do not run on it; empty: they do. Makes it the calling
// thread's device.
struct CudaDevice {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  std::string error;
};
CudaDevice DescribeCudaDevice(int index);

// Enqueues the operation, for each of its items, on a stream of the current device; what it points
// to must be that device's memory. Nothing is waited for, so it may be captured into a graph.
// Defined for every operation of this folder, in float and in double. Throws std::runtime_error
// when the launch is refused; what goes wrong later is reported by whoever synchronizes.
template <typename Operation>
void Launch(const Operation& operation, CUstream_st* stream);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CUDA_LAUNCH_H_
