// `coppice spec` and `coppice diff`, against a real gRPC server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/cli/cli_fixture.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kStoredDemo[] = R"(name: demo
tags: [a, night]
tasks: [question, dyck]
depths: [1, 2]
seeds: [0, 1]
train: {steps: 300}
)";

class SpecCommandTest : public CliFixture {
 protected:
  SpecCommandTest() {
    absl::MutexLock lock(&service().mutex);
    for (const char* tag : {"a", "night"}) service().sweeps[0].add_tags(tag);
  }
  std::string Write(const std::string& text, const std::string& name = "spec.yaml") {
    std::ofstream(dir_.Join(name)) << text;
    return dir_.Join(name);
  }

  coppice::testing::TempDir dir_;
};

TEST_F(SpecCommandTest, SpecPrintsWhatASubmitTakesAgain) {
  EXPECT_EQ(Ok({"spec", "demo"}), kStoredDemo);
  EXPECT_EQ(Ok({"spec"}), kStoredDemo) << "of the only sweep";
  EXPECT_THAT(Run({"submit", Write(Ok({"spec", "demo"}))}).out,
              HasSubstr("already there with the same"));
  const auto json = nlohmann::json::parse(Ok({"spec", "demo", "--json"}));
  EXPECT_EQ(json["train"]["steps"], 300);
  EXPECT_THAT(json["tags"], ElementsAre("a", "night"));
  EXPECT_EQ(Run({"spec", "nothing"}).code, 1);
}

TEST_F(SpecCommandTest, ASpecThatNoFileHoldsIsSaidToBeSo) {
  {
    absl::MutexLock lock(&service().mutex);
    service().spec.mutable_program()->add_command("x");
    service().spec.mutable_program()->set_directory("relative");
  }
  const CliResult result = Run({"spec", "demo"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("the spec of demo cannot be written as a file"),
                                HasSubstr("--json prints it")));
  EXPECT_EQ(Run({"spec", "demo", "--json"}).code, 0);
}

TEST_F(SpecCommandTest, DiffIsSilentOnTheSameSweep) {
  const std::string file = Write(
      "name: x\ntasks: [dyck, question]\ndepths: [2, 1]\nseeds: 0-1\n"
      "train: {steps: 300}\ntags: other\n");
  EXPECT_EQ(Ok({"diff", "demo", file}), "");
  const auto json = nlohmann::json::parse(Ok({"diff", "demo", file, "--json"}));
  EXPECT_TRUE(json["differences"].empty());
  EXPECT_EQ(json["jobs_in_both"], "8");
}

TEST_F(SpecCommandTest, DiffNamesSettingsPointsAndJobs) {
  const std::string file = Write(
      "name: demo\ntasks: [dyck, question]\ndepths: [2, 3]\nseeds: 0-4\ntrain: {steps: 400}\n");
  const CliResult result = Run({"diff", "demo", file});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out,
              AllOf(HasSubstr(absl::StrCat("depths are 1, 2 in demo and 2, 3 in ", file, "\n")),
                    HasSubstr(absl::StrCat("seeds are 0, 1 in demo and 0-4 in ", file, "\n")),
                    HasSubstr(absl::StrCat("train.steps is 300 in demo and 400 in ", file)),
                    HasSubstr("2 points only in demo: dyck/1, question/1\n"),
                    HasSubstr(absl::StrCat("2 points only in ", file, ": dyck/3, question/3\n")),
                    HasSubstr(absl::StrCat("jobs: 4 in both, 4 only in demo, 16 only in ", file))));
  const CliResult json = Run({"diff", "demo", file, "--json"});
  EXPECT_EQ(json.code, 1);
  EXPECT_EQ(nlohmann::json::parse(json.out)["jobs_only_in_second"], "16");
}

TEST_F(SpecCommandTest, DiffComparesFilesWithoutACoordinator) {
  const std::string one = Write("name: a\naxes: {task: dyck, depth: 2, data.seed: 0-2, seed: 0}\n");
  const std::string two =
      Write("name: a\naxes: {task: dyck, depth: 2, data.seed: 0-9, seed: 0}\n", "two.yaml");
  const CliResult result = RunCommand("127.0.0.1:1", {"diff", one, two});
  EXPECT_EQ(result.code, 1) << result.err;
  EXPECT_THAT(result.out, HasSubstr("7 points only in "));
}

TEST_F(SpecCommandTest, TroubleOfADiffIsNoDifference) {
  EXPECT_EQ(Run({"diff", "demo", "nothing"}).code, 2);
  EXPECT_THAT(Run({"diff", "demo", "nothing"}).err, HasSubstr("./nothing"));
  EXPECT_EQ(Run({"diff", "demo", "./nothing"}).code, 2);
  EXPECT_EQ(RunCommand("127.0.0.1:1", {"diff", "demo", "demo"}).code, 2);
  EXPECT_EQ(Run({"diff", "demo"}).code, 2);
}

}  // namespace
}  // namespace coppice::cli
