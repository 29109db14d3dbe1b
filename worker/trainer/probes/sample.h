// Which sentences the probes read, and what their trees are compared with. Free of LibTorch.
#ifndef COPPICE_WORKER_TRAINER_PROBES_SAMPLE_H_
#define COPPICE_WORKER_TRAINER_PROBES_SAMPLE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/trainer/tasks/dataset.h"
#include "worker/trainer/tasks/gold_parser.h"

namespace coppice::trainer {

// Longer dyck strings are left out of the sample: spans grow with the square of the length, and a
// few of the longest training strings would cost more than all others together.
inline constexpr size_t kLongestDyckProbe = 80;  // brackets

struct ProbeSample {
  std::vector<std::vector<int32_t>> sentences;
  std::vector<std::vector<Bracket>> gold;  // one for each sentence; empty for dyck
  double right_branching_f1 = 0;           // the baseline of t_parseval on this sample; 0 for dyck

  bool has_gold() const { return !gold.empty(); }
};

// Up to `count` training inputs, drawn without replacement by the dataset's seed alone: question,
// the declarative part, without its full stop, of inputs that ask for a question (docs/science.md
// says how the published numbers tell that copies are not in their sample); tense, that part of any
// input; dyck, whole strings. Fewer when there are fewer. INVALID_ARGUMENT when an input has no
// gold parse.
absl::StatusOr<ProbeSample> DrawProbeSample(Task task, const Dataset& dataset, uint64_t seed,
                                            int64_t count);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_PROBES_SAMPLE_H_
