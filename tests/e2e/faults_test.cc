// The promise to the scientist, on real processes: whatever dies in mid-run, the sweep completes
// and every metric equals the undisturbed run's to the last bit.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/e2e/cluster.h"

namespace coppice::e2e {
namespace {

constexpr char kSweep[] = R"(name: faults
tasks: [question, tense]
depths: [1]
seeds: 0-1
model: {d_model: 32, heads: 2, d_ff: 64}
train: {steps: 2000, batch_size: 8, learning_rate: 1e-3, warmup_steps: 100}
data: {train: 2000, val: 100, test: 10, gen: 100}
report: {every: 250, decode_sentences: 20, probes: {sentences: 20}}
checkpoint: {every: 500}
)";

class FaultsTest : public ::testing::Test {
 protected:
  // The undisturbed run is made once for all tests of this file: two slots, no packs.
  static void SetUpTestSuite() {
    Cluster cluster;
    cluster.StartCoordinator();
    cluster.StartWorker("calm", {.slots = 2});
    cluster.Submit(kSweep);
    ASSERT_TRUE(cluster.AwaitEnd("faults")) << cluster.worker("calm").err();
    undisturbed_ = new auto(cluster.Metrics("faults"));
    // There are 4 jobs, 8 reports and at least 7 metrics.
    ASSERT_GE(undisturbed_->size(), 4 * 8 * 7u);
  }
  static void TearDownTestSuite() { delete undisturbed_; }

  // Awaits the end of the sweep and compares.
  void ExpectUndisturbedResults() {
    ASSERT_TRUE(cluster_.AwaitEnd("faults")) << cluster_.coordinator().err();
    for (const v1::Job& job : cluster_.Jobs("faults")) {
      EXPECT_EQ(job.state(), v1::SUCCEEDED) << job.ShortDebugString();
      EXPECT_EQ(job.failures(), 0u) << "a preemption was charged: " << job.ShortDebugString();
    }
    EXPECT_EQ(cluster_.Metrics("faults"), *undisturbed_);
  }
  // Counts the attempts of the sweep's jobs that ended as `outcome`.
  int Attempts(const std::string& outcome) {
    int count = 0;
    for (const v1::Job& job : cluster_.Jobs("faults")) {
      const v1::GetJobResponse details = cluster_.Job(job.id());
      for (const v1::Attempt& attempt : details.attempts()) count += attempt.outcome() == outcome;
    }
    return count;
  }

