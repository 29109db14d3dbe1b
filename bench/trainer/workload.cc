#include "bench/trainer/workload.h"

#include <algorithm>

#include "worker/trainer/train/permutation.h"

namespace coppice::bench {

const std::vector<Configuration>& Configurations() {
  static const auto* const all =
      new std::vector<Configuration>{{"d=64, depth 2", 64, 4, 256, 2, 5, true},
                                     {"d=128, depth 4", 128, 4, 512, 4, 5, true},
                                     {"d=512, depth 6", 512, 8, 2048, 6, 2, false}};
  return *all;
}

trainer::RunConfig RunOf(const Configuration& configuration) {
  constexpr int64_t kNever = int64_t{1} << 40;
  trainer::RunConfig run;
  run.task = trainer::Task::kQuestion;
  run.depth = configuration.depth;
  run.model.d_model = configuration.d_model;
  run.model.heads = configuration.heads;
  run.model.d_ff = configuration.d_ff;
  run.train.steps = kNever;
  run.data.train = 20000;
  run.data.val = run.data.test = run.data.gen = 100;
  run.report.every = kNever;
  run.report.probe_sentences = 0;
  run.checkpoint.every = kNever;
  return run;
}

absl::StatusOr<trainer::Dataset> MakeData(const trainer::RunConfig& run) {
  return trainer::MakeDataset(trainer::DatasetOptionsOf(run));
}

trainer::ModelShape ShapeOf(const trainer::RunConfig& run, const trainer::Dataset& dataset) {
  return {dataset.vocabulary.size(), run.model.d_model, run.model.heads, run.model.d_ff, run.depth};
}

int64_t LongestSequence(const trainer::Dataset& dataset) {
  size_t longest = 0;
  for (const trainer::Split* split : {&dataset.train, &dataset.val, &dataset.test, &dataset.gen}) {
    for (const trainer::Example& example : split->examples)
      longest = std::max(longest, example.tokens.size());
  }
  return static_cast<int64_t>(longest) + 1;
}

std::vector<int64_t> SequenceLengths(const trainer::RunConfig& run, const trainer::Dataset& dataset,
                                     uint64_t seed, int64_t steps) {
  const auto& examples = dataset.train.examples;
  trainer::BatchOrder order(seed, static_cast<int32_t>(examples.size()),
                            static_cast<int32_t>(run.train.batch_size));
  std::vector<int64_t> lengths;
  for (int64_t step = 0; step < steps; ++step) {
    const int32_t* batch = order.Batch(step);
    for (int64_t i = 0; i < run.train.batch_size; ++i)
      lengths.push_back(static_cast<int64_t>(examples[batch[i]].tokens.size()) + 1);
  }
  return lengths;
}

}  // namespace coppice::bench
