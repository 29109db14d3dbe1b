// The commands that change something, against a real gRPC server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/cli/fake_sweep_service.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kOther[] = R"(name: other
tasks: [question, tense, dyck]
depths: [2, 4]
seeds: 0-4
overrides:
  - where: {task: tense, depth: 4}
    model: {heads: 4}
)";
constexpr char kDemo[] = R"(name: demo
tasks: [question, dyck]
depths: [1, 2]
seeds: 0-1
train: {steps: STEPS}
)";

class ControlTest : public ::testing::Test {
 protected:
  CliResult Run(std::vector<std::string> args) {
    return RunCommand(coordinator_.address(), std::move(args));
  }
  std::string Write(const std::string& text) {
    std::ofstream(dir_.Join("spec.yaml")) << text;
    return dir_.Join("spec.yaml");
  }
  std::string Demo(const std::string& steps) {
    std::string text = kDemo;
    text.replace(text.find("STEPS"), 5, steps);
    return Write(text);
  }

  coppice::testing::TempDir dir_;
  FakeCoordinator coordinator_;
  FakeSweepService& service_ = coordinator_.service();
};

TEST_F(ControlTest, SubmitStoresAndSaysHowToFollow) {
  const CliResult result = Run({"submit", Write(kOther)});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("submitted other: 30 jobs in 6 packs"),
                                HasSubstr("status other --watch")));
  absl::MutexLock lock(&service_.mutex);
  EXPECT_TRUE(service_.stored);
  EXPECT_EQ(service_.submit.spec().seeds_size(), 5);
}

TEST_F(ControlTest, DryRunShowsWhatEverySettingResolvedToAndStoresNothing) {
  const CliResult result = Run({"submit", Write(kOther), "--dry-run", "--pack", "2"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("plan of other: 30 jobs in 18 packs of up to 2 seeds"),
                                HasSubstr("expected work: "), HasSubstr("nothing is stored")));
  EXPECT_THAT(result.out,
              ::testing::ContainsRegex("train.steps +300000  question, tense\n +400000  dyck\n"));
  EXPECT_THAT(result.out, ::testing::ContainsRegex("model.heads +8  dyck/2, .*\n +4  tense/4\n"));
  EXPECT_THAT(result.out, ::testing::ContainsRegex("train.warmup_steps +10000\n"));
  EXPECT_THAT(result.out, ::testing::ContainsRegex("train.learning_rate +1e-04\n"));
  absl::MutexLock lock(&service_.mutex);
  EXPECT_FALSE(service_.stored);
  EXPECT_EQ(service_.submit.ByteSizeLong(), 0) << "a viewer may not even ask for it";
}

TEST_F(ControlTest, DryRunSaysThatASubmitWouldStoreANewSweep) {
  EXPECT_THAT(Run({"submit", Write(kOther), "--dry-run"}).out,
              HasSubstr("a submit would store it as a new sweep, other, at the coordinator at " +
                        coordinator_.address()));
}

TEST_F(ControlTest, DryRunOfAnIdenticalSweepSaysThatASubmitWouldChangeNothing) {
  const CliResult result = Run({"submit", Demo("300"), "--dry-run"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("plan of demo: 8 jobs"),
                                HasSubstr("a submit would change nothing: the coordinator at "),
                                HasSubstr("has had demo with the same settings since 20")));
  const auto json = nlohmann::json::parse(Run({"submit", Demo("300"), "--dry-run", "--json"}).out);
  EXPECT_EQ(json["exists"], true);
  EXPECT_TRUE(json["differences"].empty());
}

TEST_F(ControlTest, ATakenNameIsAnErrorThatListsWhatDiffers) {
  const std::string file = Demo("301");
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"submit", file},
                                             {"submit", file, "--dry-run"},
                                             {"submit", file, "--dry-run", "--json"}}) {
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 2) << args.back();
    EXPECT_THAT(result.err, AllOf(HasSubstr(file + ":1:7: "), HasSubstr("'demo'"),
                                  HasSubstr("choose another name"),
                                  HasSubstr("train.steps is 300 there and 301 here")))
        << args.back();
  }
  const auto json = nlohmann::json::parse(Run({"submit", file, "--dry-run", "--json"}).out);
  EXPECT_EQ(json["differences"][0], "train.steps is 300 there and 301 here");
}

TEST_F(ControlTest, DryRunPlansWithoutACoordinator) {
  const CliResult result = RunCommand("127.0.0.1:1", {"submit", Write(kOther), "--dry-run"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("plan of other: 30 jobs in 6 packs"), HasSubstr("train.warmup_steps"),
                    ::testing::Not(HasSubstr("a submit would"))));
  EXPECT_THAT(result.err, AllOf(HasSubstr("planned without a coordinator"),
                                HasSubstr("whether the name is taken is not known")));
  const CliResult json =
      RunCommand("127.0.0.1:1", {"submit", Write(kOther), "--dry-run", "--json"});
  EXPECT_EQ(nlohmann::json::parse(json.out)["plan"]["jobs"], "30");
  EXPECT_EQ(nlohmann::json::parse(json.out)["compared"], false);
}

