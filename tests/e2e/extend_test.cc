// The promise to the scientist about a sweep that grows, on real processes: however it came to its
// points, seeds and steps, and whatever died on the way, every value equals that of a sweep that
// was whole from the start.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/cluster.h"

namespace coppice::e2e {
namespace {

// Two settings, a named axis and the seed.
constexpr char kGrid[] = R"(name: NAME
axes:
  train.learning_rate: [1e-3, 3e-3]
  data.seed: 0-1
  kind:
    question: {task: question, depth: 1}
    brackets: {task: dyck, depth: 1, model.d_ff: 32}
  seed: SEEDS
exclude:
  - {train.learning_rate: 3e-3, data.seed: 1}
  - {kind: brackets, data.seed: 1}
model: {d_model: 16, heads: 2, d_ff: 64}
train: {steps: STEPS, batch_size: 4, warmup_steps: 100}
data: {train: 500, val: 50, test: 10, gen: 50}
report: {every: 100, dyck_prefixes: 50, probes: {sentences: 10}}
checkpoint: {every: 200, keep: 1}
)";

std::string Grid(const std::string& name, const std::string& seeds, const std::string& steps) {
  return absl::StrReplaceAll(kGrid, {{"NAME", name}, {"SEEDS", seeds}, {"STEPS", steps}});
}

// "axis=value/... step name" -> value with every digit, without the metrics that measure time.
std::map<std::string, std::string> ValuesOf(Cluster* cluster, const std::string& sweep) {
  const testing::RunResult result = cluster->Cli({"metrics", sweep, "--csv"});
  EXPECT_EQ(result.code, 0) << result.err;
  std::map<std::string, std::string> values;
  const std::vector<std::string> lines = absl::StrSplit(result.out, '\n', absl::SkipEmpty());
  if (lines.empty()) return values;
  const std::vector<std::string> header = absl::StrSplit(lines[0], ',');
  size_t step = 0;
  while (step < header.size() && header[step] != "step") ++step;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> cells = absl::StrSplit(lines[i], ',');
    EXPECT_EQ(cells.size(), header.size()) << lines[i];
    if (cells.size() != header.size()) continue;
    std::string row;
    for (size_t c = 1; c <= step; ++c) absl::StrAppend(&row, header[c], "=", cells[c], " ");
    for (size_t c = step + 1; c < cells.size(); ++c) {
      if (header[c] == "sequences_per_second" || header[c] == "probe_seconds") continue;
      values[row + header[c]] = cells[c];
    }
  }
  return values;
}

bool HasStep(const std::map<std::string, std::string>& values, int step) {
  return std::any_of(values.begin(), values.end(), [&](const auto& value) {
    return absl::StrContains(value.first, absl::StrCat(" step=", step, " "));
  });
}

std::string NameOf(const v1::Job& job) {
  std::string name;
  for (const v1::Coordinate& at : job.point())
    absl::StrAppend(&name, at.axis(), "=", at.value(), "/");
  return absl::StrCat(name, "seed=", job.seed());
}

// The digest of each job's last checkpoint, which covers its tensors and its state.
std::map<std::string, std::string> LastCheckpoints(Cluster* cluster, const std::string& sweep) {
  std::map<std::string, std::string> digests;
  for (const v1::Job& job : cluster->Jobs(sweep)) {
    EXPECT_EQ(job.state(), v1::SUCCEEDED) << job.ShortDebugString();
    EXPECT_EQ(job.failures(), 0u) << job.ShortDebugString();
    const v1::GetJobResponse details = cluster->Job(job.id());
    if (details.checkpoints().empty()) continue;
    digests[NameOf(job)] =
        absl::StrCat(details.checkpoints(0).step(), " ", details.checkpoints(0).digest());
  }
  return digests;
}

class ExtendTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(cluster_.Path(name)) << text;
    return cluster_.Path(name);
  }
  // Waits until `succeeded` jobs have and others have not.
  bool AwaitHalf(const std::string& sweep, uint64_t succeeded) {
    return cluster_.WatchUntil(sweep, absl::Seconds(120), [&](const v1::WatchSweepResponse& event) {
      return event.has_summary() && event.summary().counts().succeeded() >= succeeded;
    });
  }
  void KillCoordinator() {
    cluster_.coordinator().Signal(SIGKILL);
    ASSERT_TRUE(cluster_.coordinator().Wait(absl::Seconds(10)).has_value());
    cluster_.StartCoordinator();
  }
  void KillWorker(const std::string& name, const std::string& next) {
    cluster_.worker(name).Signal(SIGKILL);
    ASSERT_TRUE(cluster_.worker(name).Wait(absl::Seconds(10)).has_value());
    cluster_.StartWorker(next, {.slots = 2, .pack = 3});
  }

  Cluster cluster_;
};

// 250 steps are between two reports, so the rows and checkpoints at the end of the short jobs do
// not exist in the long ones.
TEST_F(ExtendTest, ASweepThatGrowsAmidKillsEqualsOneThatWasWhole) {
  cluster_.StartCoordinator();
  cluster_.StartWorker("one", {.slots = 2, .pack = 3});
  cluster_.Submit(Grid("whole", "0-2", "600"));
  ASSERT_TRUE(cluster_.AwaitEnd("whole")) << cluster_.worker("one").err();
  cluster_.Submit(Grid("grown", "0-1", "250"));
  ASSERT_TRUE(AwaitHalf("grown", 4)) << cluster_.worker("one").err();
  EXPECT_TRUE(HasStep(ValuesOf(&cluster_, "grown"), 250)) << "that row has to go";
  const testing::RunResult extended =
      cluster_.Cli({"extend", "grown", "--seeds", "2", "--set", "train.steps=600"});
  ASSERT_EQ(extended.code, 0) << extended.err;
  KillCoordinator();
  KillWorker("one", "two");
  ASSERT_TRUE(AwaitHalf("grown", 6)) << cluster_.worker("two").err();
  KillWorker("two", "three");
  KillCoordinator();
  ASSERT_TRUE(cluster_.AwaitEnd("grown")) << cluster_.worker("three").err();
  const auto whole = ValuesOf(&cluster_, "whole");
  // 5 points, 3 seeds, 6 reports, at least 7 metrics.
  EXPECT_GE(whole.size(), 5 * 3 * 6 * 7u);
  EXPECT_EQ(ValuesOf(&cluster_, "grown"), whole);
  const auto checkpoints = LastCheckpoints(&cluster_, "whole");
  EXPECT_EQ(checkpoints.size(), 15u);
  EXPECT_EQ(LastCheckpoints(&cluster_, "grown"), checkpoints);
  const testing::RunResult diff =
      cluster_.Cli({"diff", "grown", Write("whole.yaml", Grid("whole", "0-2", "600"))});
  EXPECT_EQ(diff.code, 0) << diff.out << diff.err;
}

}  // namespace
}  // namespace coppice::e2e
