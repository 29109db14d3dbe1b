// Causal attention within short sequences (model/kernels.h). An item is one row of one head. Its
// lanes split the visible rows, then the head's width.
#ifndef COPPICE_WORKER_TRAINER_STACKED_ATTENTION_H_
#define COPPICE_WORKER_TRAINER_STACKED_ATTENTION_H_

#include "worker/trainer/stacked/device_batch.h"
#include "worker/trainer/stacked/dropout_mask.h"
#include "worker/trainer/stacked/embed_norm_relu.h"

namespace coppice::trainer {

// Shared by the operations below: the offsets of row `item / heads` in head `item % heads`.
struct AttentionShape {
  DevicePack pack;
  int64_t heads = 0;
  int64_t d_head = 0;
  int64_t weight_stride = 0;  // attention weights of one member

  COPPICE_HOST_DEVICE int64_t d() const { return heads * d_head; }
  COPPICE_HOST_DEVICE int64_t items() const { return pack.members * pack.batch.rows * heads; }
  COPPICE_HOST_DEVICE int64_t RowOf(int64_t item) const { return item / heads; }
  COPPICE_HOST_DEVICE int64_t HeadOf(int64_t item) const { return item % heads; }
  // Row place.index of the head's [length, length] weights.
  COPPICE_HOST_DEVICE int64_t WeightsOf(const RowPlace& place, int64_t item) const {
    const int64_t length = place.length;
    return RowItemOf(pack, RowOf(item)).member * weight_stride + place.weights +
           (HeadOf(item) * length + place.index) * length;
  }
  // Offset in a row [q: H x dh | per head (k: dh, v: dh)].
  COPPICE_HOST_DEVICE int64_t QueryOf(int64_t item) const { return HeadOf(item) * d_head; }
  COPPICE_HOST_DEVICE int64_t KeyOf(int64_t item) const { return d() + HeadOf(item) * 2 * d_head; }
};

// sum over c < n of x[c] * y[c], by one lane.
template <typename T>
COPPICE_HOST_DEVICE inline T DotByLane(const T* x, const T* y, int64_t n) {
  T sum = 0;
  for (int64_t c = 0; c < n; ++c) sum += x[c] * y[c];
  return sum;
}

// out[c] = sum over j < count of weights[j * weight_stride] * rows[j * stride + c].
template <typename Lanes, typename T>
COPPICE_HOST_DEVICE inline void WeightedRows(const Lanes& lanes, T* out, int64_t width,
                                             const T* weights, int64_t weight_stride, int64_t count,
                                             const T* rows, int64_t stride) {
  for (int64_t c = lanes.lane(); c < width; c += lanes.size()) {
    T sum = 0;
    for (int64_t j = 0; j < count; ++j) sum += weights[j * weight_stride] * rows[j * stride + c];
    out[c] = sum;
  }
}

// out[j] = softmax over j < n of score(j). A lane writes, and may read back, only its own elements.
template <typename T, typename Lanes, typename F>
COPPICE_HOST_DEVICE inline void SoftmaxOfScores(const Lanes& lanes, int64_t n, T* out, F score) {
  T largest = -INFINITY;
  for (int64_t j = lanes.lane(); j < n; j += lanes.size()) {
    out[j] = score(j);
    largest = out[j] > largest ? out[j] : largest;
  }
  largest = lanes.Max(largest);
  T sum = 0;
  for (int64_t j = lanes.lane(); j < n; j += lanes.size()) {
    out[j] = exp(out[j] - largest);
    sum += out[j];
  }
  const T inverse = T(1) / lanes.Sum(sum);
  for (int64_t j = lanes.lane(); j < n; j += lanes.size()) out[j] *= inverse;
}

template <typename T>
struct AttentionRow {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  AttentionShape shape;
  uint32_t site = 0;
  const T* qkv = nullptr;  // [K, R, 3 d]
  T* context = nullptr;    // [K, R, d]
  T* weights = nullptr;    // [K, P]
  T* dropped = nullptr;    // [K, P]; may be `weights` when dropout is off

