#ifndef COPPICE_WORKER_TRAINER_TRAIN_SCHEDULE_H_
#define COPPICE_WORKER_TRAINER_TRAIN_SCHEDULE_H_

#include <algorithm>
#include <cstdint>

#include "worker/trainer/config.h"

namespace coppice::trainer {

// The learning rate of the update that takes a member from `step` to step + 1: linear from 0 to its
// peak over warmup_steps, then linear to 0 at lr_decay_steps. (The very first update therefore has
// rate 0, as in the released code.)
inline double LearningRate(const TrainConfig& train, int64_t step) {
  if (step < train.warmup_steps) {
    return train.learning_rate * static_cast<double>(step) /
           static_cast<double>(train.warmup_steps);
  }
  const double left = static_cast<double>(train.lr_decay_steps - step) /
                      static_cast<double>(train.lr_decay_steps - train.warmup_steps);
  return train.learning_rate * std::max(0.0, left);
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_SCHEDULE_H_
