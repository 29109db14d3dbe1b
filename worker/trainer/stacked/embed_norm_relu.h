// Forward and backward passes that treat each row separately. Math and names are those of
// model/kernels.h; shapes have a leading K. An operation has the memory that it works on and a
// function for one item. cuda/launch.h runs it on the device, RunOnHost (lanes.h) on the host.
#ifndef COPPICE_WORKER_TRAINER_STACKED_EMBED_NORM_RELU_H_
#define COPPICE_WORKER_TRAINER_STACKED_EMBED_NORM_RELU_H_

#include "worker/trainer/model/kernels.h"
#include "worker/trainer/stacked/device_batch.h"
#include "worker/trainer/stacked/dropout_mask.h"

namespace coppice::trainer {

template <typename Lanes, typename T>
COPPICE_HOST_DEVICE inline void ZeroRow(const Lanes& lanes, T* row, int64_t width) {
  for (int64_t i = lanes.lane(); i < width; i += lanes.size()) row[i] = T(0);
}

// x = drop(table[token] * sqrt(d) + positions[position]).
template <typename T>
struct EmbedRow {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  DevicePack pack;
  int64_t d = 0;
  int64_t table_stride = 0;      // between the tables of two members
  const T* table = nullptr;      // [K, V, d]
  const T* positions = nullptr;  // [.., d]
  T* x = nullptr;                // [K, R, d]
  uint8_t* keep = nullptr;       // [K, R, KeepStride(d)]

  COPPICE_HOST_DEVICE int64_t items() const { return pack.members * pack.batch.rows; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    T* out = x + item * d;
    const RowPlace place = PlaceOf(pack, item);
    if (place.length == 0) return ZeroRow(lanes, out, d);
    const int64_t k = RowItemOf(pack, item).member;
    const Dropout dropout = pack.state[k].dropout;
    const T factor = static_cast<T>(sqrt(static_cast<double>(d)));
    const T scale = static_cast<T>(dropout.scale);
    const T* from = table + k * table_stride + pack.batch.tokens[item] * d;
    const T* position = positions + place.position * d;
    uint8_t* keep_row = keep + item * KeepStride(d);
    ForEachMasked(lanes, dropout, SiteNumber(DropoutSite::kEmbedding, 0), MaskRowOf(place, 0), d,
                  [&](int64_t i, bool kept) {
                    const T value = from[i] * factor + position[i];
                    out[i] = kept ? value * scale : T(0);
                    keep_row[i] = kept ? 1 : 0;
                  });
  }
};

// y = LN(x + drop(a + bias)); `bias` may be null.
template <typename T>
struct ResidualNormRow {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  DevicePack pack;
  uint32_t site = 0;
  int64_t d = 0;
  int64_t weight_stride = 0;  // between the bias, gamma and beta of two members
  const T* x = nullptr;       // [K, R, d]
  const T* a = nullptr;       // [K, R, d]
  const T* bias = nullptr;    // [K, d]
  const T* gamma = nullptr;   // [K, d]
  const T* beta = nullptr;    // [K, d]
  T* y = nullptr;             // [K, R, d]
  T* xhat = nullptr;          // [K, R, d]
  T* rstd = nullptr;          // [K, R]
  uint8_t* keep = nullptr;    // [K, R, KeepStride(d)]

  COPPICE_HOST_DEVICE int64_t items() const { return pack.members * pack.batch.rows; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    T* out = y + item * d;
    T* z = xhat + item * d;
    const RowPlace place = PlaceOf(pack, item);
    if (place.length == 0) {
      ZeroRow(lanes, out, d);
      return ZeroRow(lanes, z, d);
    }
    const int64_t weights = RowItemOf(pack, item).member * weight_stride;
    const T sum = Residual(lanes, place, item, z);
    lanes.Sync();
    const T mean = lanes.Sum(sum) / static_cast<T>(d);
    T squares = 0;
    for (int64_t i = lanes.lane(); i < d; i += lanes.size())
      squares += (z[i] - mean) * (z[i] - mean);
    const T variance = lanes.Sum(squares) / static_cast<T>(d);
    const T inverse = T(1) / static_cast<T>(sqrt(variance + T(1e-5)));
    for (int64_t i = lanes.lane(); i < d; i += lanes.size()) {
      z[i] = (z[i] - mean) * inverse;
      out[i] = z[i] * gamma[weights + i] + beta[weights + i];
    }
    if (lanes.lane() == 0) rstd[item] = inverse;
  }

