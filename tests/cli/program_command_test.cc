// `coppice program check` as a user calls it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/cli/fake_sweep_service.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ProgramCommand : public ::testing::Test {
 protected:
  std::string Write(const std::string& fault) {
    const std::string file = dir_.Join("mine.yaml");
    std::ofstream(file) << absl::StrCat(
        "name: mine\nprogram:\n  command: [python3, switched_program.py, \"", fault,
        "\"]\n  directory: ", COPPICE_SOURCE_DIR,
        "/tests/cli\n  settings: {learning_rate: 0.01, pause: 0.002}\n"
        "axes:\n  learning_rate: [0.003, 0.01]\n  seed: 0-4\n"
        "train: {steps: 10000}\nreport: {every: 10}\ncheckpoint: {every: 20}\n");
    return file;
  }
  // No coordinator is there, and none is needed.
  static CliResult Check(std::vector<std::string> args) {
    args.insert(args.begin(), {"program", "check"});
    return RunCommand("127.0.0.1:1", args);
  }
  testing::TempDir dir_;
};

TEST_F(ProgramCommand, AGoodProgramGetsALineForEachRule) {
  const CliResult result = Check({Write("")});
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("learning_rate=0.003, 40 steps"),
                                HasSubstr("ok      start"), HasSubstr("ok      values"),
                                Not(HasSubstr("failed")), Not(HasSubstr("unknown"))));
}

TEST_F(ProgramCommand, AFaultEndsWithOneAndItsRemedyAlsoAsJson) {
  const CliResult text = Check({Write("values_differ"), "--where", "learning_rate=0.01"});
  EXPECT_EQ(text.code, 1);
  EXPECT_THAT(text.out, AllOf(HasSubstr("learning_rate=0.01, 40 steps"),
                              HasSubstr("failed  values"), HasSubstr("save the optimizer")));
  const CliResult json = Check({Write("wrong_exit_code"), "--json", "--steps", "8"});
  EXPECT_EQ(json.code, 1);
  const auto read = nlohmann::json::parse(json.out);
  EXPECT_EQ(read["ok"], false);
  EXPECT_EQ(read["steps"], 8);
  EXPECT_EQ(read["rules"].size(), 9u);
}

TEST_F(ProgramCommand, MistakesAreNamed) {
  EXPECT_THAT(Check({Write(""), "--where", "width=3"}).err,
              HasSubstr("the sweep has no axis width; it has learning_rate"));
  const CliResult none = Check({Write(""), "--where", "learning_rate=7"});
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.err, HasSubstr("no point of the grid"));
  const std::string classic = dir_.Join("classic.yaml");
  std::ofstream(classic) << "name: c\ntasks: [dyck]\ndepths: [1]\nseeds: 0\n";
  const CliResult trainer = Check({classic});
  EXPECT_EQ(trainer.code, 2);
  EXPECT_THAT(trainer.err, HasSubstr("has no `program`"));
}

}  // namespace
}  // namespace coppice::cli
