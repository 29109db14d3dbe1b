// Kernels of the probes: attention along the paths of a prefix tree, and cosines of growing spans.
// See kernels_vector.h.
#ifndef COPPICE_WORKER_TRAINER_MODEL_KERNELS_TREE_H_
#define COPPICE_WORKER_TRAINER_MODEL_KERNELS_TREE_H_

#include "worker/trainer/model/kernels_attention.h"

namespace coppice::trainer {
namespace {

// -sum a log a over weights that add up to 1; 0 log 0 is 0.
inline double EntropyOf(const double* weights, int64_t n) {
  double entropy = 0;
  for (int64_t j = 0; j < n; ++j) {
    if (weights[j] > 0) entropy -= weights[j] * std::log(weights[j]);
  }
  return entropy;
}

template <typename T>
void TreeAttention(const TreeAttentionArgs<T>& args) {
  thread_local Scratch<T> scratch;
  thread_local Scratch<double> mean_scratch;
  thread_local Scratch<int32_t> path_scratch;
  const int64_t dh = args.d_head;
  const int64_t d = args.heads * dh;
  const T factor = static_cast<T>(1 / std::sqrt(static_cast<double>(dh)));
  T* scores = scratch.Get(RoundUpToLanes(args.longest));
  double* mean = mean_scratch.Get(args.longest);
  int32_t* path = path_scratch.Get(args.longest);
  for (int64_t r = 0; r < args.rows; ++r) {
    int64_t n = 0;
    for (int32_t at = static_cast<int32_t>(r); at >= 0; at = args.parents[at]) path[n++] = at;
    for (int64_t j = 0; j < n; ++j) mean[j] = 0;
    for (int64_t h = 0; h < args.heads; ++h) {
      const T* query = args.qkv + r * 3 * d + h * dh;
      const T* key = args.qkv + d + h * 2 * dh;
      // Root first, in reading order, so that every sum has the order of a pass without a tree.
      for (int64_t j = 0; j < n; ++j) scores[j] = DotOf(query, key + path[n - 1 - j] * 3 * d, dh);
      SoftmaxRow(scores, n, factor);
      for (int64_t j = 0; j < n; ++j) mean[j] += static_cast<double>(scores[j]);
      if (args.context == nullptr) continue;
      T* context = args.context + r * d + h * dh;
      for (int64_t c = 0; c < dh; ++c) context[c] = 0;
      for (int64_t j = 0; j < n; ++j) {
        const T* value = key + dh + path[n - 1 - j] * 3 * d;
        for (int64_t c = 0; c < dh; ++c) context[c] += scores[j] * value[c];
      }
    }
    if (args.entropy == nullptr) continue;
    for (int64_t j = 0; j < n; ++j) mean[j] /= static_cast<double>(args.heads);
    args.entropy[r] += EntropyOf(mean, n);
  }
}

template <typename T>
void SpanCosines(const SpanCosineArgs<T>& args) {
  thread_local Scratch<T> scratch;
  const int64_t d = args.d;
  T* context = scratch.Get(2 * d);
  T* alone = context + d;
  for (int64_t i = 0; i < 2 * d; ++i) context[i] = 0;
  for (int64_t j = 0; j < args.length; ++j) {
    const T* from_context = args.context + args.context_rows[j] * d;
    const T* from_alone = args.alone + args.alone_rows[j] * d;
    for (int64_t i = 0; i < d; ++i) {
      context[i] += from_context[i];
      alone[i] += from_alone[i];
    }
    const double norms = std::sqrt(static_cast<double>(DotOf<T>(context, context, d))) *
                         std::sqrt(static_cast<double>(DotOf<T>(alone, alone, d)));
    const double product = static_cast<double>(DotOf<T>(context, alone, d));
    // This form keeps NaN.
    args.cosines[j] = norms == 0 ? 0 : product / norms;
  }
}

}  // namespace
}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_KERNELS_TREE_H_
