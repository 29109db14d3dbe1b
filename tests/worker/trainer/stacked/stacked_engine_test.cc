// The engine with a stacked pack, on the host and on a CUDA device if there is one, against itself
// and against the CPU's members.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/trainer/pack_runner.h"
#include "tests/worker/trainer/stacked/test_devices.h"
#include "worker/trainer/train/engine.h"

namespace coppice::trainer {
namespace {

using testing::HasSubstr;

const Dataset& Questions() {
  static const Dataset* const dataset = new Dataset(SmallDataset(Task::kQuestion));
  return *dataset;
}

RunConfig SixtySteps() {
  RunConfig run = SmallRun(Task::kQuestion);
  run.train.steps = 60;
  run.report.every = 7;
  run.report.probe_sentences = 20;
  run.checkpoint.every = 25;
  return run;
}

class StackedEngineTest : public DeviceTest {
 protected:
  PackRun PackOf(const TestDirectory& directory, const std::vector<uint64_t>& seeds) const {
    PackRun pack{SixtySteps(), {}};
    for (const uint64_t seed : seeds)
      pack.members.push_back({seed, directory / ("seed-" + std::to_string(seed)), ""});
    pack.device = device_;
    return pack;
  }

  PackResult RunStacked(const std::vector<uint64_t>& seeds) const {
    TestDirectory directory;
    return RunPack(Questions(), PackOf(directory, seeds));
  }

  // Sums have other orders, so a choice between two nearly equal words or parses may differ. On the
  // host a few choices may differ in metrics that count them. On a device, whose products are
  // rounded, these metrics are not compared.
  void ExpectNear(const nlohmann::json& actual, const nlohmann::json& expected) const {
    const double tolerance = on_host() ? 1e-4 : 2e-3;
    ASSERT_EQ(actual.size(), expected.size()) << actual << expected;
    for (const auto& [name, value] : expected.items()) {
      ASSERT_TRUE(actual.contains(name)) << name;
      const bool counts = absl::EndsWith(name, "accuracy") || name == "t_parseval";
      if (!on_host() && counts) continue;
      EXPECT_NEAR(actual[name].get<double>(), value.get<double>(),
                  counts ? 0.02 : tolerance * std::max(1.0, std::abs(value.get<double>())))
          << name;
    }
  }
};

TEST_P(StackedEngineTest, APackReportsWhatItsMembersReportOnTheCpu) {
  for (const Task task : {Task::kQuestion, Task::kTense, Task::kDyck}) {
    const Dataset dataset = SmallDataset(task);
    TestDirectory stacked_directory, cpu_directory;
    PackRun pack = PackOf(stacked_directory, {0, 1, 2});
    pack.run.task = task;
    const PackResult stacked = RunPack(dataset, pack);
    PackRun one_by_one = PackOf(cpu_directory, {0, 1, 2});
    one_by_one.run.task = task;
    one_by_one.device = MakeCpu();
    const PackResult cpu = RunPack(dataset, one_by_one);
    ASSERT_TRUE(stacked.status.ok()) << stacked.status;
    EXPECT_FALSE(stacked.outcome.failed);
    for (uint64_t seed = 0; seed < 3; ++seed) {
      const auto actual = stacked.Metrics(seed), expected = cpu.Metrics(seed);
      ASSERT_EQ(actual.size(), 9u);  // 7, 14, .. 56, 60
      ASSERT_EQ(expected.size(), actual.size());
      for (const auto& [step, values] : expected) {
        SCOPED_TRACE(std::string(TaskName(task)) + " seed " + std::to_string(seed) + " step " +
                     std::to_string(step));
        ASSERT_TRUE(actual.count(step));
        ExpectNear(actual.at(step), values);
      }
      EXPECT_EQ(stacked.Of("done", seed).size(), 1u);
      EXPECT_EQ(stacked.Of("checkpoint", seed).size(), 3u);  // 25, 50, 60
    }
  }
}

TEST_P(StackedEngineTest, InterruptedAtAnyPointAPackEndsBitForBitTheSame) {
  const PackResult whole = RunStacked({3, 4, 5});
  int interrupted = 0;
  for (int stop_at = 1; stop_at < 40; stop_at += 3) {
    TestDirectory directory;
    PackRun pack = PackOf(directory, {3, 4, 5});
    pack.resume_newest = true;
    pack.on_clock = [stop_at](int call, std::atomic<bool>* stop) {
      if (call == stop_at) stop->store(true);
    };
    std::map<uint64_t, std::map<int64_t, nlohmann::json>> metrics;
    std::map<uint64_t, std::string> digests;
    for (int attempt = 0; attempt < 5; ++attempt) {
      const PackResult part = RunPack(Questions(), pack);
      ASSERT_TRUE(part.status.ok()) << part.status;
      for (uint64_t seed = 3; seed < 6; ++seed) {
        for (const auto& [step, values] : part.Metrics(seed)) {
          ASSERT_TRUE(metrics[seed].emplace(step, values).second)
              << "step " << step << " reported by two attempts";
        }
        digests[seed] = part.FinalDigest(seed);
      }
      if (!part.outcome.preempted) break;
      ++interrupted;
      if (attempt == 1) pack.on_clock = nullptr;
    }
    for (uint64_t seed = 3; seed < 6; ++seed) {
      EXPECT_EQ(metrics[seed], whole.Metrics(seed)) << "stopped at look " << stop_at;
      EXPECT_EQ(digests[seed], whole.FinalDigest(seed)) << "stopped at look " << stop_at;
    }
  }
  EXPECT_GT(interrupted, 10) << "hardly anything was interrupted, so the test proves little";
}

TEST_P(StackedEngineTest, AResumedPackThatForgetsItsMomentsEndsElsewhere) {
  const PackResult whole = RunStacked({3, 4, 5});
  TestDirectory directory;
  PackRun pack = PackOf(directory, {3, 4, 5});
  pack.run.train.steps = 25;
  RunPack(Questions(), pack);
  pack.run.train.steps = 60;
  pack.resume_newest = true;
  pack.before_run = [](Engine& engine) {
    ASSERT_EQ(engine.member(1).step(), 25);
    for (float* x = engine.member(1).rows().adam_m; x != engine.member(1).rows().adam_m + 500; ++x)
      *x = 0;
  };
  const PackResult resumed = RunPack(Questions(), pack);
  EXPECT_EQ(resumed.FinalDigest(3), whole.FinalDigest(3));
  EXPECT_NE(resumed.FinalDigest(4), whole.FinalDigest(4));
}

TEST_P(StackedEngineTest, AMemberThatDivergesFailsAloneAndItsPackMatesKeepTheirBits) {
  const PackResult whole = RunStacked({0, 1, 2});
  TestDirectory directory;
  PackRun pack = PackOf(directory, {0, 1, 2});
  pack.before_run = [](Engine& engine) {
    engine.member(1).rows().parameters[100] = std::numeric_limits<float>::quiet_NaN();
  };
  const PackResult broken = RunPack(Questions(), pack);
  EXPECT_TRUE(broken.outcome.failed);
  const auto failures = broken.Of("failed", 1);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0]["kind"], "nan");
  EXPECT_EQ(failures[0]["step"], 0);
  EXPECT_THAT(failures[0]["message"].get<std::string>(), HasSubstr("not finite"));
  EXPECT_TRUE(broken.Of("metrics", 1).empty());
  for (const uint64_t seed : {0, 2}) {
    EXPECT_EQ(broken.Metrics(seed), whole.Metrics(seed));
    EXPECT_EQ(broken.FinalDigest(seed), whole.FinalDigest(seed));
  }
}

