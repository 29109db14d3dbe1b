#include "worker/trainer/train/engine.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/trainer/pack_runner.h"

namespace coppice::trainer {
namespace {

using testing::HasSubstr;

const Dataset& Questions() {
  static const Dataset* const dataset = new Dataset(SmallDataset(Task::kQuestion));
  return *dataset;
}

std::vector<MemberSpec> Members(const TestDirectory& directory,
                                const std::vector<uint64_t>& seeds) {
  std::vector<MemberSpec> members;
  for (const uint64_t seed : seeds)
    members.push_back({seed, directory / ("seed-" + std::to_string(seed)), ""});
  return members;
}

PackResult RunSeeds(const std::vector<uint64_t>& seeds, int64_t threads) {
  TestDirectory directory;
  return RunPack(Questions(), {SmallRun(Task::kQuestion), Members(directory, seeds), threads});
}

TEST(EngineTest, PackMatesAndThreadsChangeNoBit) {
  const PackResult alone = RunSeeds({1}, 1);
  const PackResult pack = RunSeeds({0, 1, 2}, 1);
  const PackResult threaded = RunSeeds({2, 1, 0}, 3);
  EXPECT_EQ(alone.Metrics(1).size(), 5u);  // 7, 14, 21, 28, 30
  EXPECT_EQ(pack.Metrics(1), alone.Metrics(1));
  EXPECT_EQ(threaded.Metrics(1), alone.Metrics(1));
  EXPECT_EQ(pack.FinalDigest(1), alone.FinalDigest(1));
  EXPECT_EQ(threaded.FinalDigest(1), alone.FinalDigest(1));
  EXPECT_EQ(threaded.FinalDigest(0), pack.FinalDigest(0));
  EXPECT_NE(pack.FinalDigest(0), pack.FinalDigest(1));
}

TEST(EngineTest, EveryTaskTrainsAndReportsItsMetrics) {
  for (const Task task : {Task::kQuestion, Task::kTense, Task::kDyck}) {
    const Dataset dataset = SmallDataset(task);
    TestDirectory directory;
    const PackResult result = RunPack(dataset, {SmallRun(task), Members(directory, {0})});
    ASSERT_TRUE(result.status.ok()) << result.status;
    EXPECT_EQ(result.Of("done", 0).size(), 1u);
    const std::map<int64_t, nlohmann::json> metrics = result.Metrics(0);
    ASSERT_EQ(metrics.size(), 5u);
    for (const char* name : {"train_loss", "val_loss", "id_accuracy", "gen_accuracy", "grad_norm",
                             "learning_rate", "weight_norm"}) {
      EXPECT_TRUE(metrics.at(30).contains(name)) << TaskName(task) << " " << name;
    }
    EXPECT_LT(metrics.at(30)["train_loss"].get<double>(),
              metrics.at(7)["train_loss"].get<double>());
  }
}

TEST(EngineTest, CheckpointsComeAtTheirStepsBehindTheMetricsAndBeforeDone) {
  TestDirectory directory;
  RunConfig run = SmallRun(Task::kQuestion);
  run.train.steps = 14;
  run.checkpoint.every = 7;
  run.checkpoint.keep = 1;
  const PackResult result = RunPack(Questions(), {run, Members(directory, {0})});
  std::vector<std::string> order;
  for (const nlohmann::json& event : result.events) {
    if (event["event"] != "progress")
      order.push_back(event["event"].get<std::string>() +
                      event.value("step", nlohmann::json("")).dump());
  }
  // The first checkpoint is written during the steps up to 14, so it comes before or after their
  // metrics.
  ASSERT_EQ(order.size(), 6u);
  if (order[2] == "metrics14") std::swap(order[2], order[3]);
  EXPECT_EQ(order, (std::vector<std::string>{"start\"\"", "metrics7", "checkpoint7", "metrics14",
                                             "checkpoint14", "done14"}));
  EXPECT_EQ(ListCheckpoints(directory / "seed-0")->size(), 1u);
}

TEST(EngineTest, WithoutPruningEveryCheckpointStays) {
  TestDirectory directory;
  PackRun pack{SmallRun(Task::kQuestion), Members(directory, {0})};
  pack.run.checkpoint.keep = 1;
  pack.prune = false;
  RunPack(Questions(), pack);
  EXPECT_EQ(ListCheckpoints(directory / "seed-0")->size(), 3u);
}

// Stops the run at its n-th reading of the clock, for every n, and resumes it until it is done.
// Some of these moments are at the beginning of an evaluation, which is then abandoned and
// repeated.
TEST(EngineTest, InterruptedAtAnyPointTheRunEndsBitForBitTheSame) {
  const PackResult whole = RunSeeds({3}, 1);
  const std::map<int64_t, nlohmann::json> expected = whole.Metrics(3);
  int abandoned = 0;
  for (int stop_at = 0; stop_at < 50; ++stop_at) {
    TestDirectory directory;
    PackRun pack{SmallRun(Task::kQuestion), Members(directory, {3})};
    pack.resume_newest = true;
    pack.on_clock = [stop_at](int call, std::atomic<bool>* stop) {
      if (call == stop_at) stop->store(true);
    };
    std::map<int64_t, nlohmann::json> metrics;
    std::string digest;
    for (int attempt = 0; attempt < 40; ++attempt) {
      const PackResult part = RunPack(Questions(), pack);
      ASSERT_TRUE(part.status.ok()) << part.status;
      for (const auto& [step, values] : part.Metrics(3)) {
        ASSERT_TRUE(metrics.emplace(step, values).second)
            << "step " << step << " reported by two attempts";
      }
      if (!part.outcome.preempted) {
        digest = part.FinalDigest(3);
        break;
      }
      ASSERT_EQ(part.events.back()["event"], "preempted");
      const int64_t step = part.events.back()["step"];
      abandoned +=
          step % pack.run.report.every == 0 && step > 0 && metrics.count(step) == 0 ? 1 : 0;
      if (attempt == 2)
        pack.on_clock = nullptr;  // three interruptions are enough; early ones would never end
    }
    EXPECT_EQ(metrics, expected) << "stopped at look " << stop_at;
    EXPECT_EQ(digest, whole.FinalDigest(3)) << "stopped at look " << stop_at;
  }
  EXPECT_GT(abandoned, 0) << "no evaluation was interrupted, so the test proves less than it says";
}

TEST(EngineTest, ARunExtendedLaterEqualsOneThatWasThatLongFromTheStart) {
  TestDirectory directory;
  PackRun pack{SmallRun(Task::kQuestion), Members(directory, {3})};
  pack.resume_newest = true;
  pack.run.train.steps = 17;
  RunPack(Questions(), pack);
  pack.run.train.steps = 30;
  const PackResult extended = RunPack(Questions(), pack);
  const PackResult whole = RunSeeds({3}, 1);
  EXPECT_EQ(extended.FinalDigest(3), whole.FinalDigest(3));
  EXPECT_EQ(extended.Metrics(3).at(21), whole.Metrics(3).at(21));
}

TEST(EngineTest, NegativeControlResumingWithoutTheOptimizerStateDiverges) {
  TestDirectory directory;
  PackRun pack{SmallRun(Task::kQuestion), Members(directory, {3})};
  pack.resume_newest = true;
  pack.run.train.steps = 17;
  RunPack(Questions(), pack);
  pack.run.train.steps = 30;
  pack.before_run = [](Engine& engine) {
    const ParameterLayout layout({Questions().vocabulary.size(), 16, 2, 24, 2});
    std::fill_n(engine.member(0).rows().adam_m, layout.row_size(), 0.0f);
    std::fill_n(engine.member(0).rows().adam_v, layout.row_size(), 0.0f);
  };
  const PackResult broken = RunPack(Questions(), pack);
  const PackResult whole = RunSeeds({3}, 1);
  EXPECT_NE(broken.FinalDigest(3), whole.FinalDigest(3));
  EXPECT_NE(broken.Metrics(3).at(28), whole.Metrics(3).at(28));
}

TEST(EngineTest, AMemberThatBecomesNaNFailsAloneAndItsPackMatesKeepTheirBits) {
  const PackResult undisturbed = RunSeeds({0, 1, 2}, 1);
  for (const float poison : {std::numeric_limits<float>::quiet_NaN(), 3e38f}) {
    TestDirectory directory;
    PackRun pack{SmallRun(Task::kQuestion), Members(directory, {0, 1, 2})};
    pack.before_run = [poison](Engine& engine) {
      std::fill_n(engine.member(1).rows().parameters, 2000, poison);
    };
    const PackResult result = RunPack(Questions(), pack);
    EXPECT_TRUE(result.outcome.failed);
    const std::vector<nlohmann::json> failed = result.Of("failed", 1);
    ASSERT_EQ(failed.size(), 1u);
    EXPECT_EQ(failed[0]["kind"], "nan");
    EXPECT_EQ(failed[0]["step"], 0);
    EXPECT_TRUE(result.Of("checkpoint", 1).empty());
    for (const uint64_t seed : {0, 2}) {
      EXPECT_EQ(result.FinalDigest(seed), undisturbed.FinalDigest(seed));
      EXPECT_EQ(result.Metrics(seed), undisturbed.Metrics(seed));
      EXPECT_EQ(result.Of("done", seed).size(), 1u);
    }
  }
}

TEST(EngineTest, AnUnreadableResumeFileFailsItsMemberAlone) {
  TestDirectory directory;
  PackRun pack{SmallRun(Task::kQuestion), Members(directory, {0, 1})};
  pack.members[1].resume = directory / "missing.safetensors";
  const PackResult result = RunPack(Questions(), pack);
  ASSERT_TRUE(result.status.ok());
  // This order lets the worker's reader know the missing member from the start.
  EXPECT_EQ(result.events.at(0)["event"], "failed");
  EXPECT_EQ(result.events.at(0)["seed"], 1);
  EXPECT_EQ(result.events.at(0)["kind"], "checkpoint");
  EXPECT_EQ(result.events.at(1)["event"], "start");
  EXPECT_EQ(result.events.at(1)["members"].size(), 1u);
  EXPECT_EQ(result.Of("failed", 1).size(), 1u);
  EXPECT_EQ(result.Of("done", 0).size(), 1u);
}

TEST(EngineTest, WhereNobodyCanStartThereIsNoStart) {
  TestDirectory directory;
  PackRun pack{SmallRun(Task::kQuestion), Members(directory, {0})};
  pack.members[0].resume = directory / "missing.safetensors";
  const PackResult result = RunPack(Questions(), pack);
  ASSERT_THAT(result.events.size(), 1u);
  EXPECT_EQ(result.events[0]["event"], "failed");
}

TEST(EngineTest, ByHandADamagedNewestCheckpointIsSkippedForTheOneBefore) {
  TestDirectory directory;
  PackRun pack{SmallRun(Task::kQuestion), Members(directory, {0})};
  pack.resume_newest = true;
  const PackResult whole = RunPack(Questions(), pack);
  std::fstream file(directory / "seed-0/step-000000030.safetensors",
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-5, std::ios::end);
  file.put('x');
  file.close();
  const PackResult again = RunPack(Questions(), pack);
  ASSERT_TRUE(again.status.ok()) << again.status;
  EXPECT_EQ(again.events.at(0)["members"][0]["step"], 20);
  EXPECT_EQ(again.FinalDigest(0), whole.FinalDigest(0));
}

TEST(EngineTest, ByHandAFolderOfAnotherRunIsRefusedBeforeAnyEvent) {
  TestDirectory directory;
  PackRun pack{SmallRun(Task::kQuestion), Members(directory, {0})};
  pack.resume_newest = true;
  RunPack(Questions(), pack);
  pack.run.train.learning_rate = 0.25;
  const PackResult refused = RunPack(Questions(), pack);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status.message()),
              HasSubstr("run.train.learning_rate is 0.25 here and 0.001"));
  EXPECT_TRUE(refused.events.empty());
}

TEST(EngineTest, ACheckpointThatCannotBeWrittenFailsTheMemberWithKindDisk) {
  TestDirectory directory;
  std::ofstream(directory / "seed-0") << "a file where the folder should be";
  const PackResult result =
      RunPack(Questions(), {SmallRun(Task::kQuestion), Members(directory, {0, 1})});
  ASSERT_EQ(result.Of("failed", 0).size(), 1u);
  EXPECT_EQ(result.Of("failed", 0)[0]["kind"], "disk");
  EXPECT_EQ(result.Of("done", 1).size(), 1u);
}

}  // namespace
}  // namespace coppice::trainer
