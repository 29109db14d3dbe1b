// The least arithmetic and the fewest bytes that a training step needs. Does not use LibTorch.
#ifndef COPPICE_BENCH_TRAINER_FLOPS_H_
#define COPPICE_BENCH_TRAINER_FLOPS_H_

#include <cstdint>
#include <vector>

#include "worker/trainer/model/parameters.h"

namespace coppice::bench {

// Floating-point operations (a multiply and an add are two) of the forward and backward passes over
// sequences of these lengths, SOS included, without padding.
//
// Matrix products: M is the number of parameters in matrices that rows are multiplied with (qkv,
// merge, both of the feed-forward part, output; not the embedding, which is looked up), and R is
// the number of rows. The forward pass takes 2 M R; the backward pass takes 2 M R for the inputs'
// gradients and 2 M R for the weights'. The sum is 6 M R. (Kaplan et al. 2020, section 2.1.)
//
// Attention: row t of a sequence sees t rows. Its scores take 2 d t operations over all heads, and
// the weighted sum of values as many. In the backward pass each of the two products has two of its
// size. The sum is 12 d t, and over a sequence of length L it is 6 d L (L + 1) for each layer.
//
// LayerNorm, softmax, dropout and optimizer are not counted: they take a few operations for each
// element that they read.
struct StepFlops {
  double matrices = 0;
  double attention = 0;
  double total() const { return matrices + attention; }
};
StepFlops CountFlops(const trainer::ModelShape& shape, const std::vector<int64_t>& lengths);

// The fewest bytes that a step moves for P float32 parameters if none of them stays in a cache: 44
// P. Weights are read forward and backward (8), gradients written (4) and read for their norm (4);
// AdamW reads gradient, weight and both moments (16) and writes the last three (12).
double ParameterBytes(int64_t parameters);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_FLOPS_H_