// One member ends before the others, because it was resumed from a later step.
TEST_P(StackedEngineTest, MembersAtUnequalStepsGoEachToItsEnd) {
  TestDirectory directory, cpu_directory;
  PackRun ahead = PackOf(directory, {1});
  ahead.run.train.steps = 25;
  RunPack(Questions(), ahead);
  PackRun pack = PackOf(directory, {0, 1, 2});
  pack.resume_newest = true;
  const PackResult stacked = RunPack(Questions(), pack);
  EXPECT_EQ(stacked.Of("start", 0)[0]["members"][1]["step"], 25);
  PackRun one_by_one = PackOf(cpu_directory, {0, 1, 2});
  one_by_one.device = MakeCpu();
  const PackResult cpu = RunPack(Questions(), one_by_one);
  for (uint64_t seed = 0; seed < 3; ++seed) {
    EXPECT_EQ(stacked.Of("done", seed).size(), 1u);
    const auto actual = stacked.Metrics(seed), expected = cpu.Metrics(seed);
    ASSERT_EQ(actual.count(60), 1u);
    ExpectNear(actual.at(60), expected.at(60));
  }
}

TEST_P(StackedEngineTest, WhatCannotBeSavedFailsItsMemberAlone) {
  TestDirectory directory;
  PackRun pack = PackOf(directory, {0, 1});
  pack.save = [](const std::string& folder, const RunConfig& run, uint64_t seed,
                 const ParameterLayout& layout, const MemberProgress& progress,
                 const MemberRows& rows) -> absl::StatusOr<SavedCheckpoint> {
    if (seed == 0) return absl::ResourceExhaustedError("no space left");
    return SaveCheckpoint(folder, run, seed, layout, progress, rows);
  };
  const PackResult result = RunPack(Questions(), pack);
  EXPECT_EQ(result.Of("failed", 0).size(), 1u);
  EXPECT_EQ(result.Of("done", 1).size(), 1u);
  EXPECT_EQ(result.FinalDigest(1), RunStacked({0, 1}).FinalDigest(1));
}

INSTANTIATE_TEST_SUITE_P(On, StackedEngineTest, BothDevices(), DeviceName);

}  // namespace
}  // namespace coppice::trainer
