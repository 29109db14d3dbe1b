// `coppice-trainer data` as a user runs it, and a run on its files.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/trainer/test_directory.h"
#include "tests/worker/trainer/trainer_process.h"
#include "worker/trainer/tasks/dataset.h"
#include "worker/trainer/tasks/directory.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::vector<std::string> kSizes = {"--train-size", "300", "--val-size", "40",
                                         "--test-size",  "10",  "--gen-size", "40"};

std::string Read(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

class DataCommandTest : public testing::Test {
 protected:
  int Data(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "data");
    return TrainerProcess(arguments, directory_ / "log").Wait();
  }
  int Write(const std::string& task, const std::string& split, const std::string& out) {
    std::vector<std::string> arguments = {"--task", task, "--split", split,
                                          "--seed", "7",  "--out",   out};
    arguments.insert(arguments.end(), kSizes.begin(), kSizes.end());
    return Data(arguments);
  }
  std::string Log() const { return Read(directory_ / "log"); }

  // The metrics of a short run, except those that measure time.
  std::vector<json> Train(const std::string& task, const std::string& out,
                          const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--task",
                                          task,
                                          "--depth",
                                          "1",
                                          "--steps",
                                          "40",
                                          "--d-model",
                                          "16",
                                          "--heads",
                                          "2",
                                          "--d-ff",
                                          "32",
                                          "--report-every",
                                          "20",
                                          "--out",
                                          directory_ / out,
                                          "--data-seed",
                                          "7",
                                          "--probe-sentences",
                                          "50"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    TrainerProcess process(arguments, directory_ / "log");
    EXPECT_EQ(process.Wait(), 0) << Log();
    std::vector<json> metrics = process.Of("metrics");
    for (json& event : metrics) {
      for (const char* timing : {"sequences_per_second", "probe_seconds"})
        event["values"].erase(timing);
    }
    return metrics;
  }

  TestDirectory directory_;
};

TEST_F(DataCommandTest, ARunOnTheFilesIsTheRunOnTheGeneratedData) {
  for (const char* task : {"question", "tense", "dyck"}) {
    for (const char* split : {"train", "val", "test", "gen"}) {
      ASSERT_EQ(Write(task, split, directory_ / (std::string(task) + "." + split)), 0) << Log();
    }
    const std::string files = directory_ / "";
    const std::vector<json> generated = Train(task, std::string(task) + "-generated", kSizes);
    ASSERT_FALSE(generated.empty());
    EXPECT_EQ(Train(task, std::string(task) + "-read", {"--data-dir", files}), generated);
  }
}

TEST_F(DataCommandTest, LinesHaveTheReleasedForm) {
  ASSERT_EQ(Write("tense", "gen", directory_ / "out"), 0) << Log();
  const std::string text = Read(directory_ / "out");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 40);
  EXPECT_TRUE(ParseExample(Task::kTense, text.substr(0, text.find('\n'))).ok());
  EXPECT_THAT(text, HasSubstr(" . PRESENT\t"));
}

TEST_F(DataCommandTest, WrongUseIsRefusedWithTheRemedyAndWritesNothing) {
  const struct {
    std::vector<std::string> arguments;
    const char* message;
    int code;
  } kWrong[] = {
      {{"--task", "poetry", "--split", "gen"}, "question, tense or dyck", 2},
      {{"--task", "tense", "--split", "dev"}, "--split", 2},
      {{"--split", "gen"}, "--task is required", 2},
      {{"--task", "tense", "--split", "gen", "--gen-size", "30000000"}, "data.gen", 2},
      {{"--task", "tense", "--split", "gen", "--gen-size", "-3"},
       "run.data.gen is -3; use a whole number from 1 to 20000000",
       2},
      {{"--task", "tense", "--split", "gen", "--depth", "3"}, "--depth", 2},
  };
  for (const auto& [arguments, message, code] : kWrong) {
    std::vector<std::string> all = arguments;
    all.insert(all.end(), {"--out", directory_ / "never"});
    EXPECT_EQ(Data(all), code);
    EXPECT_THAT(Log(), HasSubstr(message));
    EXPECT_FALSE(std::ifstream(directory_ / "never").good());
  }
  EXPECT_EQ(Write("tense", "gen", directory_ / "no/such/folder"), 1);
  EXPECT_THAT(Log(), HasSubstr("no/such/folder"));
}

}  // namespace
}  // namespace coppice::trainer
