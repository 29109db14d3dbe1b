// The place where packs are trained.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_DEVICE_H_
#define COPPICE_WORKER_TRAINER_TRAIN_DEVICE_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "worker/trainer/train/memory_meter.h"
#include "worker/trainer/train/pack_loop.h"

namespace coppice::trainer {

// Purpose: everything that the engine and `measure` need to know of a device. Two kinds: the CPU
// (below), and a StackedDevice (stacked/stacked_device.h). Owner: the code that starts the
// training; it outlives its loops. Thread safety: see StackedDevice; the CPU has no state.
class Device {
 public:
  virtual ~Device() = default;

  // True for the CPU, which trains each member by itself, in float32.
  virtual bool is_cpu() const = 0;
  // For people and provenance: "cpu", or "cuda:0 (NVIDIA H100 80GB HBM3)".
  virtual std::string description() const = 0;
  // `context` outlives the loop. The buffers are not yet filled.
  virtual std::unique_ptr<PackLoop> MakeLoop(const PackContext* context,
                                             const PackBuffers& buffers) = 0;
  virtual MemoryMeter& memory() = 0;
  // The training time after which steps have their final speed.
  virtual absl::Duration warm_up() const = 0;
};

std::shared_ptr<Device> MakeCpu();

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_DEVICE_H_
