// Matrix products of float32 for x86-64 machines with AVX2, AVX-512 or AMX. Free of LibTorch.
//
// AVX2 and AVX-512 give the same bits. AMX gives other bits, closer to the exact products.
#ifndef COPPICE_WORKER_TRAINER_MODEL_PRODUCTS_H_
#define COPPICE_WORKER_TRAINER_MODEL_PRODUCTS_H_

#include <cstdint>
#include <limits>

namespace coppice::trainer {

// Element (i, j) is at data[i * row_stride + j * column_stride]. One of the two strides is 1.
struct MatrixView {
  float* data = nullptr;
  int64_t rows = 0, columns = 0;
  int64_t row_stride = 0, column_stride = 0;

  MatrixView Transposed() const { return {data, columns, rows, column_stride, row_stride}; }
};

// out = a · b, or out += a · b, with out.column_stride = 1. `out` shares no memory with the others.
// The order of an element's sum is fixed: neither the other elements of `a` and `b` nor zeros after
// its last term change it.
using ProductKernel = void (*)(const MatrixView& out, const MatrixView& a, const MatrixView& b,
                               bool add);

inline constexpr int64_t kAnyWeights = std::numeric_limits<int64_t>::max();

struct NamedProduct {
  const char* name = "";  // e.g. "AMX"
  ProductKernel multiply = nullptr;
  // Weights with more elements than this go to oneDNN, which is faster for them.
  int64_t most_weights = 0;
};
inline constexpr int kProductVariants = 3;

// Lists the variants that this machine runs, fastest first, and returns their number. In the
// environment, COPPICE_AMX=off leaves out AMX, for the bits of a machine without it.
// COPPICE_AVX512=off and COPPICE_AVX2=off leave out these, the sets that build on them, and their
// kernels (kernels.h).
int ListProducts(NamedProduct out[kProductVariants]);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_PRODUCTS_H_
