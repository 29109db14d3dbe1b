// The place where a stacked pack is trained. This interface has everything that differs between a
// CUDA device and the host, on which tests run the same code.
#ifndef COPPICE_WORKER_TRAINER_STACKED_ACCELERATOR_H_
#define COPPICE_WORKER_TRAINER_STACKED_ACCELERATOR_H_

#include <functional>
#include <memory>
#include <string>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "worker/trainer/stacked/stacked_ops.h"
#include "worker/trainer/train/memory_meter.h"

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

// A position in the work that a thread enqueues.
class WorkMark {
 public:
  virtual ~WorkMark() = default;
  virtual void Set() = 0;
  // Waits until all work that was enqueued before the last Set is done. Throws the errors of that
  // work.
  virtual void Await() = 0;
};

// Purpose: see above. Owner: the code that starts the training; it outlives its products.
// Thread safety: one thread calls Enter and then enqueues work. Any thread may call memory().
// Failures: errors of LibTorch and CUDA leave as exceptions.
class Accelerator {
 public:
  virtual ~Accelerator() = default;

  virtual at::Device device() const = 0;
  // For people and provenance: "cuda:0 (NVIDIA H100 80GB HBM3)".
  virtual std::string description() const = 0;
  // Makes the device and its stream current for the calling thread.
  virtual void Enter() const = 0;
  virtual std::unique_ptr<StackedOps> MakeOps(at::ScalarType dtype) const = 0;
  virtual std::unique_ptr<StepGraphs> MakeGraphs() const = 0;
  virtual std::unique_ptr<WorkMark> MakeMark() const = 0;
  virtual MemoryMeter& memory() = 0;

  // Bytes in host memory that copies to and from the accelerator can use.
  at::Tensor HostBytes(int64_t count) const;
};

// The host itself: enqueued work is done at once, and a captured step is the step itself.
std::shared_ptr<Accelerator> MakeHostAccelerator();

// CUDA device number `index`. Products of float32 use TF32 if `tf32` is set. UNIMPLEMENTED: this
// build has no CUDA. NOT_FOUND: there is no such device. FAILED_PRECONDITION: the device cannot be
// used, because of its driver or because the kernels were not compiled for it (device_status.h).
// Messages name the remedy.
absl::StatusOr<std::shared_ptr<Accelerator>> MakeCudaAccelerator(int index, bool tf32);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_ACCELERATOR_H_
