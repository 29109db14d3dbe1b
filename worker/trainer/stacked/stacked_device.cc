#include "worker/trainer/stacked/stacked_device.h"

#include "ATen/ops/empty.h"
#include "c10/core/TensorOptions.h"
#include "worker/trainer/stacked/make_ops.h"
#include "worker/trainer/stacked/stacked_loop.h"
#include "worker/trainer/train/host_memory.h"

namespace coppice::trainer {
namespace {

// The first step of each bucket is captured, which takes longer than many steps.
constexpr absl::Duration kCaptureWarmUp = absl::Milliseconds(600);

class HostGraphs : public StepGraphs {
 public:
  void Run(int64_t, const std::function<void()>&, const std::function<void()>& step) override {
    step();
  }
};

class HostEvent : public WorkEvent {
 public:
  void Record() override {}
  void Synchronize() override {}
};

class StackedHost : public StackedDevice {
 public:
  at::Device torch_device() const override { return at::kCPU; }
  std::string description() const override { return "cpu, stacked"; }
  void Enter() const override {}
  std::unique_ptr<ModelOps> MakeOps(at::ScalarType dtype) const override {
    return MakeStackedOps(dtype, at::kCPU, HostRunner());
  }
  std::unique_ptr<PackOptimizer> MakeOptimizer(at::ScalarType dtype) const override {
    return MakeStackedOptimizer(dtype, at::kCPU, HostRunner());
  }
  std::unique_ptr<StepGraphs> MakeGraphs() const override { return std::make_unique<HostGraphs>(); }
  std::unique_ptr<WorkEvent> MakeEvent() const override { return std::make_unique<HostEvent>(); }
  MemoryMeter& memory() override { return HostMemory(); }
};

}  // namespace

std::unique_ptr<PackLoop> StackedDevice::MakeLoop(const PackContext* context, const PackBuffers&) {
  return std::make_unique<StackedLoop>(context, this);
}

absl::Duration StackedDevice::warm_up() const { return kCaptureWarmUp; }

at::Tensor StackedDevice::HostBytes(int64_t count) const {
  return at::empty({count}, at::TensorOptions(at::kByte).pinned_memory(torch_device().is_cuda()));
}

std::shared_ptr<StackedDevice> MakeStackedHost() { return std::make_shared<StackedHost>(); }

}  // namespace coppice::trainer
