// A sweep of a user's own program over its settings, with real processes that are killed: it ends,
// and every value equals that of an undisturbed sweep.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/cluster.h"

namespace coppice::e2e {
namespace {

std::string Sweep(double pause, const std::string& fault = "", const std::string& more = "") {
  return absl::StrCat(R"(name: mine
program:
  command: [python3, switched_program.py, ")",
                      fault, R"("]
  directory: )",
                      COPPICE_SOURCE_DIR, R"(/tests/cli
  settings: {learning_rate: 0.01, pause: )",
                      pause, R"(}
  resources: {gpus: 0, threads: 1}
)",
                      more, R"(axes:
  learning_rate: [0.003, 0.01]
  seed: 0-2
train: {steps: 400}
report: {every: 20}
checkpoint: {every: 40, keep: 1}
max_failures: 2
)");
}

class ProgramsTest : public ::testing::Test {
 protected:
  static WorkerFlags Programs(bool shared) {
    return {.slots = 2, .shared_checkpoints = shared, .extra = {"--programs"}};
  }
  // "job step" -> loss, with every digit.
  static std::map<std::string, std::string> Losses(Cluster& cluster) {
    const testing::RunResult result = cluster.Cli({"metrics", "mine", "--csv"});
    EXPECT_EQ(result.code, 0) << result.err;
    const std::vector<std::string> lines = absl::StrSplit(result.out, '\n', absl::SkipEmpty());
    std::map<std::string, std::string> losses;
    if (lines.empty()) return losses;
    const std::vector<std::string> header = absl::StrSplit(lines[0], ',');
    const auto column = [&](absl::string_view name) {
      const auto found = std::find(header.begin(), header.end(), name);
      EXPECT_NE(found, header.end()) << lines[0];
      return static_cast<size_t>(found - header.begin());
    };
    const size_t job = column("job_id"), step = column("step"), loss = column("loss");
    for (size_t i = 1; i < lines.size(); ++i) {
      const std::vector<std::string> cells = absl::StrSplit(lines[i], ',');
      losses[absl::StrCat(cells.at(job), " ", cells.at(step))] = cells.at(loss);
    }
    return losses;
  }
  Cluster cluster_;
};

TEST_F(ProgramsTest, KilledWorkersChangeNoValue) {
  Cluster calm;
  calm.StartCoordinator();
  calm.StartWorker("calm", Programs(true));
  calm.Submit(Sweep(0));
  ASSERT_TRUE(calm.AwaitEnd("mine")) << calm.worker("calm").err();
  const auto undisturbed = Losses(calm);
  ASSERT_EQ(undisturbed.size(), 6 * 20u);

  cluster_.StartCoordinator();
  cluster_.StartWorker("first", Programs(true));
  cluster_.Submit(Sweep(0.005));
  ASSERT_TRUE(cluster_.AwaitStep("mine", 120)) << cluster_.worker("first").err();
  cluster_.worker("first").Signal(SIGKILL);
  ASSERT_TRUE(cluster_.worker("first").Wait(absl::Seconds(10)).has_value());
  // The second worker gets the archives over the network, and is asked to end.
  cluster_.StartWorker("second", Programs(false));
  ASSERT_TRUE(cluster_.AwaitStep("mine", 200)) << cluster_.worker("second").err();
  cluster_.worker("second").Signal(SIGTERM);
  const auto status = cluster_.worker("second").Wait(absl::Seconds(30));
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, 0) << cluster_.worker("second").err();
  cluster_.StartWorker("third", Programs(false));
  ASSERT_TRUE(cluster_.AwaitEnd("mine")) << cluster_.worker("third").err();
  for (const v1::Job& job : cluster_.Jobs("mine")) {
    EXPECT_EQ(job.state(), v1::SUCCEEDED) << job.ShortDebugString();
    EXPECT_EQ(job.failures(), 0u) << job.ShortDebugString();
  }
  EXPECT_EQ(Losses(cluster_), undisturbed);
}

TEST_F(ProgramsTest, AFaultIsChargedToTheJobsAndTheWorkerLivesOn) {
  cluster_.StartCoordinator();
  cluster_.StartWorker("w", Programs(true));
  cluster_.Submit(Sweep(0, "steps_backwards"));
  ASSERT_TRUE(cluster_.AwaitEnd("mine")) << cluster_.worker("w").err();
  for (const v1::Job& job : cluster_.Jobs("mine")) {
    EXPECT_EQ(job.state(), v1::FAILED);
    EXPECT_TRUE(absl::StrContains(job.reason(), "only steps after")) << job.reason();
  }
  EXPECT_TRUE(cluster_.worker("w").Running());
}

TEST_F(ProgramsTest, AWorkerWithoutTheFlagLetsThemWaitAndWhySaysSo) {
  cluster_.StartCoordinator();
  cluster_.StartWorker("plain");
  cluster_.Submit(Sweep(0));
  const testing::RunResult why = cluster_.Cli({"why", "1"});
  EXPECT_TRUE(absl::StrContains(why.out, "--programs") ||
              absl::StrContains(why.out, "No worker is connected"))
      << why.out;
  cluster_.StartWorker("open", Programs(true));
  ASSERT_TRUE(cluster_.AwaitEnd("mine")) << cluster_.worker("open").err();
  for (const v1::Job& job : cluster_.Jobs("mine")) {
    const v1::GetJobResponse found = cluster_.Job(job.id());
    for (const v1::Attempt& attempt : found.attempts()) {
      EXPECT_EQ(attempt.worker(), "open");
    }
  }
}

}  // namespace
}  // namespace coppice::e2e
