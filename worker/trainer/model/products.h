// Matrix products of float32 for x86-64 machines with AVX2, AVX-512 or AMX. Free of LibTorch.
//
// Those of AVX2 and AVX-512 are the same bits; those of AMX are others, closer to the exact ones.
#ifndef COPPICE_WORKER_TRAINER_MODEL_PRODUCTS_H_
#define COPPICE_WORKER_TRAINER_MODEL_PRODUCTS_H_

#include <cstdint>
#include <limits>

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

inline constexpr int64_t kAnyWeights = std::numeric_limits<int64_t>::max();

struct NamedProduct {
  const char* name = "";  // e.g. "AMX"
  ProductKernel multiply = nullptr;
  // Weights of more elements than this go to oneDNN, which is faster with them.
  int64_t most_weights = 0;
};
inline constexpr int kProductVariants = 3;

// Those that this machine can run, the fastest first; returns how many. COPPICE_AMX=off in the
// environment leaves AMX out, for the bits of a machine without it; COPPICE_AVX512=off and
// COPPICE_AVX2=off leave out these, what builds on them, and their kernels (kernels.h).
int ListProducts(NamedProduct out[kProductVariants]);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_PRODUCTS_H_