  COPPICE_HOST_DEVICE int64_t items() const { return shape.items(); }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    const int64_t row = shape.RowOf(item), d = shape.d(), dh = shape.d_head;
    T* out = context + row * d + shape.QueryOf(item);
    const RowPlace place = PlaceOf(shape.pack, row);
    if (place.length == 0) return ZeroRow(lanes, out, dh);
    const T* base = qkv + (row - place.index) * 3 * d;  // the sequence's first row
    const T* query = qkv + row * 3 * d + shape.QueryOf(item);
    const int64_t key = shape.KeyOf(item), at = shape.WeightsOf(place, item);
    const T factor = static_cast<T>(1 / sqrt(static_cast<double>(dh)));
    SoftmaxOfScores(lanes, place.index + 1, weights + at, [&](int64_t j) {
      return DotByLane(query, base + key + j * 3 * d, dh) * factor;
    });
    const Dropout dropout = shape.pack.state[RowItemOf(shape.pack, row).member].dropout;
    const T scale = static_cast<T>(dropout.scale);
    const uint32_t mask_row = MaskRowOf(place, shape.HeadOf(item));
    for (int64_t j = lanes.lane(); j <= place.index; j += lanes.size())
      dropped[at + j] = Keeps(dropout, site, mask_row, j) ? weights[at + j] * scale : T(0);
    lanes.Sync();
    WeightedRows(lanes, out, dh, dropped + at, 1, place.index + 1, base + key + dh, 3 * d);
  }
};

// First half of the backward pass: the gradients of each row's scores and query.
template <typename T>
struct AttentionScoreGradRow {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  AttentionShape shape;
  const T* qkv = nullptr;       // [K, R, 3 d]
  const T* weights = nullptr;   // [K, P]
  const T* dropped = nullptr;   // [K, P]
  const T* dcontext = nullptr;  // [K, R, d]
  T* dscores = nullptr;         // [K, P]
  T* dqkv = nullptr;            // [K, R, 3 d]; the query's part is written

  COPPICE_HOST_DEVICE int64_t items() const { return shape.items(); }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    const int64_t row = shape.RowOf(item), d = shape.d(), dh = shape.d_head;
    T* dquery = dqkv + row * 3 * d + shape.QueryOf(item);
    const RowPlace place = PlaceOf(shape.pack, row);
    if (place.length == 0) return ZeroRow(lanes, dquery, dh);
    const T factor = static_cast<T>(1 / sqrt(static_cast<double>(dh)));
    const T* key = qkv + (row - place.index) * 3 * d + shape.KeyOf(item);
    const T* gradient = dcontext + row * d + shape.QueryOf(item);
    const int64_t at = shape.WeightsOf(place, item);
    T* ds = dscores + at;
    T sum = 0;
    for (int64_t j = lanes.lane(); j <= place.index; j += lanes.size()) {
      ds[j] = DotByLane(gradient, key + j * 3 * d + dh, dh) * dropped[at + j];
      sum += ds[j];
    }
    sum = lanes.Sum(sum);
    for (int64_t j = lanes.lane(); j <= place.index; j += lanes.size())
      ds[j] = (ds[j] - weights[at + j] * sum) * factor;
    lanes.Sync();
    WeightedRows(lanes, dquery, dh, ds, 1, place.index + 1, key, 3 * d);
  }
};

// Second half: the gradients of each row's key and value, from the rows that attended to it.
template <typename T>
struct AttentionKeyGradRow {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  AttentionShape shape;
  const T* qkv = nullptr;       // [K, R, 3 d]
  const T* dropped = nullptr;   // [K, P]
  const T* dcontext = nullptr;  // [K, R, d]
  const T* dscores = nullptr;   // [K, P]
  T* dqkv = nullptr;            // [K, R, 3 d]; the part of key and value is written

  COPPICE_HOST_DEVICE int64_t items() const { return shape.items(); }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    const int64_t row = shape.RowOf(item), d = shape.d(), dh = shape.d_head;
    T* dkey = dqkv + row * 3 * d + shape.KeyOf(item);
    const RowPlace place = PlaceOf(shape.pack, row);
    if (place.length == 0) return ZeroRow(lanes, dkey, 2 * dh);
    const int64_t length = place.length, seen_by = length - place.index;
    const int64_t at = shape.WeightsOf(place, item) + place.index;  // on the diagonal
    WeightedRows(lanes, dkey, dh, dscores + at, length, seen_by,
                 qkv + row * 3 * d + shape.QueryOf(item), 3 * d);
    WeightedRows(lanes, dkey + dh, dh, dropped + at, length, seen_by,
                 dcontext + row * d + shape.QueryOf(item), d);
  }
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_ATTENTION_H_
