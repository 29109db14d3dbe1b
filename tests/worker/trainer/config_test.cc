#include "worker/trainer/config/config.h"

#include <limits>
#include <set>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/settings/table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/config/run_fields.h"
#include "worker/trainer/config/settings_json.h"
#include "worker/trainer/config/strict_json.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json Minimal() {
  return json::parse(
      R"({"run": {"task": "question", "depth": 2}, "members": [{"seed": 3, "checkpoint_dir": "/d"}]})");
}

// Sets the value at `pointer` of the smallest valid spec and returns the reader's error.
std::string ErrorAt(const std::string& pointer, const json& value) {
  json document = Minimal();
  document[json::json_pointer(pointer)] = value;
  const absl::StatusOr<PackSpec> spec = ParsePackSpec(document);
  if (spec.ok()) return "accepted";
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(spec.status().message());
}

TEST(ConfigTest, MissingKeysHaveThePapersValues) {
  const absl::StatusOr<PackSpec> spec = ParsePackSpec(Minimal());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->run.model, (ModelConfig{512, 8, 2048, 0.1}));
  EXPECT_EQ(spec->run.train.steps, 300000);
  EXPECT_EQ(spec->run.train.lr_decay_steps, 2000000);
  EXPECT_EQ(spec->run.data.train, 100000);
  EXPECT_EQ(spec->run.report.every, 3000);
  EXPECT_EQ(spec->run.checkpoint.every, 15000);
  EXPECT_EQ(spec->members.at(0).seed, 3u);
  EXPECT_EQ(spec->threads, 1);
  EXPECT_TRUE(spec->prune);
}

TEST(ConfigTest, ARunThatSaysNothingIsThatOfTheTablesDefaults) {
  settings::Values run = settings::RunSettings().Defaults("question");
  run.Set("task", "question");
  run.Set("depth", int64_t{0});
  EXPECT_EQ(ToJson(RunConfig{}), ToJson(run));
}

// A new field does not compile here until it is named, and then fails until run_fields.cc binds it.
TEST(ConfigTest, EveryFieldOfARunIsBoundToASetting) {
  RunConfig run;
  std::set<const void*> fields;
  const auto add = [&fields](auto&... field) { (fields.insert(&field), ...); };
  auto& [task, depth, model, train, data, report, checkpoint] = run;
  add(task, depth);
  {
    auto& [d_model, heads, d_ff, dropout] = model;
    add(d_model, heads, d_ff, dropout);
  }
  {
    auto& [steps, batch, rate, warmup, decay, beta1, beta2, epsilon, weight_decay, clip,
           precision] = train;
    add(steps, batch, rate, warmup, decay, beta1, beta2, epsilon, weight_decay, clip, precision);
  }
  {
    auto& [seed, train_size, val, test, gen, directory, files] = data;
    auto& [train_file, val_file, test_file, gen_file] = files;
    add(seed, train_size, val, test, gen, directory, train_file, val_file, test_file, gen_file);
  }
  {
    auto& [every, decode, prefixes, probe_sentences, probe_every] = report;
    add(every, decode, prefixes, probe_sentences, probe_every);
  }
  {
    auto& [every, keep, keep_every] = checkpoint;
    add(every, keep, keep_every);
  }
  std::set<const void*> bound;
  for (const RunField& field : RunFields()) {
    const void* to = std::visit([](auto* at) -> const void* { return at; }, field.of(run));
    EXPECT_TRUE(bound.insert(to).second) << field.path << " has another setting's field";
  }
  EXPECT_EQ(bound, fields);
}

TEST(ConfigTest, TheDropoutCounterHasRoomForTheLargestBatch) {
  const auto most = [](const char* path) {
    return std::get<settings::IntegerRange>(settings::RunSettings().Find(path)->range).high;
  };
  EXPECT_LE(most("train.batch_size") * most("model.heads") * kMaxSequenceLength, int64_t{1} << 32);
  EXPECT_LE(most("train.steps"), std::numeric_limits<int32_t>::max());
  EXPECT_EQ(most("data.train"), kLargestSplit);
}

TEST(ConfigTest, DyckHasItsOwnDefaultsAndTheyCanBeOverridden) {
  json document = Minimal();
  document["run"]["task"] = "dyck";
  document["run"]["data"]["val"] = 7;
  const absl::StatusOr<PackSpec> spec = ParsePackSpec(document);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->run.train.steps, 400000);
  EXPECT_EQ(spec->run.data.train, 200000);
  EXPECT_EQ(spec->run.data.gen, 20000);
  EXPECT_EQ(spec->run.data.val, 7);
}

