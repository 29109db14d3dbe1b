// Every command of the CLI against a real coordinator, worker and trainer.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/cluster.h"

namespace coppice::e2e {
namespace {

using testing::RunProcess;
using testing::RunResult;

constexpr char kSweep[] = R"(name: words
tasks: question
depths: [1, 2]
seeds: 0-1
model: {d_model: 32, heads: 2, d_ff: 64}
train: {steps: 400, learning_rate: 1e-3, warmup_steps: 50}
data: {train: 2000, val: 100, test: 10, gen: 100}
report: {every: 100, probes: {sentences: 20}}
checkpoint: {every: 200, keep_every: 300}
)";

// One finished sweep for all tests that only read. Its trainer logs that its keep_every keeps
// nothing.
class CliTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new Cluster;
    cluster_->StartCoordinator();
    cluster_->StartWorker("node", {.slots = 1, .pack = 2});
    cluster_->Submit(kSweep);
    ASSERT_TRUE(cluster_->AwaitEnd("words")) << cluster_->worker("node").err();
  }
  static void TearDownTestSuite() { delete cluster_; }

  // Runs a command, which must succeed, and returns its stdout.
  static std::string Ok(const std::vector<std::string>& args) {
    const RunResult result = cluster_->Cli(args);
    EXPECT_EQ(result.code, 0) << absl::StrCat(args[0], ": ", result.err);
    return result.out;
  }
  static nlohmann::json Json(const std::vector<std::string>& args) {
    const std::string text = Ok(args);
    const nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
    EXPECT_FALSE(value.is_discarded()) << text;
    return value;
  }

  static Cluster* cluster_;
};

Cluster* CliTest::cluster_ = nullptr;

TEST_F(CliTest, StatusShowsTheGridAndItsTotals) {
  const std::string text = Ok({"status", "words"});
  EXPECT_TRUE(absl::StrContains(text, "question")) << text;
  EXPECT_TRUE(absl::StrContains(text, "4 succeeded")) << text;
  EXPECT_TRUE(absl::StrContains(Json({"status", "words", "--json"}).dump(), "succeeded"));
}

TEST_F(CliTest, WatchOfAFinishedSweepEnds) {
  const RunResult result = cluster_->Cli({"status", "words", "--watch"}, absl::Seconds(20));
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST_F(CliTest, QueriesAnswerInWordsAndInJson) {
  const std::vector<std::vector<std::string>> queries = {{"list"},
                                                         {"jobs", "words"},
                                                         {"show", "words/question/2/1"},
                                                         {"why", "words/question/2/1"},
                                                         {"workers"},
                                                         {"status", "words"}};
  for (std::vector<std::string> query : queries) {
    EXPECT_FALSE(Ok(query).empty()) << query[0];
    query.push_back("--json");
    EXPECT_FALSE(Json(query).empty()) << query[0];
  }
}

TEST_F(CliTest, JobsCanBeFiltered) {
  const std::string text = Ok({"jobs", "words", "--depth", "2", "--seed", "1"});
  EXPECT_TRUE(absl::StrContains(text, "SUCCEEDED")) << text;
  size_t rows = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n'))
    rows += absl::StrContains(line, "SUCCEEDED");
  EXPECT_EQ(rows, 1u) << text;
}

TEST_F(CliTest, ShowNamesAttemptsEventsAndTheCheckpoint) {
  const std::string text = Ok({"show", "words/question/1/0"});
  for (const char* part : {"node", "succeeded", "400", "val_loss", "safetensors"}) {
    EXPECT_TRUE(absl::StrContains(text, part)) << part << " is missing in\n" << text;
  }
}

TEST_F(CliTest, MetricsComeAsTableCsvAndJsonLines) {
  EXPECT_TRUE(absl::StrContains(Ok({"metrics", "words"}), "gen_accuracy"));
  const std::string csv = Ok({"metrics", "words", "--csv"});
  const std::vector<std::string> lines = absl::StrSplit(csv, '\n', absl::SkipEmpty());
  EXPECT_EQ(lines.size(), 1 + 4 * 4u) << csv;
  for (const char* name :
       {"train_loss", "val_loss", "id_accuracy", "gen_accuracy", "grad_norm", "learning_rate",
        "weight_norm", "weight_norm_per_layer", "attention_sparsity", "t_score", "t_parseval",
        "right_branching_f1", "sequences_per_second"}) {
    EXPECT_TRUE(absl::StrContains(lines[0], name)) << lines[0];
  }
  for (const absl::string_view line :
       absl::StrSplit(Ok({"metrics", "words", "--jsonl"}), '\n', absl::SkipEmpty())) {
    EXPECT_FALSE(nlohmann::json::parse(std::string(line), nullptr, false).is_discarded()) << line;
  }
}

TEST_F(CliTest, ACheckpointThatWasFetchedIsTheOneThatWasCommitted) {
  const std::string file = cluster_->Path("fetched.safetensors");
  Ok({"checkpoint", "fetch", "words/question/2/1", "-o", file});
  const nlohmann::json listed =
      Json({"checkpoint", "list", "words/question/2/1", "--json"})["checkpoints"];
  ASSERT_EQ(listed.size(), 2u) << listed;
  EXPECT_EQ(listed[0]["step"], 400);
  EXPECT_EQ(listed[0]["current"], true);
  const nlohmann::json checked = Json({"checkpoint", "verify", file, "--json"})["files"][0];
  EXPECT_EQ(checked["digest"], listed[0]["digest"]);
  EXPECT_EQ(checked["task"], "question");
  EXPECT_EQ(checked["depth"], 2);
  EXPECT_EQ(checked["seed"], "1");
  EXPECT_EQ(checked["step"], "400");
  Ok({"checkpoint", "fetch", "words/question/2/1", "--step", "200", "-o", file, "--force"});
  EXPECT_EQ(Json({"checkpoint", "verify", file, "--json"})["files"][0]["digest"],
            listed[1]["digest"]);
}

TEST_F(CliTest, AnExportForTensorBoardHasARunAJob) {
  const std::string text =
      Ok({"export", "words", "--format", "tensorboard", "-o", cluster_->Path("board")});
  EXPECT_TRUE(absl::StrContains(text, "4 runs")) << text;
}

TEST_F(CliTest, LogsShowTheTrainersWords) {
  EXPECT_FALSE(Ok({"logs", "words/question/1/0"}).empty());
}

TEST_F(CliTest, DryRunPlansAndStoresNothing) {
  const std::string file = cluster_->Path("plan.yaml");
  std::string text = kSweep;
  text.replace(text.find("words"), 5, "paper");
  std::ofstream(file) << text;
  const std::string plan = Ok({"submit", file, "--dry-run"});
  EXPECT_TRUE(absl::StrContains(plan, "4 jobs")) << plan;
  EXPECT_TRUE(absl::StrContains(plan, "warmup_steps")) << plan;
  EXPECT_EQ(cluster_->Cli({"status", "paper"}).code, 1);
}

TEST_F(CliTest, ADuplicateNameWithAnotherSpecIsRefused) {
  const std::string file = cluster_->Path("again.yaml");
  std::string text = kSweep;
  text.replace(text.find("steps: 400"), 10, "steps: 500");
  std::ofstream(file) << text;
  const RunResult result = cluster_->Cli({"submit", file});
  EXPECT_EQ(result.code, 2) << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "words")) << result.err;
}

