// The optimizer's settings and its learning rate, as both host and device compute them. Free of
// headers that a CUDA compiler need not read.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_LEARNING_RATE_H_
#define COPPICE_WORKER_TRAINER_TRAIN_LEARNING_RATE_H_

#include <cstdint>

#include "worker/trainer/base/host_device.h"

namespace coppice::trainer {

struct Schedule {
  double peak = 0;
  int64_t warmup_steps = 0;
  int64_t decay_steps = 0;  // the step from which the rate is 0 again
};

struct UpdateSettings {
  Schedule schedule;
  double beta1 = 0, beta2 = 0, epsilon = 0, weight_decay = 0;
  double clip_norm = 0;
};

// The learning rate of the update from `step` to step + 1. It rises linearly from 0 to its peak
// over warmup_steps, then falls linearly to 0 at decay_steps. (So the very first update has rate 0,
// as in the released code.)
COPPICE_HOST_DEVICE inline double LearningRateAt(const Schedule& schedule, int64_t step) {
  if (step < schedule.warmup_steps) {
    return schedule.peak * static_cast<double>(step) / static_cast<double>(schedule.warmup_steps);
  }
  const double left = static_cast<double>(schedule.decay_steps - step) /
                      static_cast<double>(schedule.decay_steps - schedule.warmup_steps);
  return schedule.peak * (left > 0 ? left : 0);
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_LEARNING_RATE_H_
