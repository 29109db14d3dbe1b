// The memory that training takes, in the place of its tensors.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_MEMORY_METER_H_
#define COPPICE_WORKER_TRAINER_TRAIN_MEMORY_METER_H_

#include <cstdint>
#include <optional>

namespace coppice::trainer {

class MemoryMeter {
 public:
  virtual ~MemoryMeter() = default;

  // The memory of this process: now, and its peak since the last ResetPeak.
  virtual int64_t HeldBytes() const = 0;
  virtual int64_t PeakBytes() const = 0;
  virtual void ResetPeak() = 0;
  // The memory that is left for this process; nullopt: unknown.
  virtual std::optional<int64_t> AvailableBytes() const = 0;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_MEMORY_METER_H_
