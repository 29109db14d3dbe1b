// Attention of single rows over the rows in a list, without dropout: for a prefix tree's paths
// (model/prefix_tree.h) and for a decoder's cache.
#ifndef COPPICE_WORKER_TRAINER_STACKED_PATH_ATTENTION_H_
#define COPPICE_WORKER_TRAINER_STACKED_PATH_ATTENTION_H_

#include "worker/trainer/stacked/attention.h"

namespace coppice::trainer {

// The rows that each of R rows attends to, first word first; the same for all members.
struct Paths {
  int64_t rows = 0;                  // R
  int64_t longest = 0;               // capacity of each path
  const int32_t* seen = nullptr;     // [R, longest]
  const int32_t* lengths = nullptr;  // [R]
};

template <typename T>
struct PathAttentionRow {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  Paths paths;
  int64_t members = 0;
  int64_t heads = 0;
  int64_t d_head = 0;
  const T* qkv = nullptr;         // [K, R, 3 d]; only the query's part is read
  const T* keys = nullptr;        // rows of, per head, (k: dh, v: dh)
  int64_t key_stride = 0;         // from one row of keys to the next
  int64_t key_member_stride = 0;  // from one member's keys to the next
  T* context = nullptr;           // [K, R, d]; may be null
  T* weights = nullptr;           // [K, R, heads, longest]

  COPPICE_HOST_DEVICE int64_t items() const { return members * paths.rows * heads; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    const int64_t head = item % heads, row = item / heads, d = heads * d_head;
    const int64_t k = row / paths.rows, r = row % paths.rows;
    const int32_t* path = paths.seen + r * paths.longest;
    const T* query = qkv + row * 3 * d + head * d_head;
    const T* key = keys + k * key_member_stride + head * 2 * d_head;
    T* own = weights + item * paths.longest;
    const T factor = static_cast<T>(1 / sqrt(static_cast<double>(d_head)));
    SoftmaxOfScores(lanes, paths.lengths[r], own, [&](int64_t j) {
      return DotByLane(query, key + path[j] * key_stride, d_head) * factor;
    });
    if (context == nullptr) return;
    lanes.Sync();
    T* out = context + row * d + head * d_head;
    for (int64_t c = lanes.lane(); c < d_head; c += lanes.size()) {
      T sum = 0;
      for (int64_t j = 0; j < paths.lengths[r]; ++j)
        sum += own[j] * key[path[j] * key_stride + d_head + c];
      out[c] = sum;
    }
  }
};

// entropy[k][r] += the entropy in nats of the heads' average weights; 0 log 0 is 0.
template <typename T>
struct PathEntropyRow {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  Paths paths;
  int64_t members = 0;
  int64_t heads = 0;
  const T* weights = nullptr;  // [K, R, heads, longest]
  double* entropy = nullptr;   // [K, R]

  COPPICE_HOST_DEVICE int64_t items() const { return members * paths.rows; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    const T* own = weights + item * heads * paths.longest;
    double sum = 0;
    for (int64_t j = lanes.lane(); j < paths.lengths[item % paths.rows]; j += lanes.size()) {
      double mean = 0;
      for (int64_t h = 0; h < heads; ++h) mean += static_cast<double>(own[h * paths.longest + j]);
      mean /= static_cast<double>(heads);
      if (mean > 0) sum -= mean * log(mean);
    }
    sum = lanes.Sum(sum);
    if (lanes.lane() == 0) entropy[item] += sum;
  }
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_PATH_ATTENTION_H_
