// Checks that the baselines compute the same as the trainer.
#ifndef COPPICE_BENCH_TRAINER_SAME_MODEL_H_
#define COPPICE_BENCH_TRAINER_SAME_MODEL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "bench/trainer/baseline.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/model/parameters.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::bench {

// The largest difference in a parameter relative to the largest magnitude in it, for the worst
// parameter.
struct Difference {
  double relative = 0;
  std::string parameter;
};
Difference Compare(const trainer::ParameterLayout& layout, absl::Span<const double> ours,
                   absl::Span<const double> theirs);

// Compares without dropout and from the same initial weights. In float64, the loss and every
// gradient of one batch agree within 1e-6. (In float32, rounding puts one ReLU in a million on the
// other side of zero, which is 0.005 of a gradient.) In float32, the changes of the weights by
// three clipped AdamW steps agree within 1e-2 of their norm. (If a gradient is near zero, AdamW's
// step has the sign of its rounding.) FAILED_PRECONDITION names the difference.
absl::Status CheckSameModel(BaselineKind kind, trainer::RunConfig run,
                            const trainer::Dataset& dataset);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_SAME_MODEL_H_
