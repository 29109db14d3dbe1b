// That the baselines compute what the trainer computes.
#ifndef COPPICE_BENCH_TRAINER_SAME_MODEL_H_
#define COPPICE_BENCH_TRAINER_SAME_MODEL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "bench/trainer/baseline.h"
#include "worker/trainer/config.h"
#include "worker/trainer/model/parameters.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::bench {

// The largest difference in a parameter over the largest magnitude in it, of the worst parameter.
struct Difference {
  double relative = 0;
  std::string parameter;
};
Difference Compare(const trainer::ParameterLayout& layout, absl::Span<const double> ours,
                   absl::Span<const double> theirs);

// Without dropout and from the same initial weights: in float64 the loss and every gradient of one
// batch agree within 1e-6 (in float32 rounding puts one ReLU in a million on the other side of
// zero, which is 0.005 of a gradient). In float32 what three clipped AdamW steps add to the weights
// agrees within 1e-2 of its norm (where a gradient is near zero, AdamW's step has the sign of its
// rounding). FAILED_PRECONDITION names what differs.
absl::Status CheckSameModel(BaselineKind kind, trainer::RunConfig run,
                            const trainer::Dataset& dataset);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_SAME_MODEL_H_
