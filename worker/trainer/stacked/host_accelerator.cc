#include "ATen/ops/empty.h"
#include "c10/core/TensorOptions.h"
#include "worker/trainer/stacked/accelerator.h"
#include "worker/trainer/train/host_memory.h"

namespace coppice::trainer {
namespace {

class HostGraphs : public StepGraphs {
 public:
  void Run(int64_t, const std::function<void()>&, const std::function<void()>& step) override {
    step();
  }
};

class HostMark : public WorkMark {
 public:
  void Set() override {}
  void Await() override {}
};

class HostAccelerator : public Accelerator {
 public:
  at::Device device() const override { return at::kCPU; }
  std::string description() const override { return "cpu, stacked"; }
  void Enter() const override {}
  std::unique_ptr<StackedOps> MakeOps(at::ScalarType dtype) const override {
    return MakeHostStackedOps(dtype);
  }
  std::unique_ptr<StepGraphs> MakeGraphs() const override { return std::make_unique<HostGraphs>(); }
  std::unique_ptr<WorkMark> MakeMark() const override { return std::make_unique<HostMark>(); }
  MemoryMeter& memory() override { return HostMemory(); }
};

}  // namespace

at::Tensor Accelerator::HostBytes(int64_t count) const {
  return at::empty({count}, at::TensorOptions(at::kByte).pinned_memory(device().is_cuda()));
}

std::shared_ptr<Accelerator> MakeHostAccelerator() { return std::make_shared<HostAccelerator>(); }

}  // namespace coppice::trainer
