// Gradients that sum over a member's rows. One lane owns a column and adds its rows in order,
// without atomics. So the bits are the same in every run, and depend on neither pack nor bucket.
#ifndef COPPICE_WORKER_TRAINER_STACKED_BIAS_GRADIENTS_H_
#define COPPICE_WORKER_TRAINER_STACKED_BIAS_GRADIENTS_H_

#include "worker/trainer/model/kernels.h"
#include "worker/trainer/stacked/device_batch.h"

namespace coppice::trainer {

// out[k][c] = sum over the member's rows of x[k][r][c].
template <typename T>
struct SumColumn {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kThread;
  DevicePack pack;
  int64_t width = 0;
  int64_t out_stride = 0;  // between two members
  const T* x = nullptr;    // [K, R, width]
  T* out = nullptr;        // [K, width]

  COPPICE_HOST_DEVICE int64_t items() const { return pack.members * width; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes&, int64_t item) const {
    const int64_t k = item / width, c = item % width;
    const T* from = x + k * pack.batch.rows * width + c;
    T sum = 0;
    for (int64_t r = 0; r < pack.batch.row_counts[k]; ++r) sum += from[r * width];
    out[k * out_stride + c] = sum;
  }
};

// dgamma and dbeta from the gradient of y. Runs before ResidualNormGradRow replaces it.
template <typename T>
struct NormGradColumn {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kThread;
  DevicePack pack;
  int64_t d = 0;
  int64_t out_stride = 0;
  const T* dy = nullptr;    // [K, R, d]
  const T* xhat = nullptr;  // [K, R, d]
  T* dgamma = nullptr;      // [K, d]
  T* dbeta = nullptr;       // [K, d]

  COPPICE_HOST_DEVICE int64_t items() const { return pack.members * d; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes&, int64_t item) const {
    const int64_t k = item / d, c = item % d;
    const int64_t first = k * pack.batch.rows * d + c;
    T gamma = 0, beta = 0;
    for (int64_t r = 0; r < pack.batch.row_counts[k]; ++r) {
      const T gradient = dy[first + r * d];
      gamma += gradient * xhat[first + r * d];
      beta += gradient;
    }
    dgamma[k * out_stride + c] = gamma;
    dbeta[k * out_stride + c] = beta;
  }
};

// The table's gradient. An item is one element; it adds the rows that contain its word.
template <typename T>
struct EmbedGradElement {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kThread;
  DevicePack pack;
  int64_t d = 0;
  int64_t vocabulary = 0;
  int64_t out_stride = 0;
  const T* dx = nullptr;          // [K, R, d]
  const uint8_t* keep = nullptr;  // [K, R, KeepStride(d)]
  T* dtable = nullptr;            // [K, V, d]

  COPPICE_HOST_DEVICE int64_t items() const { return pack.members * vocabulary * d; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes&, int64_t item) const {
    const int64_t k = item / (vocabulary * d), word = item / d % vocabulary, c = item % d;
    const int64_t first = k * pack.batch.rows;
    const T factor = static_cast<T>(sqrt(static_cast<double>(d)) * pack.state[k].dropout.scale);
    T sum = 0;
    for (int64_t r = 0; r < pack.batch.row_counts[k]; ++r) {
      if (pack.batch.tokens[first + r] != word) continue;
      if (keep[(first + r) * KeepStride(d) + c] != 0) sum += dx[(first + r) * d + c] * factor;
    }
    dtable[k * out_stride + word * d + c] = sum;
  }
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_BIAS_GRADIENTS_H_
