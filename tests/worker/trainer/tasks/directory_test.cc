#include "worker/trainer/tasks/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

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
    options.train = 7;  // sizes come from the files
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
      {Task::kQuestion, "my emu doesn't eat . decl\tmy emu doesn't eat .",
       "column 4, word 2: expected a word of the question task"},
      {Task::kQuestion, "my  walrus doesn't eat . decl\tx", "single spaces"},
      {Task::kQuestion, "my walrus doesn't eat decl\tmy walrus doesn't eat .", "full stop"},
      {Task::kQuestion, "my walrus doesn't eat . walrus\tx",
       "column 25, word 6: expected 'decl' or 'quest'"},
      {Task::kQuestion, "my walrus don't eat . decl\tmy walrus don't eat .", "does not agree"},
      {Task::kQuestion, "my walrus eat . decl\tmy walrus eat .",
       "column 11, word 3: expected an auxiliary, got an intransitive verb"},
      {Task::kQuestion, "my walrus does admire . decl\tmy walrus does admire .",
       "word 5: expected a determiner, got the end"},
      {Task::kQuestion, "my walrus does eat my yak . decl\tx",
       "word 5: expected the end of the sentence, got a determiner"},
      {Task::kQuestion, "my walrus does eat . quest\tmy walrus does eat .",
       "column 28, word 1 of the output: it is not the output"},
      {Task::kTense, "my yak near the newts that her zebra admired ate . PAST\tx",
       "word 6: expected a verb, got a relative pronoun"},
      {Task::kTense, "my yak eats . PAST\tmy yak eats .",
       "column 8, word 3: expected a verb in the past tense"},
      {Task::kTense, "my yak ate . PRESENT\tmy yak eat .", "column 29, word 3 of the output"},
      {Task::kTense, "my yak that the newt smiled ate . PAST\tx",
       "a transitive verb, got an intransitive verb"},
      {Task::kDyck, "(a a) (b b)", "END"},
      {Task::kDyck, "(a (b a) b) END", "column 7, bracket 3: expected the bracket that closes"},
      {Task::kDyck, "(a a) a) END", "bracket 3: expected an opening bracket or END"},
      {Task::kDyck, "(a (b b) END",
       "bracket 4: expected the bracket that closes the last one, got END"},
      {Task::kDyck, "(a a) END", "at least 4 brackets"},
      {Task::kDyck, "(a (a (a (a (a (a (a (a (a (a (a END", "bracket 11: expected a closing"},
      {Task::kDyck, "(a (z z) a) END", "column 4, word 2: expected a word of the dyck task"},
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
  EXPECT_THAT(std::string(wrong.status().message()),
              HasSubstr(file + ":2: column 31, word 3 of the output"));

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

// ---- files of other origin

class Foreign : public Directory {
 protected:
  void Put(const std::string& name, const std::string& content) {
    ASSERT_TRUE(WriteFileAtomically(path_ + "/" + name, content).ok());
  }
  std::string Refusal(Task task = Task::kQuestion) {
    const auto dataset = Read(task);
    EXPECT_FALSE(dataset.ok());
    return std::string(dataset.status().message());
  }

  // An in-domain line, and one of the generalization set.
  static constexpr char kDecl[] = "my yak does eat . decl\tmy yak does eat .\n";
  static constexpr char kQuest[] = "my yak does eat . quest\tdoes my yak eat ?\n";
  static constexpr char kGen[] =
      "my yak that does sleep doesn't eat . quest\tdoesn't my yak that does sleep eat ?\n";
};

TEST_F(Foreign, NothingOfAFileIsQuoted) {
  Put("question.val", kDecl);
  Put("question.gen", kGen);
  for (const std::string secret :
       {"hunter2", "root:x:0:0:root:/root:/bin/bash", "my hunter2 does eat . decl\tx",
        "my yak does eat . hunter2\tx", "my yak does eat . decl\thunter2",
        "my yak does eat . decl\t", "the\tsome", "my yak does eat . decl\tmy yak does wait ."}) {
    Put("question.train", kDecl + secret + "\n");
    const std::string message = Refusal();
    EXPECT_THAT(message, HasSubstr("question.train:2: "));
    for (const char* word : {"hunter2", "root", "wait", "yak"}) {
      EXPECT_THAT(message, testing::Not(HasSubstr(word))) << secret;
    }
  }
}

TEST_F(Foreign, WhatIsNoRegularFileIsRefusedAtOnce) {
  Put("question.val", kDecl);
  Put("question.gen", kGen);
  const std::string train = path_ + "/question.train";
  ASSERT_EQ(::mkfifo(train.c_str(), 0600), 0);
  EXPECT_THAT(Refusal(), HasSubstr(train + " is a named pipe"));
  ASSERT_EQ(::unlink(train.c_str()), 0);
  ASSERT_EQ(::symlink("/dev/zero", train.c_str()), 0);
  EXPECT_THAT(Refusal(), HasSubstr("a device"));
  ASSERT_EQ(::unlink(train.c_str()), 0);
  Put("question.train", kDecl);
  ASSERT_EQ(::truncate(train.c_str(), off_t{200} << 30), 0);
  EXPECT_THAT(Refusal(), HasSubstr("larger than"));
  ASSERT_EQ(::truncate(train.c_str(), off_t{1} << 30), 0);
  EXPECT_THAT(Refusal(), HasSubstr("question.train:2: the line is longer than"));
}

