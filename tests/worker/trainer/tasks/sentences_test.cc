// The question and tense datasets at their default sizes, every line read by an independent oracle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>

#include "tests/worker/trainer/tasks/oracle.h"
#include "worker/trainer/tasks/dataset.h"
#include "worker/trainer/tasks/directory.h"
#include "worker/trainer/tasks/gold_parser.h"

namespace coppice::trainer {
namespace {

using Shares = std::map<std::string, double>;

struct Readings {
  std::vector<Reading> train, val, test, gen;
};

// Generated and parsed once per task, shared by the tests.
struct World {
  explicit World(Task task) : dataset(Make(task)) {
    const Oracle oracle(task);
    const auto read = [&](const Split& split, std::vector<Reading>* out) {
      for (const Example& example : split.examples) {
        out->push_back(oracle.Read(FormatExample(task, dataset.vocabulary, example)));
      }
    };
    read(dataset.train, &readings.train);
    read(dataset.val, &readings.val);
    read(dataset.test, &readings.test);
    read(dataset.gen, &readings.gen);
  }

  static Dataset Make(Task task) {
    DatasetOptions options;
    options.task = task;
    return MakeDataset(options).value();
  }

  static const World& Of(Task task) {
    static const World* const question = new World(Task::kQuestion);
    static const World* const tense = new World(Task::kTense);
    return task == Task::kTense ? *tense : *question;
  }

  // The 11,000 in-domain sentences from which the tables were counted.
  std::vector<Reading> Measured() const {
    std::vector<Reading> all = readings.val;
    all.insert(all.end(), readings.test.begin(), readings.test.end());
    return all;
  }