TEST_F(ControlTest, SubmittingTheSameAgainChangesNothing) {
  const CliResult result = Run({"submit", Demo("300")});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("already there with the same settings"));
}

TEST_F(ControlTest, ABadSpecNeverReachesTheCoordinator) {
  const CliResult result = Run({"submit", Demo("none")});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr(":5:16: train.steps is 'none'"));
  EXPECT_EQ(RunCommand("127.0.0.1:1", {"submit", Demo("none")}).code, 2) << "nor needs one";
  absl::MutexLock lock(&service_.mutex);
  EXPECT_EQ(service_.submit.ByteSizeLong(), 0);
}

TEST_F(ControlTest, AnotherProtocolIsRefusedBeforeAnythingChanges) {
  {
    absl::MutexLock lock(&service_.mutex);
    service_.protocol = rpc::kProtocolVersion + 1;
  }
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"submit", Demo("300")},
                                             {"cancel", "demo"},
                                             {"retry", "demo"},
                                             {"pause", "demo"},
                                             {"resume", "demo"},
                                             {"drain", "node"}}) {
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 1) << args[0];
    EXPECT_THAT(result.err, AllOf(HasSubstr("9.9.9"),
                                  HasSubstr(absl::StrCat("protocol ", rpc::kProtocolVersion + 1)),
                                  HasSubstr(absl::StrCat("protocol ", rpc::kProtocolVersion)),
                                  HasSubstr("install the same version")));
  }
  EXPECT_EQ(Run({"status"}).code, 0) << "a query may still be understood";
  absl::MutexLock lock(&service_.mutex);
  EXPECT_FALSE(service_.stored);
  EXPECT_EQ(service_.cancel.ByteSizeLong() + service_.retry.ByteSizeLong() +
                service_.drain.ByteSizeLong(),
            0);
}

TEST_F(ControlTest, CancelTakesASweepAPartOfItOrAJob) {
  EXPECT_THAT(Run({"cancel", "demo", "--depth", "2"}).out, HasSubstr("cancelled 3 jobs of demo"));
  {
    absl::MutexLock lock(&service_.mutex);
    EXPECT_THAT(service_.cancel.filter().depths(), ElementsAre(2));
  }
  EXPECT_EQ(Run({"cancel", "demo/dyck/1"}).code, 0);
  {
    absl::MutexLock lock(&service_.mutex);
    EXPECT_THAT(service_.cancel.filter().tasks(), ElementsAre("dyck"));
    EXPECT_THAT(service_.cancel.filter().depths(), ElementsAre(1));
  }
  EXPECT_EQ(Run({"cancel", "5"}).code, 0);
  {
    absl::MutexLock lock(&service_.mutex);
    EXPECT_EQ(service_.cancel.filter().sweep(), "demo");
    EXPECT_THAT(service_.cancel.filter().job_ids(), ElementsAre(5));
  }
  EXPECT_EQ(Run({"cancel"}).code, 2) << "what is cancelled must be named";
}

TEST_F(ControlTest, RetryPauseResumeAndDrainSayWhatTheyDid) {
  EXPECT_THAT(Run({"retry", "demo", "--state", "failed"}).out, HasSubstr("1 job of demo wait"));
  EXPECT_THAT(Run({"pause", "demo"}).out, HasSubstr("demo is paused"));
  EXPECT_THAT(Run({"resume", "demo"}).out, HasSubstr("demo goes on"));
  EXPECT_THAT(Run({"drain", "node"}).out, HasSubstr("node takes no new jobs"));
  EXPECT_THAT(Run({"drain", "node", "--undo"}).out, HasSubstr("node takes jobs again"));
  EXPECT_EQ(Run({"drain", "nobody"}).code, 1);
  EXPECT_THAT(Run({"drain", "noed"}).err, HasSubstr("no worker 'noed'; did you mean 'node'?"));
  absl::MutexLock lock(&service_.mutex);
  EXPECT_EQ(service_.retry.filter().states(0), v1::FAILED);
  EXPECT_EQ(service_.paused, "demo");
  EXPECT_EQ(service_.resumed, "demo");
}

TEST_F(ControlTest, ARetryThatFindsNothingSaysSo) {
  service_.retryable = 0;
  const auto result = Run({"retry", "demo/question"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, HasSubstr("no failed or cancelled job of demo matches"));
}

TEST_F(ControlTest, AnswersComeAsJsonToo) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"cancel", "demo", "--json"},
                                             {"retry", "demo", "--json"},
                                             {"pause", "demo", "--json"},
                                             {"resume", "demo", "--json"},
                                             {"drain", "node", "--json"},
                                             {"submit", Demo("300"), "--dry-run", "--json"}}) {
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_FALSE(nlohmann::json::parse(result.out, nullptr, false).is_discarded()) << result.out;
  }
}

}  // namespace
}  // namespace coppice::cli
