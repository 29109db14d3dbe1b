#include "worker/trainer/tasks/evaluation.h"

#include <utility>
#include <vector>

#include "worker/trainer/tasks/dyck.h"
#include "worker/trainer/tasks/gold_parser.h"
#include "worker/trainer/tasks/grammar.h"
#include "worker/trainer/tasks/lexicon.h"
#include "worker/trainer/tasks/random.h"
#include "worker/trainer/tasks/sampling.h"
#include "worker/trainer/tasks/streams.h"

namespace coppice::trainer {
namespace {

std::vector<int32_t> ExamplesWith(const Split& split, int32_t task_word) {
  std::vector<int32_t> indices;
  for (size_t i = 0; i < split.examples.size(); ++i) {
    const Example& example = split.examples[i];
    if (example.tokens[example.prefix - 1] == task_word) indices.push_back(static_cast<int32_t>(i));
  }
  return indices;
}

void AddFirstWordChoices(Split* split) {
  const Lexicon& lexicon = Lexicon::For(Task::kQuestion);
  for (const char* word : {"do", "does", "don't", "doesn't"}) {
    split->choices.candidates.push_back(lexicon.Token(word));
  }
  for (const int32_t i : ExamplesWith(*split, lexicon.Token("quest"))) {
    const Example& example = split->examples[i];
    split->choices.items.push_back({i, example.prefix, example.tokens[example.prefix]});
  }
}

void AddClosingChoices(int32_t limit, Split* split) {
  split->choices.candidates = DyckClosers();
  std::vector<bool> closing(static_cast<size_t>(DyckVocabulary().size()), false);
  for (const int32_t token : DyckClosers()) closing[token] = true;
  auto& items = split->choices.items;
  for (size_t i = 0; i < split->examples.size(); ++i) {
    const std::vector<int32_t>& tokens = split->examples[i].tokens;
    for (size_t position = 0; position < tokens.size(); ++position) {
      if (!closing[tokens[position]]) continue;
      if (items.size() == static_cast<size_t>(limit)) return;
      items.push_back({static_cast<int32_t>(i), static_cast<int32_t>(position), tokens[position]});
    }
  }
}

void AddDecodes(const DatasetOptions& options, SplitName name, Split* split) {
  const Lexicon& lexicon = Lexicon::For(Task::kTense);
  Random random(options.seed, StreamOf(Task::kTense, name, Purpose::kDecodeSample));
  // Examples with PAST count too: the published in-domain accuracies are multiples of 1/1000, those
  // of a val split of 1,000 sentences.
  for (const int32_t i : SampleIndices(split->examples.size(),
                                       static_cast<size_t>(options.decode_sentences), random)) {
    // The output's words have the same positions as the sentence's.
    const auto sentence = ParseSentence(lexicon, DeclarativePart(split->examples[i]));
    if (sentence.ok()) split->decodes.items.push_back({i, sentence->verb});
  }
  split->decodes.part_of_speech = lexicon.PartsOfSpeech();
}

}  // namespace

void AddEvaluationSets(const DatasetOptions& options, Dataset* dataset) {
  const std::pair<SplitName, Split*> splits[] = {{SplitName::kVal, &dataset->val},
                                                 {SplitName::kTest, &dataset->test},
                                                 {SplitName::kGen, &dataset->gen}};
  for (const auto& [name, split] : splits) {
    switch (options.task) {
      case Task::kQuestion:
        AddFirstWordChoices(split);
        break;
      case Task::kTense:
        AddDecodes(options, name, split);
        break;
      case Task::kDyck:
        AddClosingChoices(options.dyck_prefixes, split);
        break;
    }
  }
}

}  // namespace coppice::trainer
