// The reading plan and the trees of the probes, against examples made by hand and plain
// definitions.
#include "worker/trainer/probes/plan.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/probes/sample.h"
#include "worker/trainer/probes/tree_projection.h"

namespace coppice::trainer {
namespace {

using testing::ElementsAre;

constexpr int32_t kSos = 99;

TEST(PrefixTree, SharesTheBeginningOfTheSequenceBefore) {
  PrefixTree tree(kSos);
  std::vector<int32_t> first, second, third;
  tree.Add(1, {5, 6, 7}, &first);
  tree.Add(1, {5, 6, 8, 9}, &second);
  tree.Add(2, {5, 6}, &third);  // other positions, other rows
  EXPECT_THAT(first, ElementsAre(1, 2, 3));
  EXPECT_THAT(second, ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(third, ElementsAre(6, 7));
  EXPECT_THAT(tree.tokens(), ElementsAre(kSos, 5, 6, 7, 8, 9, 5, 6));
  EXPECT_THAT(tree.positions(), ElementsAre(0, 1, 2, 3, 3, 4, 2, 3));
  EXPECT_THAT(tree.parents(), ElementsAre(-1, 0, 1, 2, 2, 4, 0, 6));
  EXPECT_EQ(tree.longest(), 5);
}

// Reads a chain from its last row to the root and checks its words.
void ExpectChainSpells(const PrefixTree& tree, const ProbeChain& chain,
                       const std::vector<int32_t>& sentence) {
  ASSERT_EQ(chain.rows.size(), sentence.size() - chain.first);
  int32_t row = chain.rows.back();
  for (auto at = static_cast<int32_t>(sentence.size()) - 1; at >= chain.first; --at) {
    EXPECT_EQ(row, chain.rows[at - chain.first]);
    EXPECT_EQ(tree.tokens()[row], sentence[at]);
    EXPECT_EQ(tree.positions()[row], at + 1);
    row = tree.parents()[row];
  }
  EXPECT_EQ(row, 0);
}

TEST(ProbePlan, ReadsEverySuffixOfEverySentenceOnce) {
  std::vector<std::vector<int32_t>> sentences;
  for (int i = 0; i < 700; ++i) {
    sentences.emplace_back();
    for (int w = 0; w < 1 + i % 9; ++w) sentences.back().push_back((i * 7 + w * i) % 5);
  }
  const ProbePlan plan(sentences, kSos);
  std::set<std::pair<int32_t, int32_t>> seen;
  ASSERT_EQ(plan.groups().size(), 1u);
  for (const auto* batches : {&plan.groups()[0].in_context, &plan.groups()[0].suffixes}) {
    for (const ProbeBatch& batch : *batches) {
      for (const ProbeChain& chain : batch.chains) {
        ExpectChainSpells(batch.tree, chain, sentences[chain.sentence]);
        EXPECT_EQ(chain.first == 0, batches == &plan.groups()[0].in_context);
        EXPECT_TRUE(seen.insert({chain.sentence, chain.first}).second);
      }
    }
  }
  size_t words = 0;
  for (const auto& sentence : sentences) words += sentence.size();
  EXPECT_EQ(seen.size(), words);
  EXPECT_LT(plan.rows(), static_cast<int64_t>(words)) << "nothing was shared";
}

TEST(ProbePlan, ReadsAFractionOfWhatOneReadingPerSpanWould) {
  DatasetOptions options;
  options.task = Task::kQuestion;
  options.train = 30'000;
  options.val = options.test = options.gen = 20;
  const absl::StatusOr<Dataset> dataset = MakeDataset(options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const auto sample = DrawProbeSample(Task::kQuestion, *dataset, 0, 10'000);
  ASSERT_TRUE(sample.ok()) << sample.status();
  int64_t per_span = 0, per_first_word = 0;  // SOS included
  for (const auto& sentence : sample->sentences) {
    const auto words = static_cast<int64_t>(sentence.size());
    for (int64_t length = 1; length <= words; ++length) {
      per_span += (words - length + 1) * (length + 1);
      per_first_word += length + 1;
    }
  }
  const ProbePlan plan(sample->sentences, kSos);
  RecordProperty("per_span", std::to_string(per_span));
  RecordProperty("per_first_word", std::to_string(per_first_word));
  RecordProperty("rows", std::to_string(plan.rows()));
  EXPECT_GT(per_span, 9 * plan.rows());
  EXPECT_GT(per_first_word, 2 * plan.rows());
}

TEST(ProbePlan, LargeSamplesAreReadInGroupsThatKeepTheirOwnContext) {
  const std::vector<std::vector<int32_t>> sentences(10'001, {1, 2, 3});
  const ProbePlan plan(sentences, kSos);
  ASSERT_EQ(plan.groups().size(), 2u);
  EXPECT_EQ(plan.groups()[1].in_context[0].chains.size(), 1u);
  EXPECT_EQ(plan.groups()[1].context_rows, 4);
  EXPECT_EQ(plan.values(), 10'001 * 6);
}

std::vector<double> Chart(int64_t words, const std::map<std::pair<int, int>, double>& values) {
  std::vector<double> chart(SpanCount(words), 0.0);
  for (const auto& [span, value] : values) chart[SpanIndex(words, span.first, span.second)] = value;
  return chart;
}

TEST(TreeProjection, SplitsWhereBothPartsAreMostThemselves) {
  // Splits of 0..3: after 0: 0 + .9 = .9, after 1: .8 + .3 = 1.1, after 2: .5 + 0 = .5.
  const auto chart = Chart(4, {{{1, 3}, .9}, {{0, 1}, .8}, {{2, 3}, .3}, {{0, 2}, .5}});
  const TreeProjection tree = ProjectTree(4, chart);
  EXPECT_THAT(tree.brackets, ElementsAre(Bracket{0, 3}, Bracket{0, 1}, Bracket{2, 3}));
  EXPECT_NEAR(tree.greedy_score, 1.1, 1e-12);
  EXPECT_NEAR(tree.normalized_score, 1.1 - (.9 + 1.1 + .5) / 3, 1e-12);
}

TEST(TreeProjection, TheFirstOfEqualSplitsWins) {
  const TreeProjection tree = ProjectTree(4, std::vector<double>(SpanCount(4), .5));
  EXPECT_THAT(tree.brackets, ElementsAre(Bracket{0, 3}, Bracket{1, 3}, Bracket{2, 3}));
  EXPECT_EQ(tree.normalized_score, 0);
}

TEST(TreeProjection, NegativeCosinesStillChooseTheHighest) {
  const auto chart = Chart(3, {{{0, 0}, -.9}, {{1, 2}, -.9}, {{0, 1}, -.1}, {{2, 2}, -.2}});
  EXPECT_THAT(ProjectTree(3, chart).brackets, ElementsAre(Bracket{0, 2}, Bracket{0, 1}));
}

TEST(TreeProjection, OneWordHasNoSplit) {
  const TreeProjection tree = ProjectTree(1, std::vector<double>{1.0});
  EXPECT_TRUE(tree.brackets.empty());
  EXPECT_EQ(tree.normalized_score, 0);
}

Dataset Make(Task task, uint64_t seed) {
  DatasetOptions options;
  options.task = task;
  options.seed = seed;
  options.train = 3000;
  options.val = options.test = options.gen = 20;
  absl::StatusOr<Dataset> dataset = MakeDataset(options);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return *std::move(dataset);
}

TEST(ProbeSample, HoldsTrainingInputsWithoutFullStopOutputOrRepetition) {
  const Dataset dataset = Make(Task::kTense, 3);
  const auto sample = DrawProbeSample(Task::kTense, dataset, 3, 500);
  ASSERT_TRUE(sample.ok()) << sample.status();
  std::set<std::vector<int32_t>> inputs;
  for (const Example& example : dataset.train.examples) {
    inputs.insert({example.tokens.begin(), example.tokens.begin() + example.prefix - 2});
  }
  EXPECT_EQ(sample->sentences.size(), 500u);
  EXPECT_EQ(
      std::set<std::vector<int32_t>>(sample->sentences.begin(), sample->sentences.end()).size(),
      500u);
  for (size_t s = 0; s < sample->sentences.size(); ++s) {
    EXPECT_TRUE(inputs.contains(sample->sentences[s]));
    EXPECT_EQ(sample->gold[s].size(), sample->sentences[s].size() - 1);
  }
}

TEST(ProbeSample, IsFixedByTheDatasetSeed) {
  const Dataset dataset = Make(Task::kQuestion, 3);
  const auto draw = [&](uint64_t seed) {
    return DrawProbeSample(Task::kQuestion, dataset, seed, 50)->sentences;
  };
  EXPECT_EQ(draw(3), draw(3));
  EXPECT_NE(draw(3), draw(4));
}

// 0.663 and 0.50 are the scores of the released sets: of questions alone, and of both kinds of
// tense examples.
TEST(ProbeSample, IsMadeOfQuestionsOnlyAndHasTheirRightBranchingScore) {
  const Dataset dataset = Make(Task::kQuestion, 3);
  const int32_t quest = dataset.vocabulary.Id("quest");
  std::set<std::vector<int32_t>> questions;
  for (const Example& example : dataset.train.examples) {
    if (example.tokens[example.prefix - 1] == quest)
      questions.insert({example.tokens.begin(), example.tokens.begin() + example.prefix - 2});
  }
  const auto sample = DrawProbeSample(Task::kQuestion, dataset, 3, 1'000'000);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->sentences.size(), questions.size());
  for (const auto& sentence : sample->sentences) EXPECT_TRUE(questions.contains(sentence));
  EXPECT_NEAR(sample->right_branching_f1, .663, .01);
}

TEST(ProbeSample, DyckHasNoGoldParsesAndNoEndlessStrings) {
  const Dataset dataset = Make(Task::kDyck, 3);
  const auto sample = DrawProbeSample(Task::kDyck, dataset, 3, 500);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->sentences.size(), 500u);
  EXPECT_FALSE(sample->has_gold());
  for (const auto& sentence : sample->sentences) EXPECT_LE(sentence.size(), kLongestDyckProbe);
}

TEST(ProbeSample, TenseHasTheRightBranchingScoreOfAllItsInputs) {
  const auto tense = DrawProbeSample(Task::kTense, Make(Task::kTense, 3), 3, 3000);
  EXPECT_NEAR(tense->right_branching_f1, .50, .01);
}

}  // namespace
}  // namespace coppice::trainer
