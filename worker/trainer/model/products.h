// A matrix product of float32 for machines with AVX-512, for matrices as small as a model's of d =
// 128: oneDNN spends there a tenth of its time outside of its inner loop. Free of LibTorch.
#ifndef COPPICE_WORKER_TRAINER_MODEL_PRODUCTS_H_
#define COPPICE_WORKER_TRAINER_MODEL_PRODUCTS_H_

#include <cstdint>

namespace coppice::trainer {

// Element (i, j) lies at data[i * down + j * right]. One of the two strides is 1.
struct MatrixView {
  float* data = nullptr;
  int64_t rows = 0, columns = 0;
  int64_t down = 0, right = 0;

  MatrixView Transposed() const { return {data, columns, rows, right, down}; }
};

// out = a · b, or out += a · b, with out.right = 1; `out` shares no memory with the others. An
// element's sum has an order of its own: neither what else is in `a` and `b` changes it, nor zeros
// behind the last of its terms.
using ProductKernel = void (*)(const MatrixView& out, const MatrixView& a, const MatrixView& b,
                               bool add);

// Null where the machine has none.
ProductKernel GetProductKernel();

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_PRODUCTS_H_
