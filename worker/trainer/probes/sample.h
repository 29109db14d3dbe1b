// The sentences that the probes read, and the trees for comparison. Free of LibTorch.
#ifndef COPPICE_WORKER_TRAINER_PROBES_SAMPLE_H_
#define COPPICE_WORKER_TRAINER_PROBES_SAMPLE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/trainer/tasks/dataset.h"
#include "worker/trainer/tasks/gold_parser.h"

namespace coppice::trainer {

// The sample leaves out longer dyck strings. The number of spans grows with the square of the
// length, so a few of the longest training strings would cost more than all others together.
inline constexpr size_t kLongestDyckProbe = 80;  // brackets

struct ProbeSample {
  std::vector<std::vector<int32_t>> sentences;
  std::vector<std::vector<Bracket>> gold;  // one for each sentence; empty for dyck
  double right_branching_f1 = 0;           // the baseline of t_parseval on this sample; 0 for dyck

  bool has_gold() const { return !gold.empty(); }
};

// Up to `count` training inputs, or all if there are fewer, drawn without replacement by the
// dataset's seed alone. question: the declarative part, without its full stop, of inputs that ask
// for a question. (docs/science.md: by the published numbers, copies are not in the authors'
// sample.) tense: the same part of any input. dyck: whole strings. INVALID_ARGUMENT: an input has
// no gold parse.
absl::StatusOr<ProbeSample> DrawProbeSample(Task task, const Dataset& dataset, uint64_t seed,
                                            int64_t count);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_PROBES_SAMPLE_H_
