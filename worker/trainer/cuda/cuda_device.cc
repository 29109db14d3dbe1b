// A CUDA device by LibTorch's stream, graphs, events and allocator. Only this file needs a LibTorch
// with CUDA.
#include "worker/trainer/cuda/cuda_device.h"

#include <ATen/Context.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/trainer/cuda/capture.h"
#include "worker/trainer/cuda/device_status.h"
#include "worker/trainer/cuda/launch.h"
#include "worker/trainer/stacked/make_ops.h"

namespace coppice::trainer {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

constexpr size_t kAllPools = 0;  // index in the allocator's statistics

struct StreamRunner {
  template <typename Operation>
  void operator()(const Operation& operation) const {
    Launch(operation, c10::cuda::getCurrentCUDAStream().stream());
  }
};

// Captures with LibTorch's own calls, so that its allocator knows of the capture. All memory of a
// step exists before, so a graph's own pool stays empty.
class CudaGraphs : public StepGraphs {
 public:
  void Run(int64_t bucket, const std::function<void()>& warm_up,
           const std::function<void()>& step) override {
    std::unique_ptr<at::cuda::CUDAGraph>& graph = graphs_[bucket];
    if (graph == nullptr) {
      warm_up();
      // Work that the device still does must not overlap with a capture.
      c10::cuda::getCurrentCUDAStream().synchronize();
      auto captured = std::make_unique<at::cuda::CUDAGraph>();
      // Calls of other threads, e.g. for the available memory, do not disturb it.
      Capture(
          [&] {
            captured->capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
          },
          step, [&] { captured->capture_end(); });
      graph = std::move(captured);
    }
    graph->replay();
  }

 private:
  std::map<int64_t, std::unique_ptr<at::cuda::CUDAGraph>> graphs_;
};

class CudaEvent : public WorkEvent {
 public:
  void Record() override { event_.record(); }
  void Synchronize() override { event_.synchronize(); }

 private:
  at::cuda::CUDAEvent event_;
};

// The memory that LibTorch's allocator holds on the device, without the driver's own part.
class CudaMemory : public MemoryMeter {
 public:
  explicit CudaMemory(c10::DeviceIndex index) : index_(index) {}

  int64_t HeldBytes() const override {
    return allocator::getDeviceStats(index_).reserved_bytes[kAllPools].current;
  }
  int64_t PeakBytes() const override {
    return allocator::getDeviceStats(index_).reserved_bytes[kAllPools].peak;
  }
  void ResetPeak() override {
    allocator::emptyCache();
    allocator::resetPeakStats(index_);
  }
  std::optional<int64_t> AvailableBytes() const override {
    const c10::DeviceIndex before = c10::cuda::current_device();
    c10::cuda::set_device(index_);
    size_t free = 0, total = 0;
    const cudaError_t error = cudaMemGetInfo(&free, &total);
    c10::cuda::set_device(before);
    if (error != cudaSuccess) return std::nullopt;
    // The allocator can reuse the memory that it keeps of freed tensors.
    const auto stats = allocator::getDeviceStats(index_);
    return static_cast<int64_t>(free) + stats.reserved_bytes[kAllPools].current -
           stats.allocated_bytes[kAllPools].current;
  }

 private:
  const c10::DeviceIndex index_;
};

class CudaDevice : public StackedDevice {
 public:
  CudaDevice(c10::DeviceIndex index, std::string name)
      : index_(index),
        name_(std::move(name)),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, index)),
        memory_(index) {}

  at::Device torch_device() const override { return {at::kCUDA, index_}; }
  std::string description() const override {
    return absl::StrCat("cuda:", static_cast<int>(index_), " (", name_, ")");
  }
  void Enter() const override {
    c10::cuda::set_device(index_);
    c10::cuda::setCurrentCUDAStream(stream_);
  }
  std::unique_ptr<ModelOps> MakeOps(at::ScalarType dtype) const override {
    return MakeStackedOps(dtype, torch_device(), StreamRunner());
  }
  std::unique_ptr<PackOptimizer> MakeOptimizer(at::ScalarType dtype) const override {
    return MakeStackedOptimizer(dtype, torch_device(), StreamRunner());
  }
  std::unique_ptr<StepGraphs> MakeGraphs() const override { return std::make_unique<CudaGraphs>(); }
  std::unique_ptr<WorkEvent> MakeEvent() const override { return std::make_unique<CudaEvent>(); }
  MemoryMeter& memory() override { return memory_; }

 private:
  const c10::DeviceIndex index_;
  const std::string name_;
  const c10::cuda::CUDAStream stream_;
  CudaMemory memory_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<StackedDevice>> MakeCudaDevice(int index, bool tf32) {
  const CudaDeviceList devices = FindCudaDevices();
  COPPICE_RETURN_IF_ERROR(CheckCudaDevices(devices, index));
  const CudaDeviceInfo device = DescribeCudaDevice(index);
  COPPICE_RETURN_IF_ERROR(CheckCudaDevice(device, index));
  at::globalContext().setAllowTF32CuBLAS(tf32);
  auto made = std::make_shared<CudaDevice>(static_cast<c10::DeviceIndex>(index), device.name);
  // The first tensor creates the device's context and LibTorch's allocator, whose statistics can
  // then be read.
  at::empty({1}, at::TensorOptions(at::kByte).device(made->torch_device()));
  return std::shared_ptr<StackedDevice>(std::move(made));
}

CudaReport ReportCudaDevices() {
  CudaReport report;
  report.built = true;
  report.list = FindCudaDevices();
  for (int i = 0; i < report.list.count; ++i) report.devices.push_back(DescribeCudaDevice(i));
  return report;
}

}  // namespace coppice::trainer
