// A device that trains a pack as one stacked model. This interface has everything that differs
// between a CUDA device and the host, on which tests run the same code.
#ifndef COPPICE_WORKER_TRAINER_STACKED_STACKED_DEVICE_H_
#define COPPICE_WORKER_TRAINER_STACKED_STACKED_DEVICE_H_

#include <functional>
#include <memory>

#include "ATen/core/Tensor.h"
#include "worker/trainer/model/model_ops.h"
#include "worker/trainer/stacked/stacked_optimizer.h"
#include "worker/trainer/train/device.h"

namespace coppice::trainer {

// Steps of fixed shapes, one for each bucket. Each is captured once and then replayed.
class StepGraphs {
 public:
  virtual ~StepGraphs() = default;
  // Enqueues the bucket's `step`, which must be the same work on the same memory each time. Before
  // the first step of a bucket, `warm_up` is enqueued: the same shapes, without effect on the
  // training. It creates everything that is created on first use, which a capture could not do.
  virtual void Run(int64_t bucket, const std::function<void()>& warm_up,
                   const std::function<void()>& step) = 0;
};

// A position in the work that a thread enqueues, as a CUDA event.
class WorkEvent {
 public:
  virtual ~WorkEvent() = default;
  virtual void Record() = 0;
  // Waits until all work that was enqueued before the last Record is done. Throws the errors of
  // that work.
  virtual void Synchronize() = 0;
};

// Thread safety: one thread calls Enter and then enqueues work. Any thread may call memory().
// Failures: errors of LibTorch and CUDA leave as exceptions.
class StackedDevice : public Device {
 public:
  bool is_cpu() const final { return false; }
  std::unique_ptr<PackLoop> MakeLoop(const PackContext* context,
                                     const PackBuffers& buffers) override;
  absl::Duration warm_up() const override;

  virtual at::Device torch_device() const = 0;
  // Makes the device and its stream current for the calling thread.
  virtual void Enter() const = 0;
  virtual std::unique_ptr<ModelOps> MakeOps(at::ScalarType dtype) const = 0;
  virtual std::unique_ptr<PackOptimizer> MakeOptimizer(at::ScalarType dtype) const = 0;
  virtual std::unique_ptr<StepGraphs> MakeGraphs() const = 0;
  virtual std::unique_ptr<WorkEvent> MakeEvent() const = 0;

  // Bytes in host memory that copies to and from the device can use.
  at::Tensor HostBytes(int64_t count) const;
};

// The host itself: enqueued work is done at once, and a captured step is the step itself.
std::shared_ptr<StackedDevice> MakeStackedHost();

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_STACKED_DEVICE_H_
