#include "worker/trainer/probes/sample.h"

#include <utility>

#include "common/base/status_macros.h"
#include "worker/trainer/tasks/random.h"
#include "worker/trainer/tasks/sampling.h"
#include "worker/trainer/tasks/streams.h"

namespace coppice::trainer {
namespace {

bool Probed(Task task, const Vocabulary& vocabulary, const Example& example) {
  switch (task) {
    case Task::kQuestion:
      return vocabulary.Word(example.tokens[example.prefix - 1]) == "quest";
    case Task::kTense:
      return true;
    case Task::kDyck:
      return example.tokens.size() <= kLongestDyckProbe;
  }
  return false;
}

std::vector<int32_t> InputOf(Task task, const Example& example) {
  if (task == Task::kDyck) return example.tokens;
  const auto words = DeclarativePart(example);
  return {words.begin(), words.end()};
}

}  // namespace

absl::StatusOr<ProbeSample> DrawProbeSample(Task task, const Dataset& dataset, uint64_t seed,
                                            int64_t count) {
  std::vector<const Example*> candidates;
  for (const Example& example : dataset.train.examples) {
    if (Probed(task, dataset.vocabulary, example)) candidates.push_back(&example);
  }
  Random random(seed, StreamOf(task, SplitName::kTrain, Purpose::kProbeSample));
  ProbeSample sample;
  BracketScore right_branching;
  for (const int32_t index : SampleIndices(candidates.size(), static_cast<size_t>(count), random)) {
    sample.sentences.push_back(InputOf(task, *candidates[index]));
    if (task == Task::kDyck) continue;
    const std::vector<int32_t>& words = sample.sentences.back();
    COPPICE_ASSIGN_OR_RETURN(const GoldTree tree, GoldParse(task, words));
    sample.gold.push_back(tree.Brackets());
    right_branching.Add(RightBranching(static_cast<int>(words.size())), sample.gold.back());
  }
  sample.right_branching_f1 = right_branching.F1();
  return sample;
}

}  // namespace coppice::trainer
