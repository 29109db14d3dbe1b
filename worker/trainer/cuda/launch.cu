#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "worker/trainer/cuda/launch.h"
#include "worker/trainer/stacked/adamw.h"
#include "worker/trainer/stacked/attention.h"
#include "worker/trainer/stacked/bias_gradients.h"
#include "worker/trainer/stacked/cross_entropy.h"
#include "worker/trainer/stacked/embed_norm_relu.h"
#include "worker/trainer/stacked/path_attention.h"
#include "worker/trainer/stacked/span_cosines.h"

namespace coppice::trainer {
namespace {

constexpr int kWarpLanes = 32;
constexpr int kThreads = 256;  // per block

// The 32 lanes of a warp. An exchange by exclusive-or adds the same pairs in every lane, so all
// lanes have the same bits.
struct Warp {
  __device__ int64_t lane() const { return threadIdx.x % kWarpLanes; }
  __device__ int64_t size() const { return kWarpLanes; }
  template <typename T>
  __device__ T Sum(T value) const {
    for (int offset = kWarpLanes / 2; offset > 0; offset /= 2)
      value += __shfl_xor_sync(0xffffffffu, value, offset);
    return value;
  }
  template <typename T>
  __device__ T Max(T value) const {
    for (int offset = kWarpLanes / 2; offset > 0; offset /= 2) {
      const T other = __shfl_xor_sync(0xffffffffu, value, offset);
      value = other > value ? other : value;
    }
    return value;
  }
  __device__ void Sync() const { __syncwarp(); }
};

template <typename Operation>
__global__ void __launch_bounds__(kThreads) RunByThread(const Operation operation, int64_t items) {
  const int64_t item = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (item < items) operation(OneLane(), item);
}

// A warp shares one item, so its lanes do not diverge.
template <typename Operation>
__global__ void __launch_bounds__(kThreads) RunByWarp(const Operation operation, int64_t items) {
  const int64_t item = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kWarpLanes;
  if (item < items) operation(Warp(), item);
}

}  // namespace

CudaDeviceList FindCudaDevices() {
  CudaDeviceList devices;
  const cudaError_t error = cudaGetDeviceCount(&devices.count);
  static_assert(cudaErrorInsufficientDriver == kCudaOldDriver);
  static_assert(cudaErrorNoDevice == kCudaNoDevice);
  cudaDriverGetVersion(&devices.driver_version);
  cudaRuntimeGetVersion(&devices.runtime_version);
  devices.code = static_cast<int>(error);
  if (error != cudaSuccess) {
    devices.count = 0;
    devices.error = cudaGetErrorString(error);
    cudaGetLastError();  // clears the error for later calls
  } else if (devices.count == 0) {
    devices.error = "there is none";
  }
  return devices;
}

CudaDeviceInfo DescribeCudaDevice(int index) {
  CudaDeviceInfo device;
  cudaDeviceProp properties;
  cudaError_t error = cudaGetDeviceProperties(&properties, index);
  if (error == cudaSuccess) {
    device.name = properties.name;
    device.major = properties.major;
    device.minor = properties.minor;
    device.memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
    error = cudaSetDevice(index);
  }
  // One kernel represents all, because all are compiled for the same devices.
  cudaFuncAttributes attributes;
  if (error == cudaSuccess) error = cudaFuncGetAttributes(&attributes, RunByWarp<PrepareUpdate>);
  if (error != cudaSuccess) {
    device.error = cudaGetErrorString(error);
    cudaGetLastError();
  }
  return device;
}

template <typename Operation>
void Launch(const Operation& operation, CUstream_st* stream) {
  const int64_t items = operation.items();
  if (items == 0) return;
  constexpr bool kByWarp = Operation::kLaneGroup == LaneGroup::kWarp;
  constexpr int64_t kItems = kByWarp ? kThreads / kWarpLanes : kThreads;
  const dim3 blocks(static_cast<unsigned>((items + kItems - 1) / kItems));
  if constexpr (kByWarp) {
    RunByWarp<<<blocks, kThreads, 0, stream>>>(operation, items);
  } else {
    RunByThread<<<blocks, kThreads, 0, stream>>>(operation, items);
  }
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess)
    throw std::runtime_error(std::string("CUDA refused a launch: ") + cudaGetErrorString(error));
}

#define COPPICE_LAUNCH_BOTH(Operation)                                \
  template void Launch(const Operation<float>&, CUstream_st* stream); \
  template void Launch(const Operation<double>&, CUstream_st* stream);

COPPICE_LAUNCH_BOTH(EmbedRow)
COPPICE_LAUNCH_BOTH(ResidualNormRow)
COPPICE_LAUNCH_BOTH(ResidualNormGradRow)
COPPICE_LAUNCH_BOTH(ReluRow)
COPPICE_LAUNCH_BOTH(ReluGradRow)
COPPICE_LAUNCH_BOTH(SumColumn)
COPPICE_LAUNCH_BOTH(NormGradColumn)
COPPICE_LAUNCH_BOTH(EmbedGradElement)
COPPICE_LAUNCH_BOTH(AttentionRow)
COPPICE_LAUNCH_BOTH(AttentionScoreGradRow)
COPPICE_LAUNCH_BOTH(AttentionKeyGradRow)
COPPICE_LAUNCH_BOTH(CrossEntropyRow)
COPPICE_LAUNCH_BOTH(SquareSumChunk)
COPPICE_LAUNCH_BOTH(AdamWElement)
COPPICE_LAUNCH_BOTH(PathAttentionRow)
COPPICE_LAUNCH_BOTH(PathEntropyRow)
COPPICE_LAUNCH_BOTH(SpanCosineChain)
template void Launch(const MeanLoss&, CUstream_st* stream);
template void Launch(const PrepareUpdate&, CUstream_st* stream);

}  // namespace coppice::trainer
