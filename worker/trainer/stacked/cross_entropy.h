// Cross-entropy and its gradient (model/kernels.h).
#ifndef COPPICE_WORKER_TRAINER_STACKED_CROSS_ENTROPY_H_
#define COPPICE_WORKER_TRAINER_STACKED_CROSS_ENTROPY_H_

#include "worker/trainer/stacked/embed_norm_relu.h"

namespace coppice::trainer {

// The logits become the gradient of the member's mean loss; `losses` gets the loss of each row.
// SumColumn computes the bias's gradient.
template <typename T>
struct CrossEntropyRow {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  DevicePack pack;
  int64_t vocabulary = 0;
  int64_t weight_stride = 0;
  const T* bias = nullptr;   // [K, V]
  T* logits = nullptr;       // [K, R, V]
  double* losses = nullptr;  // [K, R]

  COPPICE_HOST_DEVICE int64_t items() const { return pack.members * pack.batch.rows; }

  // Except for the target's logit, a lane reads back only its own elements.
  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    T* row = logits + item * vocabulary;
    if (PlaceOf(pack, item).length == 0) {
      if (lanes.lane() == 0) losses[item] = 0;
      return ZeroRow(lanes, row, vocabulary);
    }
    const int64_t k = RowItemOf(pack, item).member, target = pack.batch.targets[item];
    const T* biases = bias + k * weight_stride;
    T largest = -INFINITY;
    for (int64_t i = lanes.lane(); i < vocabulary; i += lanes.size()) {
      row[i] += biases[i];
      largest = row[i] > largest ? row[i] : largest;
    }
    largest = lanes.Max(largest);
    T sum = 0, own = 0;
    for (int64_t i = lanes.lane(); i < vocabulary; i += lanes.size()) {
      const T shifted = row[i] - largest;
      if (i == target) own = shifted;
      row[i] = exp(shifted);
      sum += row[i];
    }
    sum = lanes.Sum(sum);
    own = lanes.Sum(own);
    const T inverse_rows = T(1) / static_cast<T>(pack.batch.row_counts[k]);
    const T factor = inverse_rows / sum;
    for (int64_t i = lanes.lane(); i < vocabulary; i += lanes.size())
      row[i] = row[i] * factor - (i == target ? inverse_rows : T(0));
    if (lanes.lane() == 0) losses[item] = log(static_cast<double>(sum)) - static_cast<double>(own);
  }
};

// The mean loss of each member that has not stopped. Rows are added in order.
struct MeanLoss {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kThread;
  DevicePack pack;
  const double* losses = nullptr;  // [K, R]

  COPPICE_HOST_DEVICE int64_t items() const { return pack.members; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes&, int64_t k) const {
    if (pack.state[k].stopped != 0) return;  // keeps the loss at which it stopped
    const int64_t rows = pack.batch.row_counts[k];
    double sum = 0;
    for (int64_t r = 0; r < rows; ++r) sum += losses[k * pack.batch.rows + r];
    pack.state[k].loss = rows == 0 ? 0 : sum / static_cast<double>(rows);
  }
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_CROSS_ENTROPY_H_