TEST(ConfigTest, AnUnknownKeyIsNamedWithTheNearestKnownOne) {
  EXPECT_EQ(ErrorAt("/run/model/d_modell", 64),
            "run.model.d_modell is not a known key; did you mean \"d_model\"?");
  EXPECT_THAT(ErrorAt("/run/train/warmup", 64), HasSubstr("did you mean \"warmup_steps\""));
  EXPECT_THAT(ErrorAt("/zzz", 1), HasSubstr("zzz is not a known key"));
  EXPECT_THAT(ErrorAt("/members/0/sed", 1), HasSubstr("members[0].sed is not a known key"));
  EXPECT_THAT(ErrorAt("/run/report/probes/x", 1), HasSubstr("run.report.probes.x"));
}

TEST(ConfigTest, TheWorkersStallLimitIsReadAndIsNoSettingOfTheRun) {
  json document = Minimal();
  const absl::StatusOr<PackSpec> without = ParsePackSpec(document);
  document["run"]["report"]["stall_seconds"] = 30;
  const absl::StatusOr<PackSpec> with = ParsePackSpec(document);
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_EQ(ToJson(with->run), ToJson(without->run));
  EXPECT_EQ(DescribeDifference(with->run, without->run), "");
  EXPECT_THAT(ErrorAt("/run/report/stall_seconds", 0), HasSubstr("run.report.stall_seconds"));
}

