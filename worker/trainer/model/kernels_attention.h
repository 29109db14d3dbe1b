// Causal attention within each sequence, forward, backward and over a cache. See kernels_vector.h.
#ifndef COPPICE_WORKER_TRAINER_MODEL_KERNELS_ATTENTION_H_
#define COPPICE_WORKER_TRAINER_MODEL_KERNELS_ATTENTION_H_

#include <new>

#include "worker/trainer/model/kernels_vector.h"

namespace coppice::trainer {
namespace {

// One per thread; it grows and never shrinks, so that no step allocates. std::vector<T> would be a
// template whose code instruction sets must not share.
template <typename T>
class Scratch {
 public:
  ~Scratch() { ::operator delete[](data_, std::align_val_t(64)); }
  T* Get(int64_t count) {
    if (count > capacity_) {
      ::operator delete[](data_, std::align_val_t(64));
      data_ = static_cast<T*>(
          ::operator new[](static_cast<size_t>(count) * sizeof(T), std::align_val_t(64)));
      capacity_ = count;
    }
    return data_;
  }

 private:
  T* data_ = nullptr;
  int64_t capacity_ = 0;
};

// out[c * stride + j] = in[j * in_stride + c]; columns n .. stride become zero. (A transpose.)
template <typename T>
inline void TransposeHead(const T* in, int64_t in_stride, int64_t n, int64_t width, int64_t stride,
                          T* out) {
  for (int64_t c = 0; c < width; ++c) {
    for (int64_t j = 0; j < n; ++j) out[c * stride + j] = in[j * in_stride + c];
    for (int64_t j = n; j < stride; ++j) out[c * stride + j] = 0;
  }
}

// scores[0 .. visible) = softmax(scores * factor); zero from there to the end of the vector.
template <typename T>
inline void SoftmaxRow(T* scores, int64_t visible, T factor) {
  const Vector<T> first = Vector<T>{} + scores[0];
  Vector<T> most = first;
  for (int64_t j = 0; j < visible; j += kLanes) {
    most = Larger(most, LanesBelow<T>(visible - j) ? Load(scores + j) : first);
  }
  const T largest = LargestLane<T>(most);
  Vector<T> sum = {};
  for (int64_t j = 0; j < visible; j += kLanes) {
    const Mask<T> seen = LanesBelow<T>(visible - j);
    const Vector<T> x = seen ? Load(scores + j) : first;
    const Vector<T> e = seen ? ExpOf((x - largest) * factor) : Vector<T>{};
    sum += e;
    Store(scores + j, e);
  }
  const T inverse = T(1) / AddLanes<T>(sum);
  for (int64_t j = 0; j < visible; j += kLanes) Store(scores + j, Load(scores + j) * inverse);
}

template <typename T>
inline void DropWeights(const Dropout& dropout, uint32_t site, uint32_t mask_row, int64_t padded,
                        T* weights) {
  uint8_t keep[64];
  for (int64_t g = 0; g * 64 < padded; ++g) {
    KeepGroup(dropout, site, mask_row, g, keep);
    ApplyKeep(keep, static_cast<T>(dropout.scale), Smaller(64, padded - g * 64), weights + g * 64);
  }
}

template <typename T>
inline void CopyRow(const T* from, int64_t n, T* to) {
  __builtin_memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
}

// One head of one sequence. `weights` and `dropped` are its n x n matrices, or null. `scratch`
// holds padded * (dh + kAtOnce) elements.
template <typename T>
void AttentionHead(const Dropout& dropout, uint32_t site, uint32_t mask_row, int64_t n, int64_t dh,
                   int64_t d, const T* query, const T* key, T* context, T* weights, T* dropped,
                   T* scratch) {
  const T factor = static_cast<T>(1 / std::sqrt(static_cast<double>(dh)));
  const int64_t padded = RoundUpToLanes(n);
  T* keys = scratch;
  T* scores = keys + padded * dh;
  TransposeHead(key, 3 * d, n, dh, padded, keys);
  for (int64_t i = 0; i < n; i += kAtOnce) {
    const int64_t count = Smaller(kAtOnce, n - i);
    const int64_t visible = RoundUpToLanes(i + count);  // a row is zero past its own columns
    WeightedSums(count, scores, padded, visible, query + i * 3 * d, 3 * d, int64_t{1}, dh, keys,
                 padded);
    for (int64_t r = 0; r < count; ++r) {
      T* row = scores + r * padded;
      SoftmaxRow(row, i + r + 1, factor);
      if (weights != nullptr) CopyRow(row, i + r + 1, weights + (i + r) * n);
      if (!dropout.active()) continue;
      DropWeights(dropout, site, mask_row + static_cast<uint32_t>(i + r), visible, row);
      CopyRow(row, i + r + 1, dropped + (i + r) * n);
    }
    WeightedSums(count, context + i * d, d, dh, scores, padded, int64_t{1}, i + count, key + dh,
                 3 * d);
  }
}

template <typename T>
void Attention(const Rows& rows, const Dropout& dropout, uint32_t site,
               const AttentionArgs<T>& args) {
  thread_local Scratch<T> scratch;
  const int64_t dh = args.d_head;
  const int64_t d = args.heads * dh;
  int64_t offset = 0;
  for (int64_t b = 0; b < rows.sequence_count; ++b) {
    const int64_t n = rows.sequences[b].length;
    T* memory = scratch.Get(RoundUpToLanes(n) * (dh + kAtOnce));
    const T* base = args.qkv + rows.sequences[b].first_row * 3 * d;
    T* context = args.context + rows.sequences[b].first_row * d;
    for (int64_t h = 0; h < args.heads; ++h, offset += n * n) {
      T* weights = args.weights != nullptr ? args.weights + offset : nullptr;
      T* dropped = dropout.active() ? args.dropped_weights + offset : nullptr;
      AttentionHead(dropout, site, MaskRow(b, h, 0), n, dh, d, base + h * dh, base + d + h * 2 * dh,
                    context + h * dh, weights, dropped, memory);
    }
  }
}

// A row's gradient of the scores from that of its dropped weights, in place. Lanes past `visible`
// become zero. The weights are first copied to whole vectors.
template <typename T>
inline void SoftmaxGradRow(int64_t visible, T factor, const T* weights, const T* dropped, T* padded,
                           T* padded_dropped, T* ds) {
  const int64_t width = RoundUpToLanes(visible);
  Store(padded + width - kLanes, Vector<T>{});
  Store(padded_dropped + width - kLanes, Vector<T>{});
  CopyRow(weights, visible, padded);
  CopyRow(dropped, visible, padded_dropped);
  Vector<T> sum = {};
  for (int64_t j = 0; j < width; j += kLanes) {
    const Vector<T> value = Load(ds + j) * Load(padded_dropped + j);
    sum += value;
    Store(ds + j, value);
  }
  const T total = AddLanes<T>(sum);
  for (int64_t j = 0; j < width; j += kLanes) {
    Store(ds + j, (Load(ds + j) - Load(padded + j) * total) * factor);
  }
}

// One head of one sequence. Let A be the softmax weights, M the mask divided by the keep
// probability, and W = A * M the factors of the values. Then dS = A * (dW * M - sum(A * dW * M)) =
// W * dW - A * sum(W * dW), so the mask itself is not needed. `scratch` holds padded * (dh + 2 n +
// 1) elements.
template <typename T>
void AttentionGradHead(int64_t n, int64_t dh, int64_t d, const T* query, const T* key,
                       const T* weights, const T* dropped, const T* dcontext, T* dquery, T* dkey,
                       T* scratch) {
  const T factor = static_cast<T>(1 / std::sqrt(static_cast<double>(dh)));
  const int64_t padded = RoundUpToLanes(n), row = 3 * d;
  T* values = scratch;
  T* dscores = values + padded * dh;  // [n, padded]
  T* kept = dscores + n * padded;     // [n, padded]: W
  T* spare = kept + n * padded;       // [padded]
  TransposeHead(key + dh, row, n, dh, padded, values);
  for (int64_t i = 0; i < n; i += kAtOnce) {
    const int64_t count = Smaller(kAtOnce, n - i);
    T* ds = dscores + i * padded;
    WeightedSums(count, ds, padded, RoundUpToLanes(i + count), dcontext + i * d, d, int64_t{1}, dh,
                 values, padded);
    for (int64_t r = i; r < i + count; ++r) {
      SoftmaxGradRow(r + 1, factor, weights + r * n, dropped + r * n, spare, kept + r * padded,
                     dscores + r * padded);
    }
    WeightedSums(count, dquery + i * row, row, dh, ds, padded, int64_t{1}, i + count, key, row);
  }
  for (int64_t j = 0; j < n; j += kAtOnce) {
    const int64_t count = Smaller(kAtOnce, n - j), from = j * padded + j;
    WeightedSums(count, dkey + j * row, row, dh, dscores + from, int64_t{1}, padded, n - j,
                 query + j * row, row);
    WeightedSums(count, dkey + dh + j * row, row, dh, kept + from, int64_t{1}, padded, n - j,
                 dcontext + j * d, d);
  }
}

template <typename T>
void AttentionGrad(const Rows& rows, const Dropout& dropout, const AttentionGradArgs<T>& args) {
  thread_local Scratch<T> scratch;
  const int64_t dh = args.d_head;
  const int64_t d = args.heads * dh;
  int64_t offset = 0;
  for (int64_t b = 0; b < rows.sequence_count; ++b) {
    const int64_t n = rows.sequences[b].length, first = rows.sequences[b].first_row;
    T* memory = scratch.Get(RoundUpToLanes(n) * (dh + 2 * n + 1));
    for (int64_t h = 0; h < args.heads; ++h, offset += n * n) {
      const int64_t q = first * 3 * d + h * dh, k = first * 3 * d + d + h * 2 * dh;
      AttentionGradHead(n, dh, d, args.qkv + q, args.qkv + k, args.weights + offset,
                        args.dropped_weights + offset, args.dcontext + first * d + h * dh,
                        args.dqkv + q, args.dqkv + k, memory);
    }
  }
}

template <typename T>
void AttentionStep(int64_t rows, int64_t heads, int64_t d_head, const T* qkv, const T* cache,
                   const int64_t* first_rows, const int32_t* lengths, T* context) {
  thread_local Scratch<T> scratch;
  const int64_t d = heads * d_head;
  const T factor = static_cast<T>(1 / std::sqrt(static_cast<double>(d_head)));
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t n = lengths[r];
    T* scores = scratch.Get(RoundUpToLanes(n));
    for (int64_t h = 0; h < heads; ++h) {
      const T* query = qkv + r * 3 * d + h * d_head;
      const T* key = cache + first_rows[r] * 2 * d + h * 2 * d_head;
      for (int64_t j = 0; j < n; ++j) scores[j] = DotOf(query, key + j * 2 * d, d_head);
      SoftmaxRow(scores, n, factor);
      WeightedSums(1, context + r * d + h * d_head, d, d_head, scores, n, int64_t{1}, n,
                   key + d_head, 2 * d);
    }
  }
}

}  // namespace
}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_KERNELS_ATTENTION_H_