TEST_F(CliTest, UnknownThingsAreNamed) {
  EXPECT_TRUE(absl::StrContains(cluster_->Cli({"status", "nothing"}).err, "nothing"));
  EXPECT_NE(cluster_->Cli({"show", "words/question/7/0"}).code, 0);
  EXPECT_EQ(cluster_->Cli({"frobnicate"}).code, 2);
}

TEST_F(CliTest, CompletionNamesCommandsAndSweeps) {
  EXPECT_TRUE(absl::StrContains(Ok({"completion", "bash"}), "complete -F _coppice coppice"));
  EXPECT_EQ(Ok({"__complete", "--", "stat"}), "status\n:\n");
  EXPECT_EQ(Ok({"__complete", "--", "status", ""}), "words\n:goes-on\n");
}

// Commands that change things have a deployment of their own.
TEST(CliControlTest, PauseResumeDrainCancelAndRetry) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker("node", {.slots = 1});
  std::string text = kSweep;
  text.replace(text.find("steps: 400"), 10, "steps: 3000");
  cluster.Submit(text);
  ASSERT_TRUE(cluster.AwaitStep("words", 100)) << cluster.worker("node").err();

  const auto state_is = [&](const std::function<bool(const v1::JobCounts&)>& holds) {
    return cluster.WatchUntil("words", absl::Seconds(40),
                              [&](const v1::WatchSweepResponse& change) {
                                return change.has_summary() && holds(change.summary().counts());
                              });
  };
  const auto none_running = [](const v1::JobCounts& counts) { return counts.running() == 0; };
  const auto some_running = [](const v1::JobCounts& counts) { return counts.running() > 0; };

  EXPECT_EQ(cluster.Cli({"pause", "words"}).code, 0);
  EXPECT_TRUE(state_is(none_running)) << "a paused sweep gives its slots back";
  EXPECT_TRUE(absl::StrContains(cluster.Cli({"why", "words/question/1/0"}).out, "paused"));
  EXPECT_EQ(cluster.Cli({"resume", "words"}).code, 0);
  EXPECT_TRUE(state_is(some_running));

  EXPECT_EQ(cluster.Cli({"drain", "node", "--preempt"}).code, 0);
  EXPECT_TRUE(state_is(none_running)) << "a drained worker gives its slots back";
  EXPECT_TRUE(absl::StrContains(cluster.Cli({"workers"}).out, "drain"));
  EXPECT_EQ(cluster.Cli({"drain", "node", "--undo"}).code, 0);
  EXPECT_TRUE(state_is(some_running));

  EXPECT_EQ(cluster.Cli({"cancel", "words", "--depth", "2"}).code, 0);
  EXPECT_TRUE(state_is([](const v1::JobCounts& counts) { return counts.cancelled() == 2; }));
  EXPECT_EQ(cluster.Cli({"retry", "words", "--depth", "2"}).code, 0);
  EXPECT_TRUE(state_is([](const v1::JobCounts& counts) { return counts.cancelled() == 0; }));
  ASSERT_TRUE(cluster.AwaitEnd("words"));
  for (const v1::Job& job : cluster.Jobs("words")) {
    EXPECT_EQ(job.state(), v1::SUCCEEDED) << job.ShortDebugString();
    EXPECT_EQ(job.failures(), 0u) << job.ShortDebugString();
  }
}

TEST(CliWithoutCoordinatorTest, SaysWhichAddressAndWhatToDo) {
  const RunResult result =
      RunProcess({Binary("coppice"), "--insecure", "--coordinator", "127.0.0.1:1", "list"});
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(absl::StrContains(result.err, "127.0.0.1:1")) << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "coppice-coordinator")) << result.err;
  EXPECT_EQ(RunProcess({Binary("coppice"), "--insecure", "--coordinator", "nonsense", "list"}).code,
            2);
}

}  // namespace
}  // namespace coppice::e2e
