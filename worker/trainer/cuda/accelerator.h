// Where a stacked pack is trained: all that differs between a CUDA device and the host, on which
// the tests run the same code.
#ifndef COPPICE_WORKER_TRAINER_CUDA_ACCELERATOR_H_
#define COPPICE_WORKER_TRAINER_CUDA_ACCELERATOR_H_

#include <functional>
#include <memory>
#include <string>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "worker/trainer/cuda/stacked_ops.h"
#include "worker/trainer/train/memory_meter.h"

namespace coppice::trainer {

// Steps of fixed shapes, one for each bucket, that are captured once and replayed.
class StepGraphs {
 public:
  virtual ~StepGraphs() = default;
  // Enqueues the bucket's `step`, which must be the same work on the same memory each time. The
  // first time in a bucket `warm_up` is enqueued before: the same shapes, with no effect on what is
  // trained, so that the capture meets nothing that is made on first use.
  virtual void Run(int64_t bucket, const std::function<void()>& warm_up,
                   const std::function<void()>& step) = 0;
};

// A place in the work that a thread enqueues.
class WorkMark {
 public:
  virtual ~WorkMark() = default;
  virtual void Set() = 0;
  // Returns when all that was enqueued before the last Set is done. Throws what went wrong in it.
  virtual void Await() = 0;
};

// Purpose: as above. Owner: who starts the training; it outlives what it made.
// Thread safety: one thread enqueues, which has called Enter first; memory() may be asked by any.
// Failures: what LibTorch and CUDA refuse leaves as an exception.
class Accelerator {
 public:
  virtual ~Accelerator() = default;

  virtual at::Device device() const = 0;
  // For people and provenance: "cuda:0 (NVIDIA H100 80GB HBM3)".
  virtual std::string description() const = 0;
  // Makes the device and its stream those of the calling thread.
  virtual void Enter() const = 0;
  virtual std::unique_ptr<StackedOps> MakeOps(at::ScalarType dtype) const = 0;
  virtual std::unique_ptr<StepGraphs> MakeGraphs() const = 0;
  virtual std::unique_ptr<WorkMark> MakeMark() const = 0;
  virtual MemoryMeter& memory() = 0;

  // Bytes in host memory from which and to which copies can be enqueued.
  at::Tensor HostBytes(int64_t count) const;
};

// The host itself: work is done when it is enqueued, and a captured step is the step.
std::shared_ptr<Accelerator> MakeHostAccelerator();

// CUDA device number `index`; products of float32 go through TF32 where `tf32` says so.
// UNIMPLEMENTED: this build has no CUDA. NOT_FOUND: there is no such device. FAILED_PRECONDITION:
// it cannot be used, because of its driver or because the kernels were not compiled for it
// (device_status.h). Messages name the remedy.
absl::StatusOr<std::shared_ptr<Accelerator>> MakeCudaAccelerator(int index, bool tf32);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CUDA_ACCELERATOR_H_
