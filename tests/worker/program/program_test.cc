// From a granted run to a program's command, environment and spec file.
#include "worker/program/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace coppice::worker {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

using Json = nlohmann::ordered_json;

Json GoodRun() {
  return Json::parse(R"({
    "train": {"steps": 100}, "report": {"every": 10}, "checkpoint": {"every": 50, "keep": 2},
    "program": {"command": ["python3", "train.py"], "directory": "/study",
                "environment": {"MODE": "fast"}, "settings": {"learning_rate": 0.001, "wide": true},
                "pack": 4, "time_limit": 7200, "gpus": 0, "threads": 2}})");
}

TEST(ProgramTest, EveryFieldIsRead) {
  const auto program = ReadProgram(GoodRun());
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_THAT(program->command, ElementsAre("python3", "train.py"));
  EXPECT_EQ(program->directory, "/study");
  EXPECT_THAT(program->environment, ElementsAre(Pair("MODE", "fast")));
  EXPECT_EQ(program->pack, 4u);
  EXPECT_EQ(program->time_limit, absl::Hours(2));
  EXPECT_FALSE(program->gpu);
  EXPECT_EQ(program->threads, 2u);
  EXPECT_EQ(program->report_every, 10u);
}

TEST(ProgramTest, TheLeastProgramHasDefaults) {
  Json run = GoodRun();
  run["program"] = {{"command", {"./train"}}, {"directory", "/"}};
  const auto program = ReadProgram(run);
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(program->pack, 1u);
  EXPECT_EQ(program->time_limit, absl::InfiniteDuration());
  EXPECT_TRUE(program->gpu);
  EXPECT_EQ(program->threads, 0u);
}

TEST(ProgramTest, WhatIsNoProgramIsRefused) {
  const auto refusal = [](const char* key, const Json& value) {
    Json run = GoodRun();
    run["program"][key] = value;
    return std::string(ReadProgram(run).status().message());
  };
  EXPECT_THAT(refusal("command", Json::array()), HasSubstr("has no `command`"));
  EXPECT_THAT(refusal("command", {"a", 3}), HasSubstr("`command`"));
  EXPECT_THAT(refusal("command", {std::string("a\0b", 3)}), HasSubstr("`command`"));
  EXPECT_THAT(refusal("directory", "here"), HasSubstr("`directory` with an absolute path"));
  EXPECT_THAT(refusal("environment", {{"A=B", "c"}}), HasSubstr("`environment`"));
  EXPECT_THAT(refusal("environment", {{"A", 1}}), HasSubstr("`environment`"));
  EXPECT_THAT(refusal("pack", 0u), HasSubstr("`pack`"));
  EXPECT_THAT(refusal("time_limit", "2h"), HasSubstr("`time_limit`"));
  EXPECT_THAT(refusal("settings", {1, 2}), HasSubstr("`settings`"));
  Json run = GoodRun();
  run.erase("report");
  EXPECT_FALSE(ReadProgram(run).ok());
}

TEST(ProgramTest, TheSpecFileHasTheSettingsAndNotTheCommand) {
  const auto program = ReadProgram(GoodRun());
  ASSERT_TRUE(program.ok());
  const Json spec = Json::parse(ProgramSpec(
      *program, {{3, "/c/work", "/c/resume", 50}, {4, "/d/work", "", 0}}, {8, false, ""}));
  EXPECT_EQ(spec, Json::parse(R"({
    "protocol": 1,
    "run": {"train": {"steps": 100}, "report": {"every": 10},
            "checkpoint": {"every": 50, "keep": 2},
            "settings": {"learning_rate": 0.001, "wide": true}},
    "members": [{"seed": 3, "checkpoint_dir": "/c/work", "resume": "/c/resume", "resume_step": 50},
                {"seed": 4, "checkpoint_dir": "/d/work"}],
    "threads": 2, "device": "cpu"})"));
}

// A worker's token or a library's variable must not decide what a program does.
TEST(ProgramTest, TheEnvironmentIsCleanAndTheSpecCannotNameAnotherGpu) {
  ::setenv("COPPICE_TOKEN", "secret", 1);
  ::setenv("LD_PRELOAD_OF_TEST", "x", 1);
  Json run = GoodRun();
  run["program"]["gpus"] = 1u;
  run["program"]["environment"] = {
      {"CUDA_VISIBLE_DEVICES", "7"}, {"COPPICE_RUN_SPEC", "/other"}, {"PATH", "/mine"}};
  const auto program = ReadProgram(run);
  ASSERT_TRUE(program.ok());
  const ProcessCommand command =
      ProgramCommand(*program, {8, true, "2"}, "/runs/job-1.json", "/logs/job-1.log");
  EXPECT_THAT(command.argv, ElementsAre("python3", "train.py"));
  ASSERT_TRUE(command.foreign.has_value());
  EXPECT_EQ(command.foreign->directory, "/study");
  EXPECT_EQ(command.foreign->mark, "COPPICE_RUN_SPEC=/runs/job-1.json");
  EXPECT_THAT(command.environment, Contains(Pair("COPPICE_RUN_SPEC", "/runs/job-1.json")));
  EXPECT_THAT(command.environment, Contains(Pair("CUDA_VISIBLE_DEVICES", "2")));
  EXPECT_THAT(command.environment, Contains(Pair("PATH", "/mine")));
  EXPECT_THAT(command.environment, Contains(Pair("OMP_NUM_THREADS", "2")));
  EXPECT_THAT(command.environment, Not(Contains(Key("COPPICE_TOKEN"))));
  EXPECT_THAT(command.environment, Not(Contains(Key("LD_PRELOAD_OF_TEST"))));
  const auto count = [&](const std::string& name) {
    return std::count_if(command.environment.begin(), command.environment.end(),
                         [&](const auto& variable) { return variable.first == name; });
  };
  for (const char* name : {"PATH", "CUDA_VISIBLE_DEVICES", "COPPICE_RUN_SPEC"}) {
    EXPECT_EQ(count(name), 1) << name;
  }
}

TEST(ProgramTest, WithoutAGpuItSeesNone) {
  for (const bool has_gpu : {false, true}) {
    Json run = GoodRun();
    run["program"]["gpus"] = has_gpu ? 0u : 1u;
    const auto program = ReadProgram(run);
    ASSERT_TRUE(program.ok());
    EXPECT_THAT(ProgramCommand(*program, {1, has_gpu, "0"}, "/s", "").environment,
                Contains(Pair("CUDA_VISIBLE_DEVICES", "")));
    EXPECT_THAT(ProgramSpec(*program, {}, {1, has_gpu, "0"}), HasSubstr("\"device\": \"cpu\""));
  }
}

}  // namespace
}  // namespace coppice::worker