 private:
  // z = x + drop(a + bias); returns the sum of the elements that this lane wrote.
  template <typename Lanes>
  COPPICE_HOST_DEVICE T Residual(const Lanes& lanes, const RowPlace& place, int64_t item,
                                 T* z) const {
    const int64_t k = RowItemOf(pack, item).member;
    const Dropout dropout = pack.state[k].dropout;
    const T scale = static_cast<T>(dropout.scale);
    const T* biases = bias == nullptr ? nullptr : bias + k * weight_stride;
    const T* branch = a + item * d;
    const T* straight = x + item * d;
    uint8_t* keep_row = keep + item * KeepStride(d);
    T sum = 0;
    ForEachMasked(lanes, dropout, site, MaskRowOf(place, 0), d, [&](int64_t i, bool kept) {
      const T value = biases == nullptr ? branch[i] : branch[i] + biases[i];
      z[i] = straight[i] + (kept ? value * scale : T(0));
      keep_row[i] = kept ? 1 : 0;
      sum += z[i];
    });
    return sum;
  }
};

// dy becomes the gradient of x from that of y; da, the gradient of a, is written. NormGradColumn
// (bias_gradients.h) must read dy before this, and SumColumn da after it.
template <typename T>
struct ResidualNormGradRow {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  DevicePack pack;
  int64_t d = 0;
  int64_t weight_stride = 0;
  T* dy = nullptr;          // [K, R, d]
  T* da = nullptr;          // [K, R, d]
  const T* xhat = nullptr;  // [K, R, d]
  const T* rstd = nullptr;  // [K, R]
  const uint8_t* keep = nullptr;
  const T* gamma = nullptr;  // [K, d]

  COPPICE_HOST_DEVICE int64_t items() const { return pack.members * pack.batch.rows; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    T* gradient = dy + item * d;
    T* branch = da + item * d;
    if (PlaceOf(pack, item).length == 0) {
      ZeroRow(lanes, gradient, d);
      return ZeroRow(lanes, branch, d);
    }
    const int64_t k = RowItemOf(pack, item).member;
    const T scale = static_cast<T>(pack.state[k].dropout.scale);
    const T* scales = gamma + k * weight_stride;
    const T* normal = xhat + item * d;
    const uint8_t* keep_row = keep + item * KeepStride(d);
    T sum = 0, product = 0;
    for (int64_t i = lanes.lane(); i < d; i += lanes.size()) {
      const T g = gradient[i] * scales[i];
      sum += g;
      product += g * normal[i];
    }
    const T mean = lanes.Sum(sum) / static_cast<T>(d);
    const T projection = lanes.Sum(product) / static_cast<T>(d);
    const T inverse = rstd[item];
    for (int64_t i = lanes.lane(); i < d; i += lanes.size()) {
      const T value = inverse * (gradient[i] * scales[i] - mean - normal[i] * projection);
      gradient[i] = value;
      branch[i] = keep_row[i] != 0 ? value * scale : T(0);
    }
  }
};

// h = drop(relu(h + bias)), in place.
template <typename T>
struct ReluRow {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  DevicePack pack;
  uint32_t site = 0;
  int64_t f = 0;
  int64_t weight_stride = 0;
  const T* bias = nullptr;  // [K, f]
  T* h = nullptr;           // [K, R, f]

  COPPICE_HOST_DEVICE int64_t items() const { return pack.members * pack.batch.rows; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    T* row = h + item * f;
    const RowPlace place = PlaceOf(pack, item);
    if (place.length == 0) return ZeroRow(lanes, row, f);
    const int64_t k = RowItemOf(pack, item).member;
    const Dropout dropout = pack.state[k].dropout;
    const T scale = static_cast<T>(dropout.scale);
    const T* biases = bias + k * weight_stride;
    ForEachMasked(lanes, dropout, site, MaskRowOf(place, 0), f, [&](int64_t i, bool kept) {
      const T value = row[i] + biases[i];
      const T active = value <= 0 ? T(0) : value;  // this form keeps NaN
      row[i] = kept ? active * scale : T(0);
    });
  }
};

// dh becomes the gradient before the activation; h is the result of ReluRow.
template <typename T>
struct ReluGradRow {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  DevicePack pack;
  int64_t f = 0;
  const T* h = nullptr;  // [K, R, f]
  T* dh = nullptr;       // [K, R, f]

  COPPICE_HOST_DEVICE int64_t items() const { return pack.members * pack.batch.rows; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    T* gradient = dh + item * f;
    if (PlaceOf(pack, item).length == 0) return ZeroRow(lanes, gradient, f);
    const T scale = static_cast<T>(pack.state[RowItemOf(pack, item).member].dropout.scale);
    const T* value = h + item * f;
    for (int64_t i = lanes.lane(); i < f; i += lanes.size())
      gradient[i] = value[i] > 0 ? gradient[i] * scale : T(0);
  }
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_EMBED_NORM_RELU_H_
