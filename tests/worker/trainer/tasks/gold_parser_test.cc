#include "worker/trainer/tasks/gold_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "tests/testing/golden_files.h"

namespace coppice::trainer {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

std::string Render(const Json& tree) {
  if (tree.is_string()) return tree.get<std::string>();
  std::vector<std::string> children;
  for (const Json& child : tree) children.push_back(Render(child));
  return absl::StrCat("(", absl::StrJoin(children, " "), ")");
}

TEST(GoldParser, TreesAndBracketsEqualTheGoldenOnes) {
  for (const std::string& file : GoldenFiles("_parses.json")) {
    const Json golden = Json::parse(std::ifstream(file));
    for (const auto& [name, items] : golden.items()) {
      const auto task = ParseTask(name);
      ASSERT_TRUE(task.has_value()) << file << ": " << name;
      for (const Json& item : items) {
        const std::string sentence = item.at("sentence");
        const auto tree = GoldParse(*task, sentence);
        ASSERT_TRUE(tree.ok()) << file << ": " << sentence << ": " << tree.status();
        const std::vector<absl::string_view> words = absl::StrSplit(sentence, ' ');
        EXPECT_EQ(tree->ToString(words), Render(item.at("tree")));
        Json brackets = Json::array();
        for (const Bracket& b : tree->Brackets()) brackets.push_back({b.first, b.last});
        EXPECT_EQ(brackets, item.at("brackets")) << sentence;
        EXPECT_EQ(brackets.size(), words.size() - 1);
      }
    }
  }
}

TEST(GoldParser, ErrorsNameTheWordAndWhatTheGrammarAllows) {
  const auto message = [](Task task, const char* sentence) {
    const auto tree = GoldParse(task, absl::string_view(sentence));
    EXPECT_EQ(tree.status().code(), absl::StatusCode::kInvalidArgument) << sentence;
    return std::string(tree.status().message());
  };
  EXPECT_THAT(message(Task::kQuestion, "her emu does sleep"),
              HasSubstr("word 2: 'emu' is not a word of the question task"));
  EXPECT_THAT(message(Task::kTense, "her yak does sleep"), HasSubstr("word 3: 'does' is not"));
  EXPECT_THAT(message(Task::kQuestion, "yak does sleep"),
              HasSubstr("column 1, word 1: expected a determiner, got a noun"));
  EXPECT_THAT(message(Task::kQuestion, "her yak does sleep ."),
              HasSubstr("expected the end of the sentence, got a punctuation mark"));
  EXPECT_THAT(message(Task::kTense, "her yak who"), HasSubstr("expected a verb, got the end"));
  EXPECT_THAT(message(Task::kTense, ""), HasSubstr("''"));
  EXPECT_THAT(message(Task::kDyck, "(a a)"), HasSubstr("dyck strings have no gold parse"));
  EXPECT_THAT(std::string(GoldParse(Task::kTense, std::vector<int32_t>{}).status().message()),
              HasSubstr("word 1: expected a determiner, got the end"));
}

TEST(GoldParser, IdsOutsideOfTheVocabularyAreRefused) {
  for (const int32_t id : {-1, 0, 99, 100, 101, 5000}) {
    EXPECT_EQ(GoldParse(Task::kTense, std::vector<int32_t>{id}).status().code(),
              absl::StatusCode::kInvalidArgument)
        << id;
  }
}

TEST(Brackets, ScoreIsOverTheWholeCorpus) {
  EXPECT_EQ(RightBranching(4), (std::vector<Bracket>{{0, 3}, {1, 3}, {2, 3}}));
  EXPECT_TRUE(RightBranching(1).empty());
  BracketScore score;
  EXPECT_EQ(score.F1(), 0);
  const auto tree = GoldParse(Task::kTense, absl::string_view("my yak admired her newts"));
  ASSERT_TRUE(tree.ok());
  // ((my yak) (admired (her newts))): of 0-4, 1-4, 2-4, 3-4 all except the second are right.
  score.Add(RightBranching(5), tree->Brackets());
  EXPECT_EQ(score.matched, 3);
  EXPECT_DOUBLE_EQ(score.F1(), .75);
  score.Add(tree->Brackets(), tree->Brackets());
  EXPECT_DOUBLE_EQ(score.F1(), 7.0 / 8);
}

}  // namespace
}  // namespace coppice::trainer