TEST(ConfigTest, AWrongTypeOrRangeIsNamed) {
  EXPECT_EQ(ErrorAt("/run/depth", "two"), "run.depth is \"two\"; use a whole number from 1 to 256");
  EXPECT_EQ(ErrorAt("/run/depth", 0), "run.depth is 0; use a whole number from 1 to 256");
  EXPECT_EQ(ErrorAt("/run/depth", 1.5), "run.depth is 1.5; use a whole number from 1 to 256");
  EXPECT_THAT(ErrorAt("/run/model", 5), HasSubstr("run.model must be an object"));
  EXPECT_EQ(ErrorAt("/run/model/heads", 7),
            "run.model.heads does not fit: 7 heads do not divide a d_model of 512; use heads that "
            "divide it, or another d_model");
  EXPECT_THAT(ErrorAt("/run/model/d_model", 7), HasSubstr("run.model.d_model is 7; use an even"));
  EXPECT_EQ(ErrorAt("/run/model/d_model", 12),
            "run.model.d_model does not fit: 8 heads do not divide a d_model of 12; use heads that "
            "divide it, or another d_model");
  EXPECT_EQ(ErrorAt("/run/model/dropout", 1),
            "run.model.dropout is 1; use a number from 0 to 0.99");
  EXPECT_EQ(ErrorAt("/run/model/dropout", "0.1"),
            "run.model.dropout is \"0.1\"; use a number from 0 to 0.99");
  EXPECT_THAT(ErrorAt("/run/train/lr_decay_steps", 10000),
              HasSubstr("run.train.lr_decay_steps makes the learning rate reach 0 at step 10000, "
                        "before the warm-up of 10000 steps ends; use"));
  EXPECT_EQ(ErrorAt("/run/train/precision", "int8"),
            "run.train.precision is 'int8'; use float32 or tf32");
  EXPECT_THAT(ErrorAt("/run/train/precision", "bfloat16"), HasSubstr("no device trains yet"));
  EXPECT_THAT(ErrorAt("/run/train/batch_size", 4097), HasSubstr("run.train.batch_size is 4097"));
  EXPECT_THAT(ErrorAt("/run/data/train", 7),
              HasSubstr("run.data.train makes a batch of 8 out of 7 training sentences; use"));
  EXPECT_THAT(ErrorAt("/run/data/seed", -1),
              HasSubstr("run.data.seed is -1; use a whole number from 0 to"));
  EXPECT_THAT(ErrorAt("/run/data/seed", 18446744073709551615u), HasSubstr("run.data.seed is 1844"));
  EXPECT_EQ(ErrorAt("/run/task", "questoin"),
            "run.task is 'questoin'; use question, tense or dyck; did you mean 'question'?");
  EXPECT_THAT(ErrorAt("/run/task", std::string(100'000, 'x')).size(), testing::Lt(200u))
      << "the message is bounded";
  EXPECT_THAT(ErrorAt("/device", "tpu"), HasSubstr("device must be auto, cpu or cuda"));
  for (const char* device : {"cuda:", "cuda:one", "cuda:-1", "CUDA"})
    EXPECT_THAT(ErrorAt("/device", device), HasSubstr("device must be auto, cpu or cuda"));
  EXPECT_THAT(ErrorAt("/threads", 0), HasSubstr("threads must be from 1"));
  EXPECT_THAT(ErrorAt("/prune", "yes"), HasSubstr("prune must be true or false"));
  EXPECT_THAT(ErrorAt("/members", json::array()), HasSubstr("members must not be empty"));
  EXPECT_THAT(ErrorAt("/members/1", Minimal()["members"][0]),
              HasSubstr("members[1].seed is given twice"));
  EXPECT_THAT(ErrorAt("/members/0/checkpoint_dir", ""),
              HasSubstr("checkpoint_dir must not be empty"));
}

TEST(ConfigTest, RequiredKeysAreRequired) {
  for (const char* text :
       {R"({"members": [{"seed": 0, "checkpoint_dir": "d"}]})",
        R"({"run": {"depth": 2}, "members": [{"seed": 0, "checkpoint_dir": "d"}]})",
        R"({"run": {"task": "dyck"}, "members": [{"seed": 0, "checkpoint_dir": "d"}]})",
        R"({"run": {"task": "dyck", "depth": 2}})",
        R"({"run": {"task": "dyck", "depth": 2}, "members": [{"seed": 0}]})"}) {
    const absl::StatusOr<PackSpec> spec = ParsePackSpecText(text);
    ASSERT_FALSE(spec.ok()) << text;
    EXPECT_THAT(std::string(spec.status().message()), HasSubstr("is missing")) << text;
  }
}

TEST(ConfigTest, WhatIsNotJsonOrSaysAKeyTwiceIsRefused) {
  EXPECT_THAT(std::string(ParsePackSpecText("{\"run\": ").status().message()),
              HasSubstr("not valid JSON"));
  EXPECT_THAT(std::string(ParsePackSpecText(R"({"threads": 1, "threads": 2})").status().message()),
              HasSubstr("key \"threads\" is given twice"));
  EXPECT_FALSE(ParsePackSpecText("[]").ok());
  EXPECT_FALSE(ParsePackSpecText("").ok());
}

TEST(ConfigTest, ARunSurvivesItsJsonForm) {
  json document = Minimal();
  document["run"]["train"] = {{"steps", 3e5}, {"learning_rate", 0.1}};
  document["run"]["report"] = {{"every", 7}, {"probes", {{"sentences", 11}, {"every", 3}}}};
  const RunConfig run = ParsePackSpec(document)->run;
  const absl::StatusOr<RunConfig> again = ParseRunConfigText(ToJson(run).dump());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ToJson(*again), ToJson(run));
}

TEST(ConfigTest, ADifferenceIsNamedAndStepsMayGrow) {
  const RunConfig run = ParsePackSpec(Minimal())->run;
  RunConfig other = run;
  other.train.steps *= 2;
  other.checkpoint.every = 1;
  EXPECT_EQ(DescribeDifference(run, other), "");
  other.model.d_model = 64;
  EXPECT_EQ(DescribeDifference(run, other),
            "run.model.d_model is 512 here and 64 in the checkpoint");
}

TEST(ConfigTest, FilesOfOtherNamesAreReadAndAreAnotherRun) {
  json document = Minimal();
  document["run"]["data"] = {{"directory", "/d"}, {"files", {{"gen", "question.test"}}}};
  const RunConfig run = ParsePackSpec(document)->run;
  EXPECT_EQ(DatasetOptionsOf(run).files.gen, "question.test");
  EXPECT_EQ(DescribeDifference(run, *ParseRunConfigText(ToJson(run).dump())), "");
  RunConfig without = run;
  without.data.files = {};
  EXPECT_FALSE(ToJson(without)["data"].contains("files")) << "old checkpoints have no such key";
  EXPECT_THAT(DescribeDifference(run, without), HasSubstr("run.data.files.gen"));
  EXPECT_THAT(DescribeDifference(without, run), HasSubstr("run.data.files.gen"));
  EXPECT_THAT(ErrorAt("/run/data/files", json{{"dev", "x"}}),
              HasSubstr("run.data.files.dev is not a known key"));
}

TEST(ConfigTest, SeedsAreRangesAndLists) {
  EXPECT_EQ(*ParseSeeds("0-3"), (std::vector<uint64_t>{0, 1, 2, 3}));
  EXPECT_EQ(*ParseSeeds("7,2-3,18446744073709551615"),
            (std::vector<uint64_t>{7, 2, 3, 18446744073709551615u}));
  for (const char* bad : {"", "a", "3-1", "1-2-3", "-1", "1,,2", "1,1", "0-99999999999"}) {
    EXPECT_FALSE(ParseSeeds(bad).ok()) << bad;
  }
  EXPECT_EQ(ParseSeeds("5-9,0-5").status().message(), "seed 5 is given twice in \"5-9,0-5\"");
}

// At most a million in all ranges together: a short text must not exhaust the memory.
TEST(ConfigTest, SeedsAreBoundedInAll) {
  EXPECT_EQ(ParseSeeds("0-999999")->size(), 1'000'000u);
  for (const char* many : {"0-1000000", "0-999999,1000000", "0-599999,600000-1199999"}) {
    EXPECT_EQ(ParseSeeds(many).status().message(),
              absl::StrCat("at most 1000000 seeds can be given, not \"", many, "\""));
  }
}

}  // namespace
}  // namespace coppice::trainer
