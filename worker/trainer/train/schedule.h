#ifndef COPPICE_WORKER_TRAINER_TRAIN_SCHEDULE_H_
#define COPPICE_WORKER_TRAINER_TRAIN_SCHEDULE_H_

#include <cstdint>

#include "worker/trainer/config/config.h"
#include "worker/trainer/train/learning_rate.h"

namespace coppice::trainer {

inline Schedule ScheduleOf(const TrainConfig& train) {
  return {train.learning_rate, train.warmup_steps, train.lr_decay_steps};
}

inline UpdateSettings UpdateSettingsOf(const TrainConfig& train) {
  return {ScheduleOf(train), train.beta1,        train.beta2,
          train.epsilon,     train.weight_decay, train.clip_norm};
}

inline double LearningRate(const TrainConfig& train, int64_t step) {
  return LearningRateAt(ScheduleOf(train), step);
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_SCHEDULE_H_