TEST_F(Foreign, BlankLinesAtTheEndAndTrailingBlanksAreNoError) {
  Put("question.train",
      std::string(kDecl) + "my yak does eat . quest\tdoes my yak eat ? \t\r\n\n \r\n");
  Put("question.val", kDecl);
  Put("question.gen", std::string(kGen) + "\n");
  const auto dataset = Read(Task::kQuestion);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->train.examples.size(), 2u);
  Put("question.train", std::string(kDecl) + "\n" + kDecl);
  EXPECT_THAT(Refusal(), HasSubstr("question.train:2: the line is blank"));
  Put("dyck.train", "(a (b b) a) END \n\n");
  Put("dyck.val", "(a (b b) a) END\n");
  Put("dyck.gen", "(a (b b) a) END\n");
  EXPECT_TRUE(Read(Task::kDyck).ok());
}

TEST_F(Foreign, DevIsTakenForValWhereThatIsMissing) {
  Put("question.train", std::string(kDecl) + kQuest);
  Put("question.dev", kDecl);
  Put("question.test", std::string(kDecl) + kQuest + kQuest);
  Put("question.gen", kGen);
  const auto dataset = Read(Task::kQuestion);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->val.examples.size(), 1u);
  EXPECT_EQ(dataset->test.examples.size(), 3u);
  Put("question.val", std::string(kDecl) + kQuest);
  EXPECT_EQ(Read(Task::kQuestion)->val.examples.size(), 2u);
}

TEST_F(Foreign, ATestSetOfGeneralizationSentencesIsTheGeneralizationSetAndThatIsSaid) {
  Put("question.train", kDecl);
  Put("question.val", kDecl);
  Put("question.test", std::string(kGen) + kGen);
  const auto dataset = Read(Task::kQuestion);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->gen.examples.size(), 2u);
  EXPECT_TRUE(dataset->test.examples.empty());
  EXPECT_THAT(dataset->sources,
              testing::Contains(testing::AllOf(HasSubstr("gen from"), HasSubstr("question.test"),
                                               HasSubstr("there is no question.gen"))));
  Put("question.test", std::string(kGen) + kQuest);
  EXPECT_THAT(Refusal(),
              testing::AllOf(HasSubstr("question.test:2: "), HasSubstr("data.files.gen")));
}

TEST_F(Foreign, FilesOfAnyNameAreReadByAMap) {
  Put("a.txt", std::string(kDecl) + kQuest);
  Put("b.txt", kDecl);
  Put("question.test", std::string(kGen) + kDecl);
  DatasetOptions options = Options(Task::kQuestion);
  options.files.train = path_ + "/a.txt";
  options.files.val = path_ + "/b.txt";
  EXPECT_THAT(std::string(MakeDataset(options).status().message()),
              testing::AllOf(HasSubstr("data.files.gen"), HasSubstr("data.directory")));
  options.files.gen = "question.test";
  EXPECT_THAT(std::string(MakeDataset(options).status().message()),
              HasSubstr("data.directory names no folder"));
  options.directory = path_;
  const auto dataset = MakeDataset(options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->train.examples.size(), 2u);
  EXPECT_EQ(dataset->gen.examples.size(), 2u) << "the user's word is enough";
  EXPECT_TRUE(dataset->test.examples.empty());
}

TEST_F(Foreign, AStopEndsReadingAndMaking) {
  const std::atomic<bool> stop{true};
  Put("question.train", kDecl);
  Put("question.val", kDecl);
  Put("question.gen", kGen);
  for (const Task task : {Task::kQuestion, Task::kTense, Task::kDyck}) {
    DatasetOptions options = Options(task);
    options.stop = &stop;
    EXPECT_TRUE(absl::IsCancelled(MakeDataset(options).status()));
  }
  DatasetOptions options = Options(Task::kQuestion);
  options.stop = &stop;
  options.directory = path_;
  EXPECT_TRUE(absl::IsCancelled(MakeDataset(options).status()));
}

// The beginnings of the released files, if they are available: unchanged, except for the training
// set, which is too large to include.
TEST_F(Foreign, ReleasedSetsLoadAsTheyCome) {
  const char* released = std::getenv("COPPICE_RELEASED_DIR");
  if (released == nullptr) GTEST_SKIP() << "COPPICE_RELEASED_DIR names no folder of released data";
  const struct {
    Task task;
    std::string name;
    std::string folder;
  } sets[] = {{Task::kQuestion, "question", "/question-sg/"},
              {Task::kTense, "tense", "/tense-sg/"}};
  for (const auto& [task, name, folder] : sets) {
    for (const char* ending : {".val", ".test"}) {
      std::filesystem::copy_file(released + folder + name + ending, path_ + "/" + name + ending);
    }
    std::filesystem::copy_file(released + folder + name + ".val", path_ + "/" + name + ".train");
    const auto dataset = Read(task);
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    EXPECT_EQ(dataset->gen.examples.size(), 2000u);
  }
  DatasetOptions dyck = Options(Task::kDyck);
  dyck.files.train = dyck.files.val = dyck.files.gen =
      std::string(released) + "/dyck-sg/k-20_d-10_val.txt";
  EXPECT_TRUE(MakeDataset(dyck).ok()) << MakeDataset(dyck).status();
}

}  // namespace
}  // namespace coppice::trainer
