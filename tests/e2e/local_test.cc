// `coppice local`: one command, with nothing running before and nothing configured.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/e2e/cluster.h"

namespace coppice::e2e {
namespace {

using testing::RunProcess;
using testing::RunResult;
using testing::Subprocess;
using testing::TempDir;

constexpr char kSweep[] = R"(name: small
tasks: [question, dyck]
depths: [1]
seeds: 0-1
model: {d_model: 32, heads: 2, d_ff: 64}
train: {steps: 1200, batch_size: 8, learning_rate: 1e-3, warmup_steps: 100}
data: {train: 2000, val: 100, test: 10, gen: 100}
report: {every: 200, probes: {sentences: 20}}
checkpoint: {every: 400}
)";

// The rows of metrics.csv without the columns that measure time.
std::vector<std::vector<std::string>> StableColumns(const std::string& csv) {
  std::vector<std::vector<std::string>> rows;
  std::vector<size_t> kept;
  for (const absl::string_view line : absl::StrSplit(csv, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> cells = absl::StrSplit(line, ',');
    for (size_t c = 0; rows.empty() && c < cells.size(); ++c) {
      if (cells[c] != "sequences_per_second" && cells[c] != "probe_seconds") kept.push_back(c);
    }
    rows.emplace_back();
    for (const size_t c : kept) rows.back().push_back(c < cells.size() ? cells[c] : "");
  }
  return rows;
}

class LocalTest : public ::testing::Test {
 protected:
  std::vector<std::string> Command(const std::string& run) {
    const std::string spec = dir_.Join("small.yaml");
    std::ofstream(spec) << kSweep;
    return {Binary("coppice"), "local", spec, "--dir", dir_.Join(run)};
  }
  TempDir dir_;
};

TEST_F(LocalTest, RunsToTheEndAndASecondCallFindsItFinished) {
  const RunResult first = RunProcess(Command("run"), {}, absl::Seconds(180));
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_TRUE(absl::StrContains(first.out, "4 succeeded")) << first.out;
  const std::string csv = testing::ReadAll(dir_.Join("run/metrics.csv"));
  EXPECT_EQ(StableColumns(csv).size(), 1 + 4 * 6u) << csv;
  const RunResult second = RunProcess(Command("run"), {}, absl::Seconds(60));
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(testing::ReadAll(dir_.Join("run/metrics.csv")), csv);
}

TEST_F(LocalTest, APackWidthThatIsMeasuredChangesNoResult) {
  const auto run = [&](const std::string& name, const std::vector<std::string>& flags) {
    std::vector<std::string> command = Command(name);
    command.insert(command.end(), flags.begin(), flags.end());
    command.push_back("--no-report");
    const RunResult result = RunProcess(command, {}, absl::Seconds(180));
    EXPECT_EQ(result.code, 0) << result.err;
    return StableColumns(testing::ReadAll(dir_.Join(name + "/metrics.csv")));
  };
  const auto measured = run("measured", {"--threads", "2", "--slots", "1"});
  const std::string log = testing::ReadAll(dir_.Join("measured/logs/worker-1.log"));
  EXPECT_TRUE(absl::StrContains(log, "are best (1: ")) << log;
  EXPECT_FALSE(absl::StrContains(log, "Z warning")) << log;
  EXPECT_EQ(measured, run("alone", {"--pack", "1"}));
}

TEST_F(LocalTest, TheReportIsWrittenAndNeverFailsASweep) {
  const RunResult first = RunProcess(Command("run"), {}, absl::Seconds(180));
  ASSERT_EQ(first.code, 0) << first.err;
  const std::string page = dir_.Join("run/report/index.html");
  EXPECT_TRUE(absl::StrContains(first.out, page)) << first.out;
  EXPECT_TRUE(absl::StrContains(testing::ReadAll(page), "Complete: every job succeeded."));
  std::filesystem::remove_all(dir_.Join("run/report"));
  std::vector<std::string> unwanted = Command("run");
  unwanted.push_back("--no-report");
  EXPECT_EQ(RunProcess(unwanted, {}, absl::Seconds(60)).code, 0);
  EXPECT_FALSE(std::filesystem::exists(page));
  const RunResult without = RunProcess(Command("run"), {{"PATH", "/nowhere"}}, absl::Seconds(60));
  EXPECT_EQ(without.code, 0) << without.err;
  EXPECT_TRUE(absl::StrContains(without.err, "apt install gnuplot-nox")) << without.err;
  EXPECT_FALSE(std::filesystem::exists(page));
}

TEST_F(LocalTest, CtrlCStopsCleanlyAndTheSameCommandContinues) {
  ASSERT_EQ(RunProcess(Command("calm"), {}, absl::Seconds(180)).code, 0);
  {
    // A folder must exist to be watched.
    std::filesystem::create_directory(dir_.Join("stopped"));
    Subprocess interrupted(Command("stopped"));
    ASSERT_TRUE(AwaitFile(dir_.Join("stopped/coordinator.port"), absl::Seconds(30)))
        << interrupted.err();
    const std::string address = testing::ReadAll(dir_.Join("stopped/coordinator.port"));
    Cluster running(std::string(absl::StripAsciiWhitespace(address)),
                    dir_.Join("stopped/access.json"));
    // The port exists before the sweep. The sweep's first trainer creates this folder.
    ASSERT_TRUE(AwaitFile(dir_.Join("stopped/checkpoints/small"), absl::Seconds(30)))
        << interrupted.err();
    ASSERT_TRUE(running.AwaitStep("small", 200)) << interrupted.err();
    interrupted.Signal(SIGINT);
    interrupted.Signal(SIGTERM);  // the same request, as `timeout` and Slurm deliver it
    const auto status = interrupted.Wait(absl::Seconds(40));
    ASSERT_TRUE(status.has_value()) << "Ctrl-C must end it";
    EXPECT_EQ(status->code, 75) << interrupted.out() << interrupted.err();
  }
  const RunResult continued = RunProcess(Command("stopped"), {}, absl::Seconds(180));
  ASSERT_EQ(continued.code, 0) << continued.err;
  EXPECT_EQ(StableColumns(testing::ReadAll(dir_.Join("stopped/metrics.csv"))),
            StableColumns(testing::ReadAll(dir_.Join("calm/metrics.csv"))));
}

TEST_F(LocalTest, AnotherSpecUnderTheSameNameIsRefused) {
  ASSERT_EQ(RunProcess(Command("run"), {}, absl::Seconds(180)).code, 0);
  const std::string other = dir_.Join("other.yaml");
  std::ofstream(other) << absl::StrReplaceAll(kSweep, {{"batch_size: 8", "batch_size: 16"}});
  const RunResult result =
      RunProcess({Binary("coppice"), "local", other, "--dir", dir_.Join("run")});
  EXPECT_EQ(result.code, 2) << result.out;
  for (const char* part : {"small", "train.batch_size", "8", "16", "--dir", "--set name="})
    EXPECT_TRUE(absl::StrContains(result.err, part)) << part << "\n" << result.err;
}

TEST_F(LocalTest, AChangedFileExtendsTheSweepThatIsThere) {
  const std::string spec = dir_.Join("grows.yaml");
  const auto run = [&](const std::string& folder, const char* seeds, const char* steps) {
    std::ofstream(spec) << absl::StrReplaceAll(
        kSweep, {{"[question, dyck]", "question"}, {"0-1", seeds}, {"1200", steps}});
    const RunResult result =
        RunProcess({Binary("coppice"), "local", spec, "--dir", dir_.Join(folder), "--no-report"},
                   {}, absl::Seconds(180));
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  };
  run("grown", "0", "400");
  const std::string out = run("grown", "0-1", "700");
  for (const char* part : {"new seed: 1", "1 new job in all", "1 job that has succeeded goes on"})
    EXPECT_TRUE(absl::StrContains(out, part)) << part << "\n" << out;
  run("whole", "0-1", "700");
  const auto whole = StableColumns(testing::ReadAll(dir_.Join("whole/metrics.csv")));
  EXPECT_EQ(whole.size(), 1 + 2 * 4u);
  EXPECT_EQ(StableColumns(testing::ReadAll(dir_.Join("grown/metrics.csv"))), whole);
}

TEST_F(LocalTest, AJobThatDivergesFailsWithItsReasonAndTheOthersFinish) {
  const std::string spec = dir_.Join("nan.yaml");
  std::string text = kSweep;
  // Only dyck diverges: its weight decay overflows the weights within a few steps.
  text += "overrides:\n  - where: {task: dyck}\n    train: {weight_decay: 9e29}\n";
  std::ofstream(spec) << text;
  const RunResult result = RunProcess({Binary("coppice"), "local", spec, "--dir", dir_.Join("nan")},
                                      {}, absl::Seconds(180));
  EXPECT_EQ(result.code, 1) << result.out;
  EXPECT_TRUE(absl::StrContains(result.out + result.err, "nan")) << result.out << result.err;
  const std::string csv = testing::ReadAll(dir_.Join("nan/metrics.csv"));
  EXPECT_TRUE(absl::StrContains(csv, "question,1,0,1200")) << csv;
  EXPECT_TRUE(absl::StrContains(csv, "question,1,1,1200")) << csv;
}

TEST_F(LocalTest, BadSpecsAreRefusedWithFileLineAndRemedyAndStoreNothing) {
  const struct {
    const char* from;
    const char* to;
    const char* line;
    const char* says;
  } kCases[] = {
      {"seeds: 0-1", "seeds: []", ":4", "seeds"},
      {"depths: [1]", "depths: [0]", ":3", "depth"},
      {"heads: 2", "heads: 5", ":5", "heads"},
      {"warmup_steps", "warmup_step", ":6", "warmup_steps"},
      {"steps: 1200", "steps: many", ":6", "steps"},
      {"seeds: 0-1", "seeds: 0-5000000", ":4", "5000000"},
  };
  for (const auto& bad : kCases) {
    const std::string spec = dir_.Join("bad.yaml");
    std::string text = kSweep;
    text.replace(text.find(bad.from), std::string(bad.from).size(), bad.to);
    std::ofstream(spec) << text;
    const RunResult result =
        RunProcess({Binary("coppice"), "local", spec, "--dir", dir_.Join("bad")});
    EXPECT_EQ(result.code, 2) << bad.to << ": " << result.err;
    EXPECT_TRUE(absl::StrContains(result.err, absl::StrCat(spec, bad.line))) << result.err;
    EXPECT_TRUE(absl::StrContains(absl::StrReplaceAll(result.err, {{",", ""}}), bad.says))
        << result.err;
    EXPECT_FALSE(std::filesystem::exists(dir_.Join("bad/coordinator")))
        << "nothing may be stored for " << bad.to;
  }
}

}  // namespace
}  // namespace coppice::e2e
