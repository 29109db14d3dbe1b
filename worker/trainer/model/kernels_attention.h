// Causal attention within each sequence, forward, backward and over a cache. See kernels_vector.h.
#ifndef COPPICE_WORKER_TRAINER_MODEL_KERNELS_ATTENTION_H_
#define COPPICE_WORKER_TRAINER_MODEL_KERNELS_ATTENTION_H_

#include <new>

#include "worker/trainer/model/kernels_vector.h"

namespace coppice::trainer {
namespace {

// Grows and never shrinks; one per thread, so that no step allocates. Its own class because
// std::vector<T> is a template whose code must not be shared between instruction sets.
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

// out[c * stride + j] = in[j * in_stride + c]; columns n .. stride become zero.
template <typename T>
inline void TransposeHead(const T* in, int64_t in_stride, int64_t n, int64_t width, int64_t stride,
                          T* out) {
  for (int64_t c = 0; c < width; ++c) {
    for (int64_t j = 0; j < n; ++j) out[c * stride + j] = in[j * in_stride + c];
    for (int64_t j = n; j < stride; ++j) out[c * stride + j] = 0;
  }
}

inline int64_t RoundUpToLanes(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// weights[0 .. visible) = softmax(scores * factor).
template <typename T>
inline void SoftmaxRow(T* scores, int64_t visible, T factor, T* weights) {
  T largest = scores[0];
  for (int64_t j = 1; j < visible; ++j) largest = scores[j] > largest ? scores[j] : largest;
  for (int64_t j = 0; j < visible; ++j) scores[j] = ExpOf((scores[j] - largest) * factor);
  const T inverse = T(1) / SumOf(scores, visible);
  for (int64_t j = 0; j < visible; ++j) weights[j] = scores[j] * inverse;
}

template <typename T>
inline void DropWeights(const Dropout& dropout, uint32_t site, uint32_t mask_row, int64_t visible,
                        const T* weights, T* dropped) {
  const T scale = static_cast<T>(dropout.scale);
  uint8_t keep[64];
  for (int64_t g = 0; g * 64 < visible; ++g) {
    KeepGroup(dropout, site, mask_row, g, keep);
    const int64_t count = Smaller(64, visible - g * 64);
    for (int64_t j = 0; j < count; ++j) {
      dropped[g * 64 + j] = keep[j] ? weights[g * 64 + j] * scale : T(0);
    }
  }
}

template <typename T>
void Attention(const Rows& rows, const Dropout& dropout, uint32_t site,
               const AttentionArgs<T>& args) {
  thread_local Scratch<T> scratch;
  const int64_t dh = args.d_head;
  const int64_t d = args.heads * dh;
  const T factor = static_cast<T>(1 / std::sqrt(static_cast<double>(dh)));
  int64_t offset = 0;
  for (int64_t b = 0; b < rows.sequence_count; ++b) {
    const int64_t n = rows.sequences[b].length;
    const int64_t padded = RoundUpToLanes(n);
    T* keys = scratch.Get(padded * (dh + 2));
    T* scores = keys + padded * dh;
    T* spare = scores + padded;  // the weights' row when nobody keeps them
    const T* base = args.qkv + rows.sequences[b].first_row * 3 * d;
    T* context = args.context + rows.sequences[b].first_row * d;
    for (int64_t h = 0; h < args.heads; ++h, offset += n * n) {
      const T* query = base + h * dh;
      const T* key = base + d + h * 2 * dh;
      TransposeHead(key, 3 * d, n, dh, padded, keys);
      for (int64_t i = 0; i < n; ++i) {
        T* weights = args.weights != nullptr ? args.weights + offset + i * n : spare;
        WeightedSum(scores, RoundUpToLanes(i + 1), query + i * 3 * d, 1, dh, keys, padded);
        SoftmaxRow(scores, i + 1, factor, weights);
        if (dropout.active()) {
          T* dropped = args.dropped_weights + offset + i * n;
          DropWeights(dropout, site, MaskRow(b, h, i), i + 1, weights, dropped);
          weights = dropped;
        }
        WeightedSum(context + i * d + h * dh, dh, weights, 1, i + 1, key + dh, 3 * d);
      }
    }
  }
}

// With A = softmax weights, M the mask over its keep probability and W = A * M what multiplied the
// values: dS = A * (dW * M - sum(A * dW * M)) = W * dW - A * sum(W * dW), so the mask itself is not
// needed.
template <typename T>
void AttentionGrad(const Rows& rows, const Dropout& dropout, const AttentionGradArgs<T>& args) {
  thread_local Scratch<T> scratch;
  const int64_t dh = args.d_head;
  const int64_t d = args.heads * dh;
  const T factor = static_cast<T>(1 / std::sqrt(static_cast<double>(dh)));
  int64_t offset = 0;
  for (int64_t b = 0; b < rows.sequence_count; ++b) {
    const int64_t n = rows.sequences[b].length;
    const int64_t padded = RoundUpToLanes(n);
    T* values = scratch.Get(padded * dh + n * padded);
    T* dscores = values + padded * dh;  // [n, padded]
    const T* base = args.qkv + rows.sequences[b].first_row * 3 * d;
    T* dbase = args.dqkv + rows.sequences[b].first_row * 3 * d;
    for (int64_t h = 0; h < args.heads; ++h, offset += n * n) {
      const T* weights = args.weights + offset;
      const T* dropped = args.dropped_weights + offset;
      const T* dcontext = args.dcontext + rows.sequences[b].first_row * d + h * dh;
      const int64_t q = h * dh, k = d + h * 2 * dh, v = k + dh;
      TransposeHead(base + v, 3 * d, n, dh, padded, values);
      for (int64_t i = 0; i < n; ++i) {
        T* ds = dscores + i * padded;
        WeightedSum(ds, RoundUpToLanes(i + 1), dcontext + i * d, 1, dh, values, padded);
        for (int64_t j = 0; j <= i; ++j) ds[j] *= dropped[i * n + j];
        const T sum = SumOf(ds, i + 1);
        for (int64_t j = 0; j <= i; ++j) ds[j] = (ds[j] - weights[i * n + j] * sum) * factor;
        WeightedSum(dbase + i * 3 * d + q, dh, ds, 1, i + 1, base + k, 3 * d);
      }
      for (int64_t j = 0; j < n; ++j) {
        WeightedSum(dbase + j * 3 * d + k, dh, dscores + j * padded + j, padded, n - j,
                    base + j * 3 * d + q, 3 * d);
        WeightedSum(dbase + j * 3 * d + v, dh, dropped + j * n + j, n, n - j, dcontext + j * d, d);
      }
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
    T* scores = scratch.Get(n);
    for (int64_t h = 0; h < heads; ++h) {
      const T* query = qkv + r * 3 * d + h * d_head;
      const T* key = cache + first_rows[r] * 2 * d + h * 2 * d_head;
      for (int64_t j = 0; j < n; ++j) scores[j] = DotOf(query, key + j * 2 * d, d_head);
      SoftmaxRow(scores, n, factor, scores);
      WeightedSum(context + r * d + h * d_head, d_head, scores, 1, n, key + d_head, 2 * d);
    }
  }
}

}  // namespace
}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_KERNELS_ATTENTION_H_
