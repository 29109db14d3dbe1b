#include "worker/trainer/tasks/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "common/base/files.h"

namespace coppice::trainer {
namespace {

using testing::HasSubstr;

class Directory : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/coppice-tasks-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  DatasetOptions Options(Task task) const {
    DatasetOptions options;
    options.task = task;
    options.train = 300;
    options.val = options.test = options.gen = 40;
    return options;
  }

  Dataset Write(Task task) const {
    Dataset dataset = MakeDataset(Options(task)).value();
    const std::pair<const char*, const Split*> splits[] = {{"train", &dataset.train},
                                                           {"val", &dataset.val},
                                                           {"test", &dataset.test},
                                                           {"gen", &dataset.gen}};
    for (const auto& [name, split] : splits) {
      const absl::Status status = WriteSplit(path_, task, name, dataset.vocabulary, *split);
      EXPECT_TRUE(status.ok()) << status;
    }
    return dataset;
  }

  absl::StatusOr<Dataset> Read(Task task) const {
    DatasetOptions options = Options(task);
    options.directory = path_;
    options.train = 7;  // sizes are those of the files
    return MakeDataset(options);
  }

  std::string path_;
};

void ExpectEqual(const Split& a, const Split& b) {
  ASSERT_EQ(a.examples.size(), b.examples.size());
  for (size_t i = 0; i < a.examples.size(); ++i) {
    EXPECT_EQ(a.examples[i].tokens, b.examples[i].tokens);
    EXPECT_EQ(a.examples[i].prefix, b.examples[i].prefix);
  }
  EXPECT_EQ(a.choices.candidates, b.choices.candidates);
  EXPECT_EQ(a.choices.items.size(), b.choices.items.size());
  EXPECT_EQ(a.decodes.items.size(), b.decodes.items.size());
  EXPECT_EQ(a.decodes.part_of_speech, b.decodes.part_of_speech);
}

TEST_F(Directory, WhatIsWrittenIsReadBack) {
  for (const Task task : {Task::kQuestion, Task::kTense, Task::kDyck}) {
    const Dataset written = Write(task);
    const auto read = Read(task);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->vocabulary.size(), written.vocabulary.size());
    ExpectEqual(read->train, written.train);
    ExpectEqual(read->val, written.val);
    ExpectEqual(read->test, written.test);
    ExpectEqual(read->gen, written.gen);
  }
}

TEST_F(Directory, LinesHaveTheDocumentedForm) {
  const char* const question = "my walrus doesn't eat . quest\tdoesn't my walrus eat ?";
  const auto example = ParseExample(Task::kQuestion, question);
  ASSERT_TRUE(example.ok()) << example.status();
  EXPECT_EQ(example->prefix, 6);
  for (const auto& [task, line] :
       {std::pair{Task::kQuestion, question},
        {Task::kQuestion,
         "my walrus that does sleep doesn't eat . quest\tdoesn't my walrus that does sleep eat ?"},
        {Task::kQuestion, "my walrus doesn't eat . decl\tmy walrus doesn't eat ."},
        {Task::kTense, "my yak ate . PAST\tmy yak ate ."},
        {Task::kTense,
         "my yaks that the zebra admired read . PRESENT\t"
         "my yaks that the zebra admires read ."},
        {Task::kDyck, "(a (b b) a) END"}}) {
    const auto parsed = ParseExample(task, line);
    ASSERT_TRUE(parsed.ok()) << line << ": " << parsed.status();
  }
}

struct BadLine {
  Task task;
  const char* line;
  const char* message;
};

