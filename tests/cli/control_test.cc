// The commands that change something, against a real gRPC server.
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
  EXPECT_TRUE(service_.submit.dry_run());
}

TEST_F(ControlTest, SubmittingTheSameAgainChangesNothing) {
  const CliResult result = Run({"submit", Demo("300")});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("already there with the same settings"));
}

TEST_F(ControlTest, ATakenNameIsAnErrorAtItsLine) {
  const std::string file = Demo("301");
  const CliResult result = Run({"submit", file});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr(file + ":1:7: "), HasSubstr("'demo'"),
                                HasSubstr("choose another name")));
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
                                             {"pause"},
                                             {"resume"},
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
  EXPECT_THAT(Run({"retry", "--state", "failed"}).out, HasSubstr("1 job of demo wait"));
  EXPECT_THAT(Run({"pause"}).out, HasSubstr("demo is paused"));
  EXPECT_THAT(Run({"resume", "demo"}).out, HasSubstr("demo goes on"));
  EXPECT_THAT(Run({"drain", "node"}).out, HasSubstr("node takes no new jobs"));
  EXPECT_THAT(Run({"drain", "node", "--undo"}).out, HasSubstr("node takes jobs again"));
  EXPECT_EQ(Run({"drain", "nobody"}).code, 1);
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
                                             {"retry", "--json"},
                                             {"pause", "--json"},
                                             {"resume", "--json"},
                                             {"drain", "node", "--json"},
                                             {"submit", Demo("300"), "--dry-run", "--json"}}) {
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_FALSE(nlohmann::json::parse(result.out, nullptr, false).is_discarded()) << result.out;
  }
}

}  // namespace
}  // namespace coppice::cli
