// The common rules of all tasks: determinism, independence of sizes, evaluation sets, refused
// options.
#include "worker/trainer/tasks/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "common/base/digest.h"
#include "tests/worker/trainer/tasks/oracle.h"
#include "worker/trainer/tasks/directory.h"

namespace coppice::trainer {
namespace {

using testing::HasSubstr;

DatasetOptions Small(Task task, uint64_t seed = 0) {
  DatasetOptions options;
  options.task = task;
  options.seed = seed;
  options.train = 2000;
  options.val = 200;
  options.test = 300;
  options.gen = 400;
  options.decode_sentences = 50;
  options.dyck_prefixes = 60;
  return options;
}

std::string Text(Task task, const Dataset& dataset, const Split& split) {
  std::string text;
  for (const Example& example : split.examples) {
    text += FormatExample(task, dataset.vocabulary, example) + "\n";
  }
  for (const ChoiceItem& item : split.choices.items) {
    text += std::to_string(item.example) + "," + std::to_string(item.position) + ";";
  }
  for (const DecodeItem& item : split.decodes.items) text += std::to_string(item.example) + ";";
  return text;
}

std::string DigestOfAll(const DatasetOptions& options) {
  const Dataset dataset = MakeDataset(options).value();
  std::string text;
  for (const Split* split : {&dataset.train, &dataset.val, &dataset.test, &dataset.gen}) {
    text += Text(options.task, dataset, *split);
  }
  return DigestOf(text.data(), text.size());
}

// Any change here changes every dataset: earlier and later results are then not comparable.
TEST(Dataset, IsTheSameEverywhere) {
  EXPECT_EQ(DigestOfAll(Small(Task::kQuestion)), "0188114174fa229d1a0bd98234059c89");
  EXPECT_EQ(DigestOfAll(Small(Task::kTense)), "452a06779e5bc55c4d2e24986065016a");
  EXPECT_EQ(DigestOfAll(Small(Task::kDyck)), "55e80d3142655fb9929f978980eb20ab");
}

TEST(Dataset, AnotherSeedIsAnotherDataset) {
  for (const Task task : {Task::kQuestion, Task::kTense, Task::kDyck}) {
    EXPECT_EQ(DigestOfAll(Small(task, 1)), DigestOfAll(Small(task, 1)));
    EXPECT_NE(DigestOfAll(Small(task, 1)), DigestOfAll(Small(task, 2)));
    // A seed that differs only in its upper half.
    EXPECT_NE(DigestOfAll(Small(task, 1)), DigestOfAll(Small(task, (uint64_t{1} << 32) + 1)));
  }
}

TEST(Dataset, TrainDoesNotDependOnTheOtherSizesAndGrowsAtItsEnd) {
  for (const Task task : {Task::kQuestion, Task::kTense, Task::kDyck}) {
    const Dataset base = MakeDataset(Small(task)).value();
    DatasetOptions options = Small(task);
    options.val = options.test = options.gen = 1;
    const Dataset fewer = MakeDataset(options).value();
    EXPECT_EQ(Text(task, base, base.train), Text(task, fewer, fewer.train));
    options.train = 3000;
    const Dataset larger = MakeDataset(options).value();
    const std::string text = Text(task, larger, larger.train);
    EXPECT_EQ(text.rfind(Text(task, base, base.train), 0), 0u);
    if (task == Task::kDyck) continue;  // unseen structure depends on train by definition
    options.val = 200;
    const Dataset same_val = MakeDataset(options).value();
    EXPECT_EQ(Text(task, base, base.val), Text(task, same_val, same_val.val));
  }
}

TEST(Dataset, NamesAndTasksMatch) {
  for (const Task task : {Task::kQuestion, Task::kTense, Task::kDyck}) {
    EXPECT_EQ(ParseTask(TaskName(task)), task);
  }
  EXPECT_EQ(ParseTask("Question"), std::nullopt);
  EXPECT_EQ(ParseTask(""), std::nullopt);
}

TEST(Evaluation, QuestionScoresTheFirstWordOfEveryQuestion) {
  const Dataset dataset = MakeDataset(Small(Task::kQuestion)).value();
  const Vocabulary& v = dataset.vocabulary;
  EXPECT_TRUE(dataset.train.choices.items.empty());
  for (const Split* split : {&dataset.val, &dataset.test, &dataset.gen}) {
    EXPECT_TRUE(split->decodes.items.empty());
    EXPECT_THAT(
        split->choices.candidates,
        testing::UnorderedElementsAre(v.Id("do"), v.Id("does"), v.Id("don't"), v.Id("doesn't")));
    size_t quests = 0;
    for (const Example& example : split->examples) {
      quests += std::count(example.tokens.begin(), example.tokens.end(), v.Id("quest")) > 0;
    }
    ASSERT_EQ(split->choices.items.size(), quests);
    for (const ChoiceItem& item : split->choices.items) {
      const Example& example = split->examples[item.example];
      EXPECT_EQ(example.tokens[item.position - 1], v.Id("quest"));
      EXPECT_EQ(example.tokens[item.position], item.answer);
      EXPECT_THAT(split->choices.candidates, testing::Contains(item.answer));
    }
  }
  EXPECT_EQ(dataset.gen.choices.items.size(), 400u);
}

// Both kinds of in-domain examples count: the published accuracies on val are multiples of 1/1000,
// so they cover all its 1,000 sentences.
TEST(Evaluation, TenseDecodesAFixedSampleOfBothKindsOfExamples) {
  const Dataset dataset = MakeDataset(Small(Task::kTense)).value();
  const Oracle oracle(Task::kTense);
  EXPECT_TRUE(dataset.train.decodes.items.empty());
  for (const Split* split : {&dataset.val, &dataset.test, &dataset.gen}) {
    EXPECT_TRUE(split->choices.items.empty());
    ASSERT_EQ(split->decodes.items.size(), 50u);
    std::set<int32_t> examples;
    std::set<std::string> kinds;
    for (const DecodeItem& item : split->decodes.items) {
      examples.insert(item.example);
      const Reading reading = oracle.Read(
          FormatExample(Task::kTense, dataset.vocabulary, split->examples[item.example]));
      kinds.insert(std::string(reading.task_word));
      EXPECT_EQ(item.main_verb, reading.main_verb) << reading.sentence;
    }
    EXPECT_EQ(kinds.size(), split == &dataset.gen ? 1u : 2u);
    EXPECT_EQ(examples.size(), 50u);
    EXPECT_GT(*examples.rbegin(), 100) << "a sample of all, not the first ones";
  }
  DatasetOptions all = Small(Task::kTense);
  all.decode_sentences = 1000;
  EXPECT_EQ(MakeDataset(all).value().gen.decodes.items.size(), 400u);
}

TEST(Evaluation, PartsOfSpeechIgnoreNumberTenseAndTransitivity) {
  const Dataset dataset = MakeDataset(Small(Task::kTense)).value();
  const Vocabulary& v = dataset.vocabulary;
  const std::vector<int8_t>& pos = dataset.gen.decodes.part_of_speech;
  ASSERT_EQ(pos.size(), static_cast<size_t>(v.size()));
  const auto of = [&](const char* word) { return static_cast<int>(pos[v.Id(word)]); };
  EXPECT_EQ(of("newt"), of("walruses"));
  EXPECT_EQ(of("eats"), of("ate"));
  EXPECT_EQ(of("eats"), of("admire"));
  EXPECT_EQ(of("her"), of("the"));
  EXPECT_EQ(of("PAST"), of("PRESENT"));
  const std::set<int> classes = {of("newt"), of("eat"),  of("her"), of("with"),   of("who"),
                                 of("."),    of("PAST"), pos[0],    pos[v.eos()], pos[v.sos()]};
  EXPECT_EQ(classes.size(), 10u);
}

struct Refusal {
  void (*change)(DatasetOptions*);
  const char* message;
};

TEST(Refused, OptionsNameWhatIsWrong) {
  const Refusal refusals[] = {
      {[](DatasetOptions* o) { o->train = 0; }, "data.train must be positive, got 0"},
      {[](DatasetOptions* o) { o->val = -1; }, "data.val must be positive, got -1"},
      {[](DatasetOptions* o) { o->test = 0; }, "data.test must be positive"},
      {[](DatasetOptions* o) { o->gen = 0; }, "data.gen must be positive"},
      {[](DatasetOptions* o) { o->decode_sentences = 0; }, "decode_sentences must be positive"},
      {[](DatasetOptions* o) { o->gen = 2000000000; },
       "data.gen asks for 2000000000 examples, the largest possible size is 20000000"},
      {[](DatasetOptions* o) {
         o->task = Task::kDyck;
         o->dyck_prefixes = 0;
       },
       "dyck_prefixes must be positive"},
      {[](DatasetOptions* o) { o->dyck_max_brackets = 3; }, "dyck_max_brackets must be 0 or"},
  };
  for (const Refusal& refusal : refusals) {
    DatasetOptions options = Small(Task::kTense);
    refusal.change(&options);
    const auto dataset = MakeDataset(options);
    EXPECT_EQ(dataset.status().code(), absl::StatusCode::kInvalidArgument) << refusal.message;
    EXPECT_THAT(std::string(dataset.status().message()), HasSubstr(refusal.message));
  }
}

}  // namespace
}  // namespace coppice::trainer
