// Matrix products of [R, n] activations with [m, n] weights, for one member (2-d) or a stack (3-d,
// leading K).
#ifndef COPPICE_WORKER_TRAINER_MODEL_MATMUL_H_
#define COPPICE_WORKER_TRAINER_MODEL_MATMUL_H_

#include "ATen/core/Tensor.h"
#include "ATen/ops/addmm.h"
#include "ATen/ops/baddbmm.h"
#include "ATen/ops/bmm.h"
#include "ATen/ops/mm.h"

namespace coppice::trainer {

inline void Product(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b) {
  at::Tensor result = out;
  if (out.dim() == 2) {
    at::mm_out(result, a, b);
  } else {
    at::bmm_out(result, a, b);
  }
}

// out [R, m] = x [R, n] · wᵀ
inline void Linear(const at::Tensor& out, const at::Tensor& x, const at::Tensor& w) {
  Product(out, x, w.transpose(-2, -1));
}

// dx [R, n] = dy [R, m] · w
inline void LinearInputGrad(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& w) {
  Product(dx, dy, w);
}

// dx += dy · w
inline void AddLinearInputGrad(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& w) {
  at::Tensor result = dx;
  if (dx.dim() == 2) {
    at::addmm_out(result, dx, dy, w);
  } else {
    at::baddbmm_out(result, dx, dy, w);
  }
}

// dw [m, n] = dyᵀ · x
inline void LinearWeightGrad(const at::Tensor& dw, const at::Tensor& dy, const at::Tensor& x) {
  Product(dw, dy.transpose(-2, -1), x);
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_MATMUL_H_
