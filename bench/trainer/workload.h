// The workload of every contestant of the trainer's bench: the same models, data, order and
// settings.
#ifndef COPPICE_BENCH_TRAINER_WORKLOAD_H_
#define COPPICE_BENCH_TRAINER_WORKLOAD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/model/parameters.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::bench {

struct Configuration {
  std::string name;  // "d=64, depth 2"
  int64_t d_model = 0;
  int64_t heads = 0;
  int64_t d_ff = 0;
  int64_t depth = 0;
  double target = 0;   // seed-steps a second relative to the eager baseline
  bool small = false;  // cheap enough for the regression guard
};
const std::vector<Configuration>& Configurations();

// The paper's settings on the question task, with the configuration's model. Reports, probes and
// checkpoints come too late to be measured.
trainer::RunConfig RunOf(const Configuration& configuration);

// 20,000 training sentences. Batches are drawn from them, and the lengths do not depend on their
// number.
absl::StatusOr<trainer::Dataset> MakeData(const trainer::RunConfig& run);

trainer::ModelShape ShapeOf(const trainer::RunConfig& run, const trainer::Dataset& dataset);

// Length of the longest sentence of all splits, SOS included.
int64_t LongestSequence(const trainer::Dataset& dataset);

// The lengths, SOS included, of each sequence in the seed's first `steps` steps.
std::vector<int64_t> SequenceLengths(const trainer::RunConfig& run, const trainer::Dataset& dataset,
                                     uint64_t seed, int64_t steps);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_WORKLOAD_H_
