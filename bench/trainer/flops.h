// How much arithmetic and how many bytes a training step needs at least. Free of LibTorch.
#ifndef COPPICE_BENCH_TRAINER_FLOPS_H_
#define COPPICE_BENCH_TRAINER_FLOPS_H_

#include <cstdint>
#include <vector>

#include "worker/trainer/model/parameters.h"

namespace coppice::bench {

// Floating-point operations (a multiply and an add are two) of forward and backward pass over
// sequences of these lengths, SOS included, without padding.
//
// Matrix products: with M the number of parameters in matrices that rows are multiplied with (qkv,
// merge, both of the feed-forward part, output; not the embedding, which is looked up) and R the
// number of rows, 2 M R forward, and backward 2 M R for the inputs' gradients and 2 M R for the
// weights': 6 M R. (Kaplan et al. 2020, section 2.1.)
//
// Attention: row t of a sequence sees t rows. Its scores are 2 d t operations over all heads, the
// weighted sum of values as many; backward each of the two products has two of its size: 12 d t.
// Summed over a sequence of length L: 6 d L (L + 1) for each layer.
//
// LayerNorm, softmax, dropout and optimizer are not counted: a few operations for each element of
// what they read.
struct StepFlops {
  double matrices = 0;
  double attention = 0;
  double total() const { return matrices + attention; }
};
StepFlops CountFlops(const trainer::ModelShape& shape, const std::vector<int64_t>& lengths);

// Bytes that a step moves at least for P float32 parameters when nothing of them stays in a cache:
// 44 P. Weights are read forward and backward (8), gradients written (4) and read for their norm
// (4); AdamW reads gradient, weight and both moments (16) and writes the last three (12).
double ParameterBytes(int64_t parameters);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_FLOPS_H_
