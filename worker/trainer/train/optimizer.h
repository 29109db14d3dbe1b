#ifndef COPPICE_WORKER_TRAINER_TRAIN_OPTIMIZER_H_
#define COPPICE_WORKER_TRAINER_TRAIN_OPTIMIZER_H_

#include <cstdint>

#include "worker/trainer/config/config.h"

namespace coppice::trainer {

// One member's row of each flat buffer, `count` elements.
template <typename T>
struct OptimizerRows {
  int64_t count = 0;
  const T* gradients = nullptr;
  T* adam_m = nullptr;
  T* adam_v = nullptr;
  T* parameters = nullptr;
};

// The update from `step` to step + 1. Clips the gradient to train.clip_norm by its global norm
// (factor clip / (norm + 1e-6), at most 1), then applies Adam with decoupled weight decay
// (Loshchilov & Hutter 2019). Returns the norm before clipping. If it is not finite, nothing was
// changed.
template <typename T>
double ClippedAdamW(const TrainConfig& train, int64_t step, const OptimizerRows<T>& rows);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_OPTIMIZER_H_
