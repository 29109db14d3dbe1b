#include "bench/trainer/flops.h"

namespace coppice::bench {

StepFlops CountFlops(const trainer::ModelShape& shape, const std::vector<int64_t>& lengths) {
  const auto d = static_cast<double>(shape.d_model);
  const auto layers = static_cast<double>(shape.depth);
  const double layer = 4 * d * d + 2 * d * static_cast<double>(shape.d_ff);
  const double matrices = layers * layer + d * static_cast<double>(shape.vocabulary);
  StepFlops flops;
  for (const int64_t length : lengths) {
    const auto rows = static_cast<double>(length);
    flops.matrices += 6 * matrices * rows;
    flops.attention += 6 * layers * d * rows * (rows + 1);
  }
  return flops;
}

double ParameterBytes(int64_t parameters) { return 44.0 * static_cast<double>(parameters); }

}  // namespace coppice::bench
