#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/spec/spec.h"

namespace coppice::spec {
namespace {

v1::SweepSpec Parse(const std::string& text) {
  v1::SweepSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

constexpr char kGrid[] =
    "name: 'demo' tasks: ['question', 'tense', 'dyck'] depths: [2, 4] seeds: [0, 1] ";

// The documented defaults, as in docs/trainer-protocol.md.
constexpr char kQuestionDefaults[] = R"({
    "task": "question", "depth": 2,
    "model": {"d_model": 512, "heads": 8, "d_ff": 2048, "dropout": 0.1},
    "train": {"steps": 300000, "batch_size": 8, "learning_rate": 1e-4, "warmup_steps": 10000, "lr_decay_steps": 2000000,
              "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7, "weight_decay": 0, "clip_norm": 1, "precision": "tf32"},
    "data": {"seed": 0, "train": 100000, "val": 1000, "test": 10000, "gen": 10000, "directory": ""},
    "report": {"every": 3000, "decode_sentences": 2000, "dyck_prefixes": 5000, "probes": {"sentences": 10000, "every": 1}},
    "checkpoint": {"every": 15000, "keep": 2, "keep_every": 0}
  })";

TEST(ResolveRun, GivesThePaperToASpecThatSaysNothing) {
  const auto run = nlohmann::json::parse(RunConfigToJson(ResolveRun(Parse(kGrid), "question", 2)));
  EXPECT_EQ(run, nlohmann::json::parse(kQuestionDefaults));
}

TEST(ResolveRun, GivesDyckItsOwnSizes) {
  const v1::RunConfig run = ResolveRun(Parse(kGrid), "dyck", 4);
  EXPECT_EQ(run.train().steps(), 400'000);
  EXPECT_EQ(run.data().train(), 200'000);
  EXPECT_EQ(run.data().val(), 20'000);
  EXPECT_EQ(run.data().test(), 10'000);
  EXPECT_EQ(run.data().gen(), 20'000);
  EXPECT_EQ(run.depth(), 4);
}

TEST(ResolveRun, LetsTheSpecWinOverADefaultOfTheTask) {
  const v1::SweepSpec spec = Parse(std::string(kGrid) + "train { steps: 10 } data { gen: 7 }");
  EXPECT_EQ(ResolveRun(spec, "dyck", 2).train().steps(), 10);
  EXPECT_EQ(ResolveRun(spec, "dyck", 2).data().gen(), 7);
  EXPECT_EQ(ResolveRun(spec, "dyck", 2).data().val(), 20'000);
}

TEST(ResolveRun, AppliesOverridesInOrderToWhatTheyName) {
  const v1::SweepSpec spec =
      Parse(std::string(kGrid) +
            "train { steps: 10 } report { probes { sentences: 5 } } "
            "overrides { train { steps: 20 batch_size: 2 } report { probes { every: 3 } } } "
            "overrides { where { task: 'dyck' } train { steps: 30 } } "
            "overrides { where { task: ['dyck', 'tense'] depth: 4 } train { steps: 40 } }");
  EXPECT_EQ(ResolveRun(spec, "question", 4).train().steps(), 20);
  EXPECT_EQ(ResolveRun(spec, "dyck", 2).train().steps(), 30);
  EXPECT_EQ(ResolveRun(spec, "dyck", 4).train().steps(), 40);
  EXPECT_EQ(ResolveRun(spec, "tense", 4).train().steps(), 40);
  EXPECT_EQ(ResolveRun(spec, "tense", 2).train().batch_size(), 2);
  EXPECT_EQ(ResolveRun(spec, "tense", 2).report().probes().sentences(), 5);
  EXPECT_EQ(ResolveRun(spec, "tense", 2).report().probes().every(), 3);
}

TEST(ResolveRun, AStallLimitThatNobodySetIsNotWrittenOut) {
  // The text of a run must stay the same as in earlier versions.
  const v1::SweepSpec spec =
      Parse(std::string(kGrid) + "overrides { where { depth: 4 } report { stall_seconds: 90 } }");
  EXPECT_FALSE(ResolveRun(spec, "dyck", 2).report().has_stall_seconds());
  EXPECT_EQ(RunConfigToJson(ResolveRun(spec, "dyck", 2)).find("stall"), std::string::npos);
  EXPECT_EQ(ResolveRun(spec, "dyck", 4).report().stall_seconds(), 90);
  const std::string json = RunConfigToJson(ResolveRun(spec, "dyck", 4));
  EXPECT_EQ(RunConfigFromJson(json)->report().stall_seconds(), 90);
}

TEST(ResolveRun, KeepsAnExplicitZero) {
  const v1::SweepSpec spec =
      Parse(std::string(kGrid) +
            "model { dropout: 0 } train { warmup_steps: 0 } report { probes { sentences: 0 } }");
  const v1::RunConfig run = ResolveRun(spec, "question", 2);
  EXPECT_EQ(run.model().dropout(), 0);
  EXPECT_EQ(run.train().warmup_steps(), 0);
  const auto json = nlohmann::json::parse(RunConfigToJson(run));
  EXPECT_EQ(json["report"]["probes"]["sentences"], 0);
  EXPECT_EQ(json["model"]["dropout"], 0);
}

TEST(RunConfigJson, RoundTripsEveryBitOfItsNumbers) {
  v1::RunConfig run = ResolveRun(Parse(kGrid), "tense", 4);
  for (const double value :
       {1e-4, 1e-7, 0.1, 1.0 / 3, 6.02214076e23, 5e-324, 2.2250738585072014e-308}) {
    run.mutable_train()->set_learning_rate(value);
    run.mutable_train()->set_epsilon(value);
    const std::string json = RunConfigToJson(run);
    const auto back = RunConfigFromJson(json);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->train().learning_rate(), value) << json;
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(run, *back)) << json;
    // The trainer reads with another library.
    EXPECT_EQ(nlohmann::json::parse(json)["train"]["learning_rate"].get<double>(), value) << json;
    EXPECT_EQ(RunConfigToJson(*back), json);
  }
}

TEST(RunConfigJson, FillsSettingsThatOlderTextLacks) {
  const auto run = RunConfigFromJson(R"({"task": "dyck", "depth": 3, "train": {"batch_size": 4}})");
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->train().steps(), 400'000);
  EXPECT_EQ(run->train().batch_size(), 4);
}

TEST(RunConfigJson, RefusesWhatIsNotARun) {
  for (const char* json :
       {"", "{", "[]", "{}", R"({"task": "dyck"})", R"({"task": "dyck", "depth": 0})",
        R"({"task": "dyck", "depth": 2, "modle": {}})", R"({"task": "dyck", "depth": -1})",
        R"({"task": "dyck", "depth": 2, "train": {"steps": "many"}})"}) {
    EXPECT_EQ(RunConfigFromJson(json).status().code(), absl::StatusCode::kInvalidArgument) << json;
  }
}

TEST(WorkPerStep, GrowsWithDepthWidthAndBatch) {
  v1::RunConfig run = ResolveRun(Parse(kGrid), "question", 2);
  const double base = WorkPerStep(run);
  run.set_depth(4);
  EXPECT_GT(WorkPerStep(run), 1.9 * base);
  run.set_depth(2);
  run.mutable_train()->set_batch_size(16);
  EXPECT_EQ(WorkPerStep(run), 2 * base);
  run.mutable_train()->set_batch_size(8);
  run.mutable_model()->set_d_model(1024);
  EXPECT_GT(WorkPerStep(run), 1.9 * base);
  EXPECT_GT(WorkPerStep(ResolveRun(Parse(kGrid), "dyck", 2)), base) << "dyck strings are longer";
}

TEST(SameSweep, IgnoresOrderAndWrittenOutDefaults) {
  const v1::SweepSpec a = Parse(std::string(kGrid) + "train { steps: 10 }");
  const v1::SweepSpec b = Parse(
      "name: 'demo' tasks: ['dyck', 'tense', 'question'] depths: [4, 2] seeds: [1, 0] priority: 0 "
      "max_failures: 3 model { heads: 8 } overrides { train { steps: 10 } }");
  EXPECT_TRUE(SameSweep(a, b));
}

TEST(SameSweep, SeesEveryDifference) {
  const v1::SweepSpec a = Parse(kGrid);
  for (const char* more :
       {"name: 'other'", "seeds: 2", "depths: 6", "priority: 1", "max_failures: 4",
        "train { steps: 5 }", "overrides { where { task: 'dyck' depth: 4 } data { seed: 1 } }"}) {
    v1::SweepSpec b = a;
    ASSERT_TRUE(google::protobuf::TextFormat::MergeFromString(more, &b));
    EXPECT_FALSE(SameSweep(a, b)) << more;
  }
}

}  // namespace
}  // namespace coppice::spec
