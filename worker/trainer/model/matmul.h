// Matrix products of [R, n] activations with [m, n] weights, for one member (2-d) or a stack (3-d,
// leading K). Members of a stack are computed one by one, so that a member's sums do not depend on
// its pack. Products of float32 use products.h on a machine with AMX, or with AVX2 when the weights
// are small; otherwise oneDNN, if the build has it. Each is the fastest in its case
// (docs/performance.md). All other products use ATen.
#ifndef COPPICE_WORKER_TRAINER_MODEL_MATMUL_H_
#define COPPICE_WORKER_TRAINER_MODEL_MATMUL_H_

#include <string>

#include "ATen/core/Tensor.h"

namespace coppice::trainer {

// The factor that is passed transposed, if any. (A transposed view would also work, but costs
// LibTorch's dispatch.)
enum class Transpose { kNone, kA, kB };

// out = a · b, or out += a · b. Shapes are [R, k], [k, n] and [R, n], or the same with a leading K.
// `out` must not share memory with `a` or `b`.
void Product(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b,
             Transpose transpose = Transpose::kNone);
void AddProduct(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b,
                Transpose transpose = Transpose::kNone);

// The library for products of float32, e.g. "AMX" or "AVX-512, oneDNN 2.6.3". Empty when at least
// some of them use ATen, and so its BLAS.
std::string ProductLibrary();

// out [R, m] = x [R, n] · wᵀ
inline void Linear(const at::Tensor& out, const at::Tensor& x, const at::Tensor& w) {
  Product(out, x, w, Transpose::kB);
}

// dx [R, n] = dy [R, m] · w
inline void LinearInputGrad(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& w) {
  Product(dx, dy, w);
}

// dx += dy · w
inline void AddLinearInputGrad(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& w) {
  AddProduct(dx, dy, w);
}

// dw [m, n] = dyᵀ · x
inline void LinearWeightGrad(const at::Tensor& dw, const at::Tensor& dy, const at::Tensor& x) {
  Product(dw, dy, x, Transpose::kA);
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_MATMUL_H_
