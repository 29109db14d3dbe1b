// The model's arithmetic beside matrix products, as fused loops over one member's rows in CPU
// memory. Free of LibTorch.
//
// Results have the same bits on every x86-64 machine. The loops are compiled for three instruction
// sets (kernels_*.cc), all with the same explicit order of every sum and without contraction to
// fused multiply-add. The widest set that the machine has is chosen at run time. (Matrix products
// have the same bits only in part: see products.h.)
#ifndef COPPICE_WORKER_TRAINER_MODEL_KERNELS_H_
#define COPPICE_WORKER_TRAINER_MODEL_KERNELS_H_

#include <cstdint>

#include "worker/trainer/base/host_device.h"
#include "worker/trainer/model/batch.h"
#include "worker/trainer/model/dropout.h"

namespace coppice::trainer {

// The rows a kernel works on.
struct Rows {
  const Sequence* sequences = nullptr;
  int64_t sequence_count = 0;
  int64_t rows = 0;  // R
};

// Masks are written 64 elements at a time, so their rows have this stride.
COPPICE_HOST_DEVICE inline int64_t KeepStride(int64_t d) { return (d + 63) / 64 * 64; }

// y = LN(x + drop(a + bias)), with eps 1e-5. `bias` may be null; so may `xhat`, `rstd` and `keep`
// for inference. `keep` is written only while dropout is active.
template <typename T>
struct ResidualNormArgs {
  int64_t d = 0;
  const T* x = nullptr;      // [R, d]
  const T* a = nullptr;      // [R, d]
  const T* bias = nullptr;   // [d]
  const T* gamma = nullptr;  // [d]
  const T* beta = nullptr;   // [d]
  T* y = nullptr;            // [R, d]
  T* xhat = nullptr;         // [R, d]
  T* rstd = nullptr;         // [R]
  uint8_t* keep = nullptr;   // [R, KeepStride(d)]
};

// The gradients of x and a from that of y.
template <typename T>
struct ResidualNormGradArgs {
  int64_t d = 0;
  T* dy = nullptr;  // [R, d] in: gradient of y; out: gradient of x
  T* da = nullptr;  // [R, d] out: gradient of a
  const T* xhat = nullptr;
  const T* rstd = nullptr;
  const uint8_t* keep = nullptr;
  const T* gamma = nullptr;
  T* dgamma = nullptr;  // [d], overwritten
  T* dbeta = nullptr;   // [d], overwritten
  T* dbias = nullptr;   // [d], overwritten; null when there is no bias
};

// Causal attention within each sequence. A row of qkv is [q: H x dh | per head (k: dh, v: dh)]. P
// are the attention weights: for each sequence, then for each head, a length x length matrix. Its
// part above the diagonal is never touched.
template <typename T>
struct AttentionArgs {
  int64_t heads = 0;
  int64_t d_head = 0;
  const T* qkv = nullptr;        // [R, 3 d]
  T* context = nullptr;          // [R, d]
  T* weights = nullptr;          // P after the softmax; may be null for inference
  T* dropped_weights = nullptr;  // P after dropout; unused without dropout
};

template <typename T>
struct AttentionGradArgs {
  int64_t heads = 0;
  int64_t d_head = 0;
  const T* qkv = nullptr;
  const T* weights = nullptr;
  const T* dropped_weights = nullptr;  // equals `weights` without dropout
  const T* dcontext = nullptr;         // [R, d]
  T* dqkv = nullptr;                   // [R, 3 d], overwritten
};

// Attention in a prefix tree: a row sees itself and its ancestors, root first. Row 0 is the root,
// with parents[0] = -1. A parent precedes its children. No path has more than `longest` rows.
template <typename T>
struct TreeAttentionArgs {
  int64_t rows = 0;  // R
  int64_t longest = 0;
  int64_t heads = 0;
  int64_t d_head = 0;
  const int32_t* parents = nullptr;  // [R]
  const T* qkv = nullptr;            // [R, 3 d]
  T* context = nullptr;              // [R, d]; null: only the entropy is computed
  double* entropy = nullptr;  // [R], nats, of the heads' average weights; added to; may be null
};

// The words of the spans first..last, for last = first, first + 1, ..., as rows of two tensors:
// read in context and read alone.
template <typename T>
struct SpanCosineArgs {
  int64_t length = 0;
  int64_t d = 0;
  const T* context = nullptr;             // [.., d]
  const T* alone = nullptr;               // [.., d]
  const int32_t* context_rows = nullptr;  // [length]
  const int32_t* alone_rows = nullptr;    // [length]
  double* cosines = nullptr;              // [length]
};

struct AdamWArgs {
  double learning_rate = 0;
  double beta1 = 0, beta2 = 0, epsilon = 0, weight_decay = 0;
  double clip = 1;   // factor on the gradient
  int64_t step = 1;  // 1 for the first update (bias correction)
};

template <typename T>
struct Kernels {
  // x = drop(table[token] * sqrt(d) + positions[t]).
  void (*embed)(const Rows&, const Dropout&, const int32_t* tokens, const T* table,
                const T* positions, int64_t d, T* x, uint8_t* keep);
  // dtable (overwritten): the gradient of `table`, from dx.
  void (*embed_grad)(const Rows&, const Dropout&, const int32_t* tokens, const T* dx,
                     const uint8_t* keep, int64_t d, int64_t vocabulary, T* dtable);
  void (*residual_norm)(const Rows&, const Dropout&, uint32_t site, const ResidualNormArgs<T>&);
  void (*residual_norm_grad)(const Rows&, const Dropout&, const ResidualNormGradArgs<T>&);
  // h = drop(relu(h + bias)) in place, [R, f].
  void (*relu)(const Rows&, const Dropout&, uint32_t site, int64_t f, const T* bias, T* h);
  // dh becomes the gradient before the activation; h is the result of relu(). dbias is overwritten.
  void (*relu_grad)(const Rows&, const Dropout&, int64_t f, const T* h, T* dh, T* dbias);
  void (*attention)(const Rows&, const Dropout&, uint32_t site, const AttentionArgs<T>&);
  void (*attention_grad)(const Rows&, const Dropout&, const AttentionGradArgs<T>&);
  // One new row per sequence: the query of row r of qkv [rows, 3 d] attends to lengths[r] rows of
  // `cache` [.., 2 d], from row first_rows[r] on.
  void (*attention_step)(int64_t rows, int64_t heads, int64_t d_head, const T* qkv, const T* cache,
                         const int64_t* first_rows, const int32_t* lengths, T* context);
  void (*tree_attention)(const TreeAttentionArgs<T>&);
  // cosines[j] = cosine between the two sums of rows 0..j; 0 when a sum is zero.
  void (*span_cosines)(const SpanCosineArgs<T>&);
  // Returns the sum over all rows of -log softmax(logits + bias)[target]. With `gradient` the
  // logits become the gradient of the mean over rows, and dbias is overwritten.
  double (*cross_entropy)(int64_t rows, int64_t vocabulary, const T* bias, const int32_t* targets,
                          T* logits, bool gradient, T* dbias);
  // Sum of squares, in double.
  double (*square_sum)(int64_t count, const T* x);
  // Adam with decoupled weight decay, in one pass.
  void (*adamw)(const AdamWArgs&, int64_t count, const T* gradient, T* m, T* v, T* parameters);
};

// For float: the widest variant that this machine runs. For double: the only variant.
template <typename T>
const Kernels<T>& GetKernels();

// All float variants that this machine runs, narrowest first, with their names. For tests.
struct NamedKernels {
  const char* name;
  const Kernels<float>* kernels;
};
constexpr int kKernelVariants = 3;  // at most
int ListKernels(NamedKernels out[kKernelVariants]);

// The size of P (AttentionArgs) for these sequences.
int64_t AttentionWeightCount(const Rows& rows, int64_t heads);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_KERNELS_H_