TEST_F(Directory, BadLinesAreRefusedWithWhatWasExpected) {
  const BadLine bad[] = {
      {Task::kQuestion, "", "one tab"},
      {Task::kQuestion, "my walrus doesn't eat . decl", "one tab between them, got 0"},
      {Task::kQuestion, "my emu doesn't eat . decl\tmy emu doesn't eat .", "got 'emu'"},
      {Task::kQuestion, "my  walrus doesn't eat . decl\tx", "single spaces"},
      {Task::kQuestion, "my walrus doesn't eat decl\tmy walrus doesn't eat .", "full stop"},
      {Task::kQuestion, "my walrus doesn't eat . walrus\tx", "'decl' or 'quest'"},
      {Task::kQuestion, "my walrus don't eat . decl\tmy walrus don't eat .", "does not agree"},
      {Task::kQuestion, "my walrus eat . decl\tmy walrus eat .",
       "expected an auxiliary, got 'eat'"},
      {Task::kQuestion, "my walrus does admire . decl\tmy walrus does admire .",
       "word 5: expected a determiner, got the end"},
      {Task::kQuestion, "my walrus does eat my yak . decl\tx",
       "word 5: expected the end of the sentence, got 'my'"},
      {Task::kQuestion, "my walrus does eat . quest\tmy walrus does eat .",
       "expected the output 'does my walrus eat ?'"},
      {Task::kTense, "my yak near the newts that her zebra admired ate . PAST\tx",
       "word 6: expected a verb, got 'that'"},
      {Task::kTense, "my yak eats . PAST\tmy yak eats .", "past tense, got 'eats'"},
      {Task::kTense, "my yak ate . PRESENT\tmy yak eat .", "'my yak eats .', got 'my yak eat .'"},
      {Task::kTense, "my yak that the newt smiled ate . PAST\tx",
       "a transitive verb, got 'smiled'"},
      {Task::kDyck, "(a a) (b b)", "END"},
      {Task::kDyck, "(a (b a) b) END", "bracket 3: expected 'b)' or an opening bracket, got 'a)'"},
      {Task::kDyck, "(a a) a) END", "bracket 3: expected an opening bracket or END"},
      {Task::kDyck, "(a (b b) END", "bracket 4: expected 'a)', got END"},
      {Task::kDyck, "(a a) END", "at least 4 brackets"},
      {Task::kDyck, "(a (a (a (a (a (a (a (a (a (a (a END", "bracket 11: expected a closing"},
      {Task::kDyck, "(a (z z) a) END", "got '(z'"},
  };
  for (const BadLine& line : bad) {
    const auto example = ParseExample(line.task, line.line);
    ASSERT_EQ(example.status().code(), absl::StatusCode::kInvalidArgument) << line.line;
    EXPECT_THAT(std::string(example.status().message()), HasSubstr(line.message)) << line.line;
  }
}

TEST_F(Directory, ATestSplitMayBeMissing) {
  Write(Task::kQuestion);
  ASSERT_TRUE(RemoveFile(path_ + "/question.test").ok());
  const auto dataset = Read(Task::kQuestion);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_TRUE(dataset->test.examples.empty());
}

TEST_F(Directory, ErrorsNameFileAndLine) {
  Write(Task::kTense);
  const std::string file = path_ + "/tense.gen";
  ASSERT_TRUE(WriteFileAtomically(file,
                                  "my yak ate . PRESENT\tmy yak eats .\r\n"
                                  "my yaks ate . PRESENT\tmy yaks eats .\n")
                  .ok());
  const auto wrong = Read(Task::kTense);
  EXPECT_EQ(wrong.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr(file + ":2: expected the output"));

  ASSERT_TRUE(WriteFileAtomically(file, "").ok());
  const auto empty = Read(Task::kTense);
  EXPECT_EQ(empty.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(empty.status().message()), HasSubstr(file));

  ASSERT_TRUE(RemoveFile(path_ + "/tense.test").ok());
  EXPECT_THAT(std::string(Read(Task::kTense).status().message()), HasSubstr(file))
      << "only the test split may be missing";

  ASSERT_TRUE(RemoveFile(file).ok());
  const auto missing = Read(Task::kTense);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr(file));
}

}  // namespace
}  // namespace coppice::trainer
