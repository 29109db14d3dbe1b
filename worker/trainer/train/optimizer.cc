#include "worker/trainer/train/optimizer.h"

#include <algorithm>
#include <cmath>

#include "worker/trainer/model/kernels.h"
#include "worker/trainer/train/schedule.h"

namespace coppice::trainer {

template <typename T>
double ClippedAdamW(const TrainConfig& train, int64_t step, const OptimizerRows<T>& rows) {
  const Kernels<T>& kernels = GetKernels<T>();
  const double norm = std::sqrt(kernels.square_sum(rows.count, rows.gradients));
  if (!std::isfinite(norm)) return norm;
  AdamWArgs args;
  args.learning_rate = LearningRate(train, step);
  args.beta1 = train.beta1;
  args.beta2 = train.beta2;
  args.epsilon = train.epsilon;
  args.weight_decay = train.weight_decay;
  args.clip = std::min(1.0, train.clip_norm / (norm + 1e-6));
  args.step = step + 1;
  kernels.adamw(args, rows.count, rows.gradients, rows.adam_m, rows.adam_v, rows.parameters);
  return norm;
}

template double ClippedAdamW<float>(const TrainConfig&, int64_t, const OptimizerRows<float>&);
template double ClippedAdamW<double>(const TrainConfig&, int64_t, const OptimizerRows<double>&);

}  // namespace coppice::trainer