  static std::map<std::string, std::string>* undisturbed_;
  Cluster cluster_;
};

std::map<std::string, std::string>* FaultsTest::undisturbed_ = nullptr;

TEST_F(FaultsTest, SigtermOfAWorkerCheckpointsAndAnotherContinues) {
  cluster_.StartCoordinator();
  cluster_.StartWorker("first", {.slots = 2});
  cluster_.Submit(kSweep);
  ASSERT_TRUE(cluster_.AwaitStep("faults", 250)) << cluster_.worker("first").err();
  cluster_.worker("first").Signal(SIGTERM);
  const auto status = cluster_.worker("first").Wait(absl::Seconds(30));
  ASSERT_TRUE(status.has_value()) << "the worker did not leave within the grace period";
  EXPECT_EQ(status->code, 0) << cluster_.worker("first").err();
  EXPECT_GE(Attempts("released") + Attempts("preempted"), 1);
  cluster_.StartWorker("second", {.slots = 2});
  ExpectUndisturbedResults();
}

TEST_F(FaultsTest, KillOfAWorkerLosesNothing) {
  cluster_.StartCoordinator();
  cluster_.StartWorker("first", {.slots = 2});
  cluster_.Submit(kSweep);
  ASSERT_TRUE(cluster_.AwaitStep("faults", 750)) << cluster_.worker("first").err();
  cluster_.worker("first").Signal(SIGKILL);
  ASSERT_TRUE(cluster_.worker("first").Wait(absl::Seconds(10)).has_value());
  cluster_.StartWorker("second", {.slots = 2});
  ExpectUndisturbedResults();
  EXPECT_GE(Attempts("expired"), 1);
}

TEST_F(FaultsTest, KillOfTheCoordinatorIsANonEvent) {
  cluster_.StartCoordinator();
  cluster_.StartWorker("first", {.slots = 2});
  cluster_.Submit(kSweep);
  ASSERT_TRUE(cluster_.AwaitStep("faults", 500));
  cluster_.coordinator().Signal(SIGKILL);
  ASSERT_TRUE(cluster_.coordinator().Wait(absl::Seconds(10)).has_value());
  cluster_.StartCoordinator();
  ExpectUndisturbedResults();
  EXPECT_EQ(Attempts("expired"), 0) << "workers must present their leases again";
}

TEST_F(FaultsTest, KillOfATrainerIsChargedWithItsReasonAndTheJobGoesOn) {
  cluster_.StartCoordinator();
  cluster_.StartWorker("first", {.slots = 1});
  cluster_.Submit(kSweep);
  ASSERT_TRUE(cluster_.AwaitStep("faults", 250));
  const std::vector<pid_t> trainers = TrainersOf(cluster_.worker("first").pid());
  ASSERT_FALSE(trainers.empty());
  for (const pid_t pid : trainers) ::kill(pid, SIGKILL);
  ASSERT_TRUE(cluster_.AwaitEnd("faults")) << cluster_.worker("first").err();
  EXPECT_TRUE(cluster_.worker("first").Running());
  EXPECT_EQ(cluster_.Metrics("faults"), *undisturbed_);
  int killed = 0;
  for (const v1::Job& job : cluster_.Jobs("faults")) {
    EXPECT_EQ(job.state(), v1::SUCCEEDED);
    const v1::GetJobResponse details = cluster_.Job(job.id());
    for (const v1::Attempt& attempt : details.attempts()) {
      if (attempt.outcome() != "failed") continue;
      ++killed;
      EXPECT_TRUE(absl::StrContains(attempt.message(), "SIGKILL")) << attempt.message();
    }
  }
  EXPECT_EQ(killed, static_cast<int>(trainers.size()));
}

TEST_F(FaultsTest, CheckpointsThatTravelOverTheWireResumeToTheSameBits) {
  cluster_.StartCoordinator();
  cluster_.StartWorker("first", {.slots = 1, .pack = 2, .shared_checkpoints = false});
  cluster_.Submit(kSweep);
  ASSERT_TRUE(cluster_.AwaitStep("faults", 500)) << cluster_.worker("first").err();
  cluster_.worker("first").Signal(SIGTERM);
  ASSERT_TRUE(cluster_.worker("first").Wait(absl::Seconds(30)).has_value());
  cluster_.StartWorker("second", {.slots = 2, .shared_checkpoints = false});
  ExpectUndisturbedResults();
}

TEST_F(FaultsTest, GarbageFromATrainerFailsTheAttemptAndTheDaemonLives) {
  cluster_.StartCoordinator();
  const std::string script = cluster_.Path("garbage-trainer");
  std::ofstream(script)
      << "#!/bin/sh\necho 'about to go wrong' >&2\necho 'this is not an event'\nexec sleep 60\n";
  ASSERT_EQ(::chmod(script.c_str(), 0755), 0);
  // On the CPU, because a worker asks a trainer for its GPUs first.
  cluster_.StartWorker("odd", {.slots = 1, .trainer = script, .extra = {"--device", "cpu"}});
  cluster_.Submit(kSweep);
  ASSERT_TRUE(cluster_.WatchUntil("faults", absl::Seconds(30),
                                  [](const v1::WatchSweepResponse& change) {
                                    return change.has_job() && change.job().failures() > 0;
                                  }))
      << cluster_.worker("odd").err();
  EXPECT_TRUE(cluster_.worker("odd").Running());
  bool found = false;
  for (const v1::Job& job : cluster_.Jobs("faults")) {
    const v1::GetJobResponse details = cluster_.Job(job.id());
    for (const v1::Attempt& attempt : details.attempts()) {
      found = found || (absl::StrContains(attempt.message(), "this is not an event") &&
                        absl::StrContains(attempt.message(), "about to go wrong"));
    }
  }
  EXPECT_TRUE(found) << "the reason should quote the line and the tail of the log";
  cluster_.worker("odd").Signal(SIGTERM);
  ASSERT_TRUE(cluster_.worker("odd").Wait(absl::Seconds(30)).has_value());
}

}  // namespace
}  // namespace coppice::e2e
