#include "worker/trainer/train/cpu_loop.h"

#include <algorithm>
#include <thread>

#include "ATen/ops/zeros.h"
#include "c10/core/InferenceMode.h"
#include "worker/trainer/train/device.h"
#include "worker/trainer/train/host_memory.h"
#include "worker/trainer/train/runtime.h"

namespace coppice::trainer {
namespace {

// The time for which a thread trains a member before it picks the one with the smallest step.
constexpr absl::Duration kQuantum = absl::Milliseconds(200);
constexpr absl::Duration kWarmUp = absl::Milliseconds(100);

class Cpu : public Device {
 public:
  bool is_cpu() const override { return true; }
  std::string description() const override { return "cpu"; }
  std::unique_ptr<PackLoop> MakeLoop(const PackContext* context,
                                     const PackBuffers& buffers) override {
    return std::make_unique<CpuLoop>(context, buffers);
  }
  MemoryMeter& memory() override { return HostMemory(); }
  absl::Duration warm_up() const override { return kWarmUp; }
};

}  // namespace

std::shared_ptr<Device> MakeCpu() { return std::make_shared<Cpu>(); }

CpuLoop::CpuLoop(const PackContext* context, const PackBuffers& buffers)
    : context_(context),
      parameters_(buffers.parameters),
      gradients_(at::zeros(buffers.parameters.sizes(), at::kFloat)) {
  // They are written before they are read. Touched at once, their memory is counted.
  buffers.snapshots.zero_();
}

void CpuLoop::Run(const std::vector<Member*>& members) {
  std::vector<std::unique_ptr<MemberTrainer>> trainers;
  for (Member* member : members) {
    trainers.push_back(std::make_unique<MemberTrainer>(context_, member,
                                                       parameters_.narrow(0, member->index(), 1),
                                                       gradients_.narrow(0, member->index(), 1)));
  }
  const auto count = std::min<int64_t>(context_->threads, static_cast<int64_t>(members.size()));
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& trainer : trainers) ready_.push_back(trainer.get());
  }
  std::vector<std::thread> others;
  for (int64_t i = 1; i < count; ++i) others.emplace_back([this] { Work(); });
  if (count > 0) Work();
  for (std::thread& thread : others) thread.join();
}

void CpuLoop::Work() {
  PrepareComputeThread();
  const c10::InferenceMode no_autograd;
  Transformer model(*context_->layout, context_->max_length, at::kFloat, MakeCpuOps(at::kFloat));
  // There are never more threads than members. So a thread that finds no ready member leaves one to
  // each other thread.
  while (MemberTrainer* trainer = TakeFurthestBack()) {
    trainer->Advance(&model, kQuantum);
    if (trainer->member().state() != MemberState::kRunning) continue;
    absl::MutexLock lock(&mutex_);
    ready_.push_back(trainer);
  }
}

MemberTrainer* CpuLoop::TakeFurthestBack() {
  absl::MutexLock lock(&mutex_);
  if (ready_.empty()) return nullptr;
  const auto furthest_back = std::min_element(ready_.begin(), ready_.end(),
                                              [](const MemberTrainer* a, const MemberTrainer* b) {
                                                return a->member().step() < b->member().step();
                                              });
  MemberTrainer* const trainer = *furthest_back;
  ready_.erase(furthest_back);
  return trainer;
}

}  // namespace coppice::trainer
