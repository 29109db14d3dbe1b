// A worker's identity, its trainer's progress, and the counting of attempts, on real processes.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/e2e/cluster.h"

namespace coppice::e2e {
namespace {

std::string Sweep(const std::string& seeds, const std::string& report, int steps = 4000) {
  return absl::StrCat("name: words\ntasks: [question]\ndepths: [1]\nseeds: ", seeds, R"(
model: {d_model: 32, heads: 2, d_ff: 64}
train: {steps: )",
                      steps, R"(, batch_size: 8, learning_rate: 1e-3, warmup_steps: 100}
data: {train: 2000, val: 100, test: 10, gen: 100}
checkpoint: {every: 500}
report: {every: 250, decode_sentences: 20, probes: {sentences: 20})",
                      report, "}\n");
}

std::string HostName() {
  char name[256] = {};
  ::gethostname(name, sizeof(name) - 1);
  return name;
}

// Waits until `done` holds for the summary.
bool AwaitSummary(Cluster& cluster, const std::function<bool(const v1::SweepSummary&)>& done) {
  return cluster.WatchUntil("words", absl::Seconds(60), [&](const v1::WatchSweepResponse& change) {
    return change.has_summary() && done(change.summary());
  });
}

TEST(TwoWorkersOfOneNameTest, TheOlderOneIsToldByWhomAndEndsAndTheSweepGoesOnWithTheNewer) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker("older", {.slots = 2, .name = "w"});
  cluster.Submit(Sweep("0-1", ""));
  ASSERT_TRUE(cluster.AwaitStep("words", 250)) << cluster.worker("older").err();
  cluster.StartWorker("newer", {.slots = 2, .name = "w"});
  const auto ended = cluster.worker("older").Wait(absl::Seconds(30));
  ASSERT_TRUE(ended.has_value()) << "both go on";
  EXPECT_EQ(ended->code, 79);
  const std::string said = cluster.worker("older").err();
  EXPECT_TRUE(absl::StrContains(
      said, "a newer worker has the name w: it registered from " + HostName() + " at 20"))
      << said;
  ASSERT_TRUE(cluster.AwaitEnd("words")) << cluster.worker("newer").err();
  EXPECT_TRUE(cluster.worker("newer").Running());
  for (const v1::Job& job : cluster.Jobs("words")) {
    EXPECT_EQ(job.state(), v1::SUCCEEDED) << job.ShortDebugString();
    EXPECT_EQ(job.failures(), 0u);
    EXPECT_LE(job.attempts(), 2u) << "the name went back and forth";
  }
  const std::string workers = cluster.Cli({"workers"}).out;
  EXPECT_TRUE(absl::StrContains(
      workers, "w: an older process of this name, on " + HostName() + ", was superseded"))
      << workers;
}

TEST(StalledTrainerTest, ItsRateFallsItIsNamedAndAtTheLimitItIsEndedChargedAndTriedAgain) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker("first");
  // At 3,000 steps a second, a job of 4,000 may end before its rate is known.
  cluster.Submit(Sweep("0", ", stall_seconds: 20", 20'000));
  ASSERT_TRUE(AwaitSummary(cluster, [](const v1::SweepSummary& summary) {
    return summary.seed_steps_per_second() > 20;
  })) << cluster.worker("first").err();
  const std::vector<pid_t> trainers = TrainersOf(cluster.worker("first").pid());
  ASSERT_EQ(trainers.size(), 1u);
  const double before = cluster.Sweep("words").sweep().seed_steps_per_second();
  ::kill(trainers[0], SIGSTOP);
  ASSERT_TRUE(AwaitSummary(cluster, [](const v1::SweepSummary& s) { return s.silent_jobs() > 0; }));
  const v1::SweepSummary silent = cluster.Sweep("words").sweep();
  EXPECT_GE(silent.silent_seconds(), 10u);
  EXPECT_LT(silent.seed_steps_per_second(), before / 3);
  const std::string status = cluster.Cli({"status", "words"}).out;
  EXPECT_TRUE(absl::StrContains(status, "no report for 1")) << status;
  const std::string why = cluster.Cli({"why", "words/question/1/0"}).out;
  EXPECT_TRUE(absl::StrContains(why, "no report for 1")) << why;
  ASSERT_TRUE(cluster.WatchUntil("words", absl::Seconds(60), [](const auto& change) {
    return change.has_job() && change.job().failures() > 0;
  })) << cluster.worker("first").err();
  const v1::GetJobResponse job = cluster.Job(1);
  ASSERT_GE(job.attempts_size(), 1);
  EXPECT_EQ(job.attempts(0).outcome(), "failed");
  EXPECT_TRUE(absl::StrContains(job.attempts(0).message(), "did not report or get on for 20s"))
      << job.attempts(0).message();
  ASSERT_TRUE(cluster.AwaitEnd("words")) << cluster.worker("first").err();
  EXPECT_EQ(cluster.Job(1).job().state(), v1::SUCCEEDED);
  EXPECT_EQ(cluster.Job(1).job().attempts(), 2u);
}

TEST(MeasuredPackTest, AnUndisturbedJobHadOneAttempt) {
  Cluster cluster;
  cluster.StartCoordinator();
  // With this trainer, packs of two are best on any machine.
  const std::string trainer = cluster.Path("trainer");
  std::ofstream(trainer)
      << "#!/bin/sh\n"
         "if [ \"$1\" = measure ]; then\n"
         "  for width in 1 2; do\n"
         "    echo '{\"event\":\"width\",\"width\":'$width',\"steps_per_second\":1,"
         "\"seed_steps_per_second\":'$width',\"peak_bytes\":1}'\n"
         "  done\n"
         "  exit 0\n"
         "fi\n"
         "exec "
      << Binary("coppice-trainer") << " \"$@\"\n";
  ASSERT_EQ(::chmod(trainer.c_str(), 0755), 0);
  cluster.StartWorker("w", {.pack = 0, .threads = 2, .trainer = trainer});
  cluster.Submit(Sweep("0-1", ""));
  ASSERT_TRUE(cluster.AwaitEnd("words")) << cluster.worker("w").err();
  EXPECT_TRUE(absl::StrContains(cluster.worker("w").err(), "packs of 2 are best"))
      << cluster.worker("w").err();
  uint64_t attempts = 0;
  for (const v1::Job& job : cluster.Jobs("words")) {
    EXPECT_EQ(job.attempts(), 1u) << job.ShortDebugString();
    EXPECT_EQ(cluster.Job(job.id()).attempts_size(), 1);
    attempts += job.attempt();
    const std::string show = cluster.Cli({"show", absl::StrCat(job.id())}).out;
    EXPECT_TRUE(absl::StrContains(show, "1 attempt, ")) << show;
  }
  EXPECT_GT(attempts, 2u) << "none was given back to be measured: this test shows nothing";
}

}  // namespace
}  // namespace coppice::e2e