  Dataset dataset;
  Readings readings;
};

class Sentences : public testing::TestWithParam<Task> {
 protected:
  const World& world() const { return World::Of(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Tasks, Sentences, testing::Values(Task::kQuestion, Task::kTense),
                         [](const auto& info) {
                           const absl::string_view name = TaskName(info.param);
                           return std::string(name.data(), name.size());
                         });

TEST_P(Sentences, SplitsHaveTheirSizes) {
  EXPECT_EQ(world().readings.train.size(), 100000u);
  EXPECT_EQ(world().readings.val.size(), 1000u);
  EXPECT_EQ(world().readings.test.size(), 10000u);
  EXPECT_EQ(world().readings.gen.size(), 10000u);
}

TEST_P(Sentences, EveryLineIsGrammaticalWithTheRightOutput) {
  const Readings& r = world().readings;
  for (const auto* split : {&r.train, &r.val, &r.test, &r.gen}) {
    for (const Reading& reading : *split) {
      ASSERT_EQ(reading.error, "") << reading.sentence;
    }
  }
}

TEST_P(Sentences, NoSentenceOccursTwiceWhateverItsTaskWord) {
  std::unordered_set<std::string> seen;
  const Readings& r = world().readings;
  for (const auto* split : {&r.train, &r.val, &r.test, &r.gen}) {
    for (const Reading& reading : *split) {
      ASSERT_TRUE(seen.insert(reading.sentence).second) << reading.sentence;
    }
  }
}

TEST(Question, InDomainQuestionsHaveNoRelativeClauseOnTheSubject) {
  const Readings& r = World::Of(Task::kQuestion).readings;
  for (const auto* split : {&r.train, &r.val, &r.test}) {
    for (const Reading& reading : *split) {
      if (reading.task_word == "decl") continue;
      ASSERT_EQ(reading.task_word, "quest");
      ASSERT_TRUE(reading.subject == "plain" || reading.subject == "prep") << reading.sentence;
    }
  }
}

TEST(Question, GeneralizationHasTwoAuxiliariesThatDifferInPolarityAlone) {
  std::map<std::string, int> pairs;
  for (const Reading& reading : World::Of(Task::kQuestion).readings.gen) {
    ASSERT_EQ(reading.task_word, "quest");
    ASSERT_THAT(reading.subject, testing::AnyOf("orc", "src_i", "src_t"));
    ASSERT_EQ(reading.auxiliaries.size(), 2u);
    ++pairs[reading.auxiliaries[0] + " " + reading.auxiliaries[1]];
  }
  using testing::Key;
  EXPECT_THAT(pairs, testing::UnorderedElementsAre(Key("does doesn't"), Key("doesn't does"),
                                                   Key("do don't"), Key("don't do")));
  for (const auto& [pair, count] : pairs) EXPECT_NEAR(count, 2500, 250) << pair;
}

TEST(Tense, TheNearestNounTellsInDomainPresentFromGeneralization) {
  const Readings& r = World::Of(Task::kTense).readings;
  int past_disagreeing = 0;
  for (const auto* split : {&r.train, &r.val, &r.test}) {
    for (const Reading& reading : *split) {
      if (reading.task_word == "PAST") {
        past_disagreeing += reading.nearest_noun_agrees ? 0 : 1;
      } else {
        ASSERT_TRUE(reading.nearest_noun_agrees) << reading.sentence;
      }
    }
  }
  EXPECT_GT(past_disagreeing, 10000) << "PAST is unrestricted";
  for (const Reading& reading : r.gen) {
    ASSERT_EQ(reading.task_word, "PRESENT");
    ASSERT_FALSE(reading.nearest_noun_agrees) << reading.sentence;
  }
}

Shares Count(const std::vector<Reading>& readings, const std::string& task_word,
             const std::string& of_subject, std::string Reading::*field) {
  Shares shares;
  double total = 0;
  for (const Reading& reading : readings) {
    if (reading.task_word != task_word) continue;
    if (of_subject == "plain" && reading.subject != "plain") continue;
    if (of_subject == "other" && reading.subject == "plain") continue;
    ++shares[reading.*field];
    ++total;
  }
  for (auto& [type, share] : shares) share /= total;
  return shares;
}

void ExpectShares(const Shares& actual, const std::vector<double>& expected, bool subject,
                  double tolerance, const std::string& what) {
  const std::vector<std::string> types = {"intrans", "plain", "prep", "orc", "src_i", "src_t"};
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::string& type = types[subject ? i + 1 : i];
    const auto it = actual.find(type);
    EXPECT_NEAR(it == actual.end() ? 0 : it->second, expected[i], tolerance)
        << what << (subject ? " subject " : " object ") << type;
  }
}

struct Row {
  Task task;
  std::string task_word;
  bool gen;
  std::vector<double> subject, object, object_after_plain;
};

const std::vector<Row>& Table() {
  static const auto* const rows = new std::vector<Row>{
      {Task::kQuestion,
       "decl",
       false,
       {.454, .238, .152, .079, .078},
       {.226, .223, .238, .081, .153, .080},
       {.012, .286, .302, .102, .195, .104}},
      {Task::kQuestion,
       "quest",
       false,
       {.660, .340, 0, 0, 0},
       {.230, .233, .232, .077, .150, .077},
       {.010, .293, .312, .091, .196, .098}},
      {Task::kQuestion, "quest", true, {0, 0, .333, .320, .346}, {.592, .200, .208, 0, 0, 0}, {}},
      {Task::kTense,
       "PAST",
       false,
       {.302, .353, .118, .112, .115},
       {.256, .245, .242, .083, .086, .089},
       {.135, .298, .273, .099, .103, .093}},
      {Task::kTense,
       "PRESENT",
       false,
       {.425, .248, .077, .171, .079},
       {.253, .247, .259, .082, .079, .079},
       {.139, .283, .295, .095, .092, .096}},
      {Task::kTense,
       "PRESENT",
       true,
       {0, .605, .201, 0, .195},
       {.253, .253, .246, .079, .081, .086},
       {}},
  };
  return *rows;
}

TEST(Frequencies, EvaluationSetsMatchTheReleasedOnes) {
  for (const Row& row : Table()) {
    const World& world = World::Of(row.task);
    const std::vector<Reading> sample = row.gen ? world.readings.gen : world.Measured();
    const std::string what = row.task_word + (row.gen ? " gen" : "");
    const auto count = [&](const char* of, std::string Reading::*field) {
      return Count(sample, row.task_word, of, field);
    };
    // The shares must match the released sets within 0.015. Types are drawn so evenly that much
    // less remains.
    ExpectShares(count("any", &Reading::subject), row.subject, true, .006, what);
    ExpectShares(count("other", &Reading::object), row.object, false, .006, what);
    ExpectShares(count("plain", &Reading::object), row.object_after_plain, false, .006, what);
  }
}

TEST(Frequencies, TrainMatchesTheReleasedSetsWhereSentencesSuffice) {
  for (const Row& row : Table()) {
    if (row.gen) continue;
    const std::vector<Reading>& sample = World::Of(row.task).readings.train;
    if (row.task_word != "PRESENT") {
      ExpectShares(Count(sample, row.task_word, "any", &Reading::subject), row.subject, true, .006,
                   row.task_word);
    }
    ExpectShares(Count(sample, row.task_word, "other", &Reading::object), row.object, false, .006,
                 row.task_word);
    if (row.task == Task::kTense) continue;
    ExpectShares(Count(sample, row.task_word, "plain", &Reading::object), row.object_after_plain,
                 false, .006, row.task_word);
  }
}

// The released training set of tense has other shares than the released val and test.
TEST(Frequencies, TrainOfTenseFollowsTheReleasedTrainingSet) {
  const std::vector<Reading>& sample = World::Of(Task::kTense).readings.train;
  Shares subjects = Count(sample, "PRESENT", "any", &Reading::subject);
  EXPECT_NEAR(subjects["plain"], .396, .003);
  EXPECT_NEAR(subjects["prep"], .263, .003);
  EXPECT_NEAR(subjects["orc"] + subjects["src_i"] + subjects["src_t"], .340, .003);
  double past = 0;
  for (const Reading& reading : sample) past += reading.task_word == "PAST";
  EXPECT_NEAR(past / static_cast<double>(sample.size()), .588, .001);
}

TEST(Frequencies, ShortestTenseSentencesAreUsedUpByTrainAndKeptForTheEvaluationSets) {
  const auto count = [](const std::vector<Reading>& readings) {
    int shortest = 0;
    for (const Reading& r : readings) shortest += r.subject == "plain" && r.object == "intrans";
    return shortest;
  };
  const World& world = World::Of(Task::kTense);
  EXPECT_NEAR(count(world.readings.train), 702, 80) << "half of the 1,404 that exist";
  EXPECT_NEAR(count(world.Measured()), 533, 25);
}

TEST(Frequencies, TrainOfElevenThousandTenseSentencesKeepsTheShortestOnes) {
  DatasetOptions options;
  options.task = Task::kTense;
  options.train = 11000;
  options.val = options.test = options.gen = 10;
  const Dataset dataset = MakeDataset(options).value();
  const Oracle oracle(options.task);
  std::vector<Reading> sample;
  for (const Example& example : dataset.train.examples) {
    sample.push_back(oracle.Read(FormatExample(options.task, dataset.vocabulary, example)));
  }
  ExpectShares(Count(sample, "PAST", "plain", &Reading::object),
               {.135, .298, .273, .099, .103, .093}, false, .006, "PAST");
  ExpectShares(Count(sample, "PRESENT", "plain", &Reading::object),
               {.139, .283, .295, .095, .092, .096}, false, .006, "PRESENT");
}

TEST(Frequencies, TaskWordsHaveTheirShares) {
  const auto share = [](const std::vector<Reading>& readings, const std::string& word) {
    double count = 0;
    for (const Reading& reading : readings) count += reading.task_word == word;
    return count / static_cast<double>(readings.size());
  };
  for (const auto& [task, word, expected] :
       {std::tuple{Task::kQuestion, "quest", .40}, {Task::kTense, "PRESENT", .42}}) {
    const Readings& r = World::Of(task).readings;
    for (const auto* split : {&r.train, &r.val, &r.test}) {
      EXPECT_NEAR(share(*split, word), expected, .015) << word;
    }
  }
}

TEST(Frequencies, WordsAreUniform) {
  for (const Task task : {Task::kQuestion, Task::kTense}) {
    std::map<std::string, double> counts;
    for (const Reading& reading : World::Of(task).readings.train) {
      for (const std::string& word : SplitWords(reading.sentence)) ++counts[word];
    }
    const auto expect_even = [&](const char* words) {
      double total = 0;
      const auto list = SplitWords(words);
      for (const auto& word : list) total += counts[word];
      const double share = 1.0 / static_cast<double>(list.size());
      for (const auto& word : list) EXPECT_NEAR(counts[word] / total, share, .05 * share) << word;
    };
    expect_even("the some my your our her");
    expect_even("newt newts orangutan orangutans tyrannosaurus tyrannosauruses zebra zebras");
    expect_even("around near with upon by behind above below");
    expect_even("who that");
    if (task == Task::kQuestion) {
      expect_even("giggle smile sleep swim wait move change read eat");
      expect_even("do don't does doesn't");
    } else {
      expect_even("entertained amused high_fived applauded confused admired accepted comforted");
    }
  }
}

double RightBranchingF1(Task task, const Split& split, const std::string& task_word) {
  const World& world = World::Of(task);
  const int32_t word = world.dataset.vocabulary.Id(task_word);
  BracketScore score;
  for (const Example& example : split.examples) {
    if (word >= 0 && example.tokens[example.prefix - 1] != word) continue;
    const auto part = DeclarativePart(example);
    const auto tree = GoldParse(task, part);
    EXPECT_TRUE(tree.ok());
    score.Add(RightBranching(static_cast<int>(part.size())), tree->Brackets());
  }
  return score.F1();
}

TEST(Frequencies, RightBranchingParsesScoreAsOnTheReleasedSets) {
  const World& question = World::Of(Task::kQuestion);
  EXPECT_NEAR(RightBranchingF1(Task::kQuestion, question.dataset.train, "quest"), .663, .005);
  EXPECT_LT(RightBranchingF1(Task::kQuestion, question.dataset.train, "any"), .63)
      << "0.663 belongs to the questions alone";
  const World& tense = World::Of(Task::kTense);
  EXPECT_NEAR(RightBranchingF1(Task::kTense, tense.dataset.train, "any"), .50, .01);
  EXPECT_NEAR(RightBranchingF1(Task::kTense, tense.dataset.test, "any"), .50, .005);
}

TEST(Lexicon, VocabulariesAreCompleteWhateverTheSizes) {
  for (const auto& [task, words] : {std::pair{Task::kQuestion, 68}, {Task::kTense, 98}}) {
    DatasetOptions options;
    options.task = task;
    options.train = options.val = options.test = options.gen = 1;
    const Vocabulary vocabulary = MakeDataset(options).value().vocabulary;
    EXPECT_EQ(vocabulary.word_count(), words);
    EXPECT_EQ(vocabulary.size(), words + 3);
    EXPECT_EQ(vocabulary.eos(), words + 1);
    EXPECT_EQ(vocabulary.sos(), words + 2);
    EXPECT_EQ(vocabulary.Word(0), "<pad>");
    EXPECT_EQ(vocabulary.Word(words + 1), "<eos>");
    EXPECT_EQ(vocabulary.Word(words + 2), "<sos>");
    for (int32_t id = 1; id <= words; ++id) {
      EXPECT_EQ(vocabulary.Id(vocabulary.Word(id)), id);
      if (id == 1) continue;
      EXPECT_LT(vocabulary.Word(id - 1), vocabulary.Word(id));
    }
    EXPECT_EQ(vocabulary.Id("armadillo"), -1);
    EXPECT_EQ(vocabulary.Id("<pad>"), -1);
  }
}

}  // namespace
}  // namespace coppice::trainer
