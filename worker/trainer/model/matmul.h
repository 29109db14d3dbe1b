// Matrix products of [R, n] activations with [m, n] weights, for one member (2-d) or a stack (3-d,
// leading K). Members of a stack are computed one by one, so that a member's sums do not depend on
// its pack. float32 goes to products.h where the machine has AMX, or AVX2 and weights are small,
// else to oneDNN where it was there at build time; each is the fastest there (docs/performance.md).
// Everything else goes through ATen.
#ifndef COPPICE_WORKER_TRAINER_MODEL_MATMUL_H_
#define COPPICE_WORKER_TRAINER_MODEL_MATMUL_H_

#include <string>

#include "ATen/core/Tensor.h"

namespace coppice::trainer {

// Which of the two factors is given transposed. (A view of it would do too, but costs LibTorch's
// dispatch.)
enum class Turned { kNone, kA, kB };

// out = a · b, or out += a · b. Shapes [R, k], [k, n] and [R, n], or the same with a leading K.
// `out` must not share memory with the others.
void Product(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b,
             Turned turned = Turned::kNone);
void AddProduct(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b,
                Turned turned = Turned::kNone);

// What computes products of float32, e.g. "AMX" or "AVX-512, oneDNN 2.6.3"; empty: ATen, and so the
// BLAS behind it, at least some of them.
std::string ProductLibrary();

// out [R, m] = x [R, n] · wᵀ
inline void Linear(const at::Tensor& out, const at::Tensor& x, const at::Tensor& w) {
  Product(out, x, w, Turned::kB);
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
  Product(dw, dy, x, Turned::kA);
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_MATMUL_H_
