#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "tests/worker/trainer/tasks/oracle.h"
#include "worker/trainer/tasks/dataset.h"
#include "worker/trainer/tasks/directory.h"

namespace coppice::trainer {
namespace {

DatasetOptions Sizes(int32_t train, int32_t val, int32_t test, int32_t gen) {
  DatasetOptions options;
  options.task = Task::kDyck;
  options.train = train;
  options.val = val;
  options.test = test;
  options.gen = gen;
  return options;
}

const Dataset& PaperSize() {
  static const Dataset* const dataset =
      new Dataset(MakeDataset(Sizes(200000, 20000, 10000, 20000)).value());
  return *dataset;
}

std::string Line(const Example& example) {
  return FormatExample(Task::kDyck, PaperSize().vocabulary, example);
}

// A second check of the bracket rules, on text. Returns the shapes between returns to the empty
// stack. `fault` is set when the string is not in the language.
std::vector<std::string> Paths(const std::string& line, std::string* fault) {
  std::vector<std::string> words = SplitWords(line);
  if (words.empty() || words.back() != "END") *fault = "no END: " + line;
  words.pop_back();
  if (words.size() < 4) *fault = "too short: " + line;
  std::vector<std::string> paths(1);
  std::string stack;
  for (const std::string& word : words) {
    const bool opens = word[0] == '(';
    const char type = word[opens ? 1 : 0];
    if (word.size() != 2 || type < 'a' || type > 't') *fault = "no bracket: " + word;
    paths.back() += opens ? '(' : ')';
    if (opens) {
      stack += type;
      if (stack.size() > 10) *fault = "too deep: " + line;
      continue;
    }
    if (word[1] != ')' || stack.empty() || stack.back() != type) {
      *fault = "no match: " + line;
      return {};
    }
    stack.pop_back();
    if (stack.empty()) paths.emplace_back();
  }
  if (!stack.empty()) *fault = "left open: " + line;
  paths.pop_back();
  return paths;
}

double MeanLength(const Split& split) {
  double total = 0;
  for (const Example& example : split.examples) total += static_cast<double>(example.tokens.size());
  return total / static_cast<double>(split.examples.size());
}

size_t Longest(const Split& split) {
  size_t longest = 0;
  for (const Example& example : split.examples) longest = std::max(longest, example.tokens.size());
  return longest;
}

TEST(Dyck, VocabularyIsTheFortyBrackets) {
  const Vocabulary& vocabulary = PaperSize().vocabulary;
  EXPECT_EQ(vocabulary.word_count(), 40);
  EXPECT_EQ(vocabulary.Id("(a"), 1);
  EXPECT_EQ(vocabulary.Id("t)"), 40);
  EXPECT_EQ(vocabulary.Id("END"), -1) << "the end is the model's EOS";
}

TEST(Dyck, SplitsHaveExactSizes) {
  EXPECT_EQ(PaperSize().train.examples.size(), 200000u);
  EXPECT_EQ(PaperSize().val.examples.size(), 20000u);
  EXPECT_EQ(PaperSize().test.examples.size(), 10000u);
  EXPECT_EQ(PaperSize().gen.examples.size(), 20000u);
}

TEST(Dyck, EvaluationStringsAreNewAndGeneralizationAloneHasUnseenStructure) {
  const Dataset dataset = MakeDataset(Sizes(40000, 4000, 2000, 4000)).value();
  std::unordered_set<std::string> strings, seen;
  std::string fault;
  int with_prefix = 0;
  for (const Example& example : dataset.train.examples) {
    const std::string line = Line(example);
    with_prefix += example.prefix != 0;
    for (const std::string& path : Paths(line, &fault)) seen.insert(path);
    strings.insert(line);
    ASSERT_EQ(fault, "");
  }
  EXPECT_EQ(with_prefix, 0);
  const auto check = [&](const Split& split, bool all_seen) {
    for (const Example& example : split.examples) {
      const std::string line = Line(example);
      ASSERT_TRUE(strings.insert(line).second) << "twice: " << line;
      const std::vector<std::string> paths = Paths(line, &fault);
      ASSERT_EQ(fault, "");
      const bool all = std::all_of(paths.begin(), paths.end(),
                                   [&](const auto& path) { return seen.count(path) > 0; });
      ASSERT_EQ(all, all_seen) << line;
    }
  };
  check(dataset.val, true);
  check(dataset.test, true);
  check(dataset.gen, false);
}

TEST(Dyck, LengthsAreThoseOfTheReleasedSampler) {
  EXPECT_NEAR(MeanLength(PaperSize().train), 50, 1);
  EXPECT_NEAR(MeanLength(PaperSize().val), 13.25, .5);
  EXPECT_NEAR(static_cast<double>(Longest(PaperSize().val)), 80, 25);
  // Two ways to have 4 brackets, with weights 1/8 (side by side) and 1/16 (nested).
  double shortest = 0;
  for (const Example& example : PaperSize().train.examples) shortest += example.tokens.size() == 4;
  EXPECT_NEAR(shortest / 200000, 3.0 / 16, .005);
}

TEST(Dyck, LimitOnTheLengthIsKeptEverywhere) {
  DatasetOptions options = Sizes(20000, 500, 500, 500);
  options.dyck_max_brackets = 40;
  const Dataset dataset = MakeDataset(options).value();
  for (const Split* split : {&dataset.train, &dataset.val, &dataset.test, &dataset.gen}) {
    EXPECT_LE(Longest(*split), 40u);
  }
  EXPECT_EQ(Longest(dataset.train), 40u);
}

TEST(Dyck, ScoresTheFirstClosingPositions) {
  const Split& val = PaperSize().val;
  ASSERT_EQ(val.choices.items.size(), 5000u);
  EXPECT_EQ(PaperSize().train.choices.items.size(), 0u);
  EXPECT_TRUE(val.decodes.items.empty());
  std::set<std::string> candidates;
  for (const int32_t id : val.choices.candidates) {
    const absl::string_view word = PaperSize().vocabulary.Word(id);
    candidates.insert(std::string(word.data(), word.size()));
  }
  EXPECT_EQ(candidates.size(), 20u);
  for (const std::string& word : candidates) EXPECT_EQ(word[1], ')');
  size_t item = 0;
  for (size_t i = 0; i < val.examples.size() && item < 5000; ++i) {
    const std::vector<std::string> words = SplitWords(Line(val.examples[i]));
    for (size_t position = 0; position + 1 < words.size() && item < 5000; ++position) {
      if (words[position][1] != ')') continue;
      ASSERT_EQ(val.choices.items[item].example, static_cast<int32_t>(i));
      ASSERT_EQ(val.choices.items[item].position, static_cast<int32_t>(position));
      ASSERT_EQ(PaperSize().vocabulary.Word(val.choices.items[item].answer), words[position]);
      ++item;
    }
  }
  EXPECT_EQ(item, 5000u);
}

TEST(Dyck, SmallDatasetsWork) {
  const auto dataset = MakeDataset(Sizes(200, 50, 50, 50));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->gen.examples.size(), 50u);
}

TEST(Dyck, TellsWhichSplitCannotBeFilled) {
  // With at most 4 brackets a string is ()() or (()). A train set of 1,000 contains both.
  DatasetOptions options = Sizes(1000, 5, 5, 10);
  options.dyck_max_brackets = 4;
  const auto gen = MakeDataset(options);
  ASSERT_EQ(gen.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(gen.status().message())
                .find("data.gen asks for 10 examples, the largest possible size is 0"),
            std::string::npos)
      << gen.status();
  options = Sizes(1000, 900, 5, 5);
  options.dyck_max_brackets = 4;
  const auto val = MakeDataset(options);
  ASSERT_EQ(val.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(val.status().message()).find("data.val asks for 900"), std::string::npos)
      << val.status();
}

}  // namespace
}  // namespace coppice::trainer
