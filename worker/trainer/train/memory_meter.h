// What memory a training takes, where its tensors lie.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_MEMORY_METER_H_
#define COPPICE_WORKER_TRAINER_TRAIN_MEMORY_METER_H_

#include <cstdint>
#include <optional>

namespace coppice::trainer {

class MemoryMeter {
 public:
  virtual ~MemoryMeter() = default;

  // Of this process, now and at most since the last ResetPeak.
  virtual int64_t HeldBytes() const = 0;
  virtual int64_t PeakBytes() const = 0;
  virtual void ResetPeak() = 0;
  // What is left for it; nullopt where nobody says.
  virtual std::optional<int64_t> AvailableBytes() const = 0;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_MEMORY_METER_H_
