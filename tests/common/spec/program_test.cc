// Tests of sweeps of a user's own program: mistakes, resolved runs, names, plans, differences.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/spec/axes.h"
#include "common/spec/difference.h"
#include "common/spec/plan.h"
#include "common/spec/spec.h"
#include "common/spec/warnings.h"

namespace coppice::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::SweepSpec Parse(const std::string& text) {
  v1::SweepSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(text, &spec)) << text;
  return spec;
}

constexpr char kSettings[] =
    "settings { name: 'learning_rate' value: '1e-3' } settings { name: 'width' value: '128' } "
    "settings { name: 'fast' value: 'true' } settings { name: 'activation' value: '\"relu\"' } ";
constexpr char kStart[] = "command: ['python3', 'train.py'] directory: '/study' ";
constexpr char kRest[] = " train { steps: 100 } checkpoint { every: 50 } report { every: 10 } ";

std::string Program(const std::string& more = "") {
  return absl::StrCat("program { ", kStart, kSettings, more, "} ");
}
v1::SweepSpec Spec(const std::string& more) {
  return Parse(absl::StrCat("name: 'mine' seeds: 0 seeds: 1 seeds: 2 ", Program(), kRest, more));
}
std::string RateAxis() {
  return "axes { name: 'learning_rate' "
         "values { name: '0.001' settings { program { name: 'learning_rate' value: '0.001' } } } "
         "values { name: '3e-4' settings { program { name: 'learning_rate' value: '0.0003' } } } "
         "} ";
}

TEST(ProgramSpec, ResolvesItsSettingsPointByPoint) {
  const v1::SweepSpec spec = Spec(
      RateAxis() +
      "axes { name: 'size' values { name: 'small' settings { program { name: 'width' value: '32' } "
      "train { steps: 7 } } } values { name: 'usual' } } "
      "overrides { where { axes { axis: 'size' values: 'usual' } } settings { name: 'activation' "
      "value: '\"gelu\"' } checkpoint { keep: 5 } }");
  ASSERT_THAT(ProblemsToStatus(ValidateSweepSpec(spec)).message(), "");
  std::vector<GridPoint> points;
  ASSERT_TRUE(ForEachPoint(spec, [&](const GridPoint& point) {
                points.push_back(point);
                return absl::OkStatus();
              }).ok());
  ASSERT_EQ(points.size(), 4);
  EXPECT_EQ(points[0].task, "");
  EXPECT_EQ(points[0].depth, 0);
  EXPECT_EQ(JobText(points[3].coordinates, "", 0, 2), "learning_rate=3e-4/size=usual/seed=2");
  const auto small = nlohmann::json::parse(RunConfigToJson(points[2].run));
  EXPECT_EQ(small, nlohmann::json::parse(R"({
      "train": {"steps": 7}, "report": {"every": 10},
      "checkpoint": {"every": 50, "keep": 2, "keep_every": 0},
      "program": {"command": ["python3", "train.py"], "directory": "/study", "environment": {},
                  "pack": 1, "settings": {"activation": "relu", "fast": true, "width": 32,
                                          "learning_rate": 0.0003}}})"));
  const auto usual = nlohmann::json::parse(RunConfigToJson(points[3].run));
  EXPECT_EQ(usual["program"]["settings"]["activation"], "gelu");
  EXPECT_EQ(usual["program"]["settings"]["width"], 128);
  EXPECT_EQ(usual["checkpoint"]["keep"], 5);
  EXPECT_EQ(usual["train"]["steps"], 100);
}

TEST(ProgramSpec, RunsSurviveTheirText) {
  const v1::SweepSpec spec = Parse(absl::StrCat(
      "name: 'mine' seeds: 0 ",
      Program("environment { name: 'OMP_NUM_THREADS' value: '1' } pack: 4 time_limit: 7200 gpus: 0 "
              "threads: 2 primary: 'val'"),
      kRest, "report { stall_seconds: 9 }"));
  ASSERT_THAT(ProblemsToStatus(ValidateSweepSpec(spec)).message(), "");
  EXPECT_EQ(CountPoints(spec), 1);
  ASSERT_TRUE(ForEachPoint(spec, [&](const GridPoint& point) {
                EXPECT_EQ(JobText(point.coordinates, point.task, point.depth, 7), "seed=7");
                const std::string json = RunConfigToJson(point.run);
                const auto back = RunConfigFromJson(json);
                EXPECT_TRUE(back.ok()) << back.status();
                EXPECT_EQ(RunConfigToJson(*back), json);
                EXPECT_EQ(back->program().time_limit(), 7200);
                EXPECT_EQ(back->report().stall_seconds(), 9);
                return absl::OkStatus();
              }).ok());
  for (const char* text : {R"({"program": 3})", R"({"program": {}})",
                           R"({"program": {"command": "x", "directory": "/", "environment": {},
                               "settings": {}, "pack": 1}, "train": {}})"}) {
    EXPECT_EQ(RunConfigFromJson(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(ProgramSpec, PacksAreNoWiderThanTheProgramTakes) {
  EXPECT_EQ(MakePlan(Spec(RateAxis()), 10).packs(), 6);
  v1::SweepSpec spec = Spec(RateAxis());
  spec.mutable_program()->set_pack(2);
  EXPECT_EQ(MakePlan(spec, 10).packs(), 4);
  EXPECT_EQ(MakePlan(spec, 1).packs(), 6);
  EXPECT_GT(MakePlan(spec, 1).expected_work(), 0);
}

TEST(ProgramSpec, GetsOnlyWarningsAboutItsOwnSettings) {
  EXPECT_THAT(Warnings(Spec("")), IsEmpty());
  v1::SweepSpec spec = Spec("");
  spec.mutable_checkpoint()->set_every(1'000);
  ASSERT_EQ(Warnings(spec).size(), 1);
  EXPECT_EQ(Warnings(spec)[0].path, "checkpoint.every");
}

TEST(ProgramSpec, DifferencesNameTheProgramsSettings) {
  const v1::SweepSpec there = Spec(RateAxis());
  v1::SweepSpec here = there;
  // Another writing of the same.
  here.mutable_program()->mutable_settings(0)->set_value("0.001");
  here.mutable_program()->set_pack(1);
  EXPECT_THAT(Differences(there, here), IsEmpty());
  here.mutable_program()->mutable_settings(1)->set_value("64");
  here.mutable_program()->set_command(1, "other.py");
  EXPECT_THAT(Differences(there, here),
              ElementsAre("program.command is [\"python3\",\"train.py\"] there and "
                          "[\"python3\",\"other.py\"] here",
                          "program.settings.width is 128 there and 64 here"));
  const v1::SweepSpec trainer = Parse("name: 'mine' tasks: 'dyck' depths: 2 seeds: 0");
  EXPECT_THAT(Differences(trainer, there),
              ElementsAre("Coppice's own trainer trains there, and a program here"));
}

struct BadCase {
  std::string name;
  std::string text;  // after the name and the seeds
  std::string path;
  std::string message;
};

class BadProgram : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadProgram, IsNamedOnceWithPathAndRemedy) {
  const BadCase& bad = GetParam();
  const std::vector<Problem> problems = ValidateSweepSpec(Parse("name: 'm' seeds: 0 " + bad.text));
  ASSERT_EQ(problems.size(), 1) << ProblemsToStatus(problems);
  EXPECT_EQ(problems[0].path, bad.path) << problems[0].message;
  EXPECT_THAT(problems[0].message, HasSubstr(bad.message));
  EXPECT_THAT(problems[0].message,
              testing::MatchesRegex("(.|\n)*[;,] (use|give|name|remove|add|so) ?(.|\n)*"))
      << "no remedy";
}

std::string Without(const std::string& program) {
  return absl::StrCat("program { ", program, "} ", kRest);
}
std::string With(const std::string& more) { return Program() + kRest + more; }
std::string Axis(const std::string& name, const std::string& value, const std::string& settings) {
  return With(absl::StrCat("axes { name: '", name, "' values { name: '", value, "' settings { ",
                           settings, " } } }"));
}

INSTANTIATE_TEST_SUITE_P(
    Each, BadProgram,
    ::testing::Values(
        BadCase{"NoCommand", Without("directory: '/d'"), "program.command", "is missing or empty"},
        BadCase{"EmptyCommand", Without("directory: '/d' command: ''"), "program.command",
                "is missing or empty"},
        BadCase{"CommandThatATerminalObeys", Without("directory: '/d' command: ['x', '\\033[m']"),
                "program.command[1]", "control character"},
        BadCase{"NoDirectory", Without("command: 'x'"), "program.directory", "is missing"},
        BadCase{"RelativeDirectory", Without("command: 'x' directory: 'd'"), "program.directory",
                "absolute path"},
        BadCase{"VariableWithoutAName",
                Without(std::string(kStart) + "environment { name: 'A=B' value: '1' }"),
                "program.environment[0]", "is 'A=B'"},
        BadCase{"VariableOfCoppice",
                Without(std::string(kStart) + "environment { name: 'COPPICE_RUN_SPEC' }"),
                "program.environment.COPPICE_RUN_SPEC", "Coppice sets"},
        BadCase{
            "VariableTwice",
            Without(std::string(kStart) + "environment { name: 'A' } environment { name: 'A' }"),
            "program.environment.A", "twice"},
        BadCase{"SettingWithAPoint",
                Without(std::string(kStart) + "settings { name: 'a.b' value: '1' }"),
                "program.settings[0]", "is 'a.b'"},
        BadCase{"SettingNamedSeed",
                Without(std::string(kStart) + "settings { name: 'seed' value: '1' }"),
                "program.settings.seed", "use another name"},
        BadCase{"SettingTwice",
                Without(std::string(kStart) +
                        "settings { name: 'a' value: '1' } settings { name: 'a' value: '1' }"),
                "program.settings.a", "twice"},
        BadCase{"SettingThatIsAList",
                Without(std::string(kStart) + "settings { name: 'a' value: '[1]' }"),
                "program.settings.a", "is no value"},
        BadCase{"SettingThatIsNotFinite",
                Without(std::string(kStart) + "settings { name: 'a' value: '1e999' }"),
                "program.settings.a", "is no value"},
        BadCase{"PackZero", Without(std::string(kStart) + "pack: 0"), "program.pack", "from 1 to"},
        BadCase{"NoTime", Without(std::string(kStart) + "time_limit: 0"), "program.time_limit",
                "is 0"},
        BadCase{"TwoGpus", Without(std::string(kStart) + "gpus: 2"), "program.gpus", "use 0 or 1"},
        BadCase{"NoThreads", Without(std::string(kStart) + "threads: 0"), "program.threads",
                "is 0"},
        BadCase{"ThreePrimary", Without(std::string(kStart) + "primary: ['a', 'b', 'c']"),
                "program.primary", "at most 2"},
        BadCase{"Tasks", With("tasks: 'dyck'"), "tasks", "which has none"},
        BadCase{"NoSteps", Program(), "train.steps", "is missing; give the steps"},
        BadCase{"SettingOfTheTrainer", With("train { learning_rate: 0.1 }"), "train.learning_rate",
                "`program.settings`"},
        BadCase{"OverrideOfTheTrainersSetting", With("overrides { model { heads: 4 } }"),
                "overrides[0].model.heads", "`program.settings`"},
        BadCase{"OverrideOfAnUnknownSetting",
                With("overrides { settings { name: 'widht' value: '1' } }"),
                "overrides[0].settings.widht", "did you mean 'width'?"},
        BadCase{"OverrideOfAnotherKind",
                With("overrides { settings { name: 'width' value: '\"big\"' } }"),
                "overrides[0].settings.width", "is 'big'; use a number"},
        BadCase{"AxisOfTheTrainersSetting", Axis("model.heads", "4", "model { heads: 4 }"),
                "axes.model.heads", "use one of the program's"},
        BadCase{"AxisTask", Axis("task", "dyck", "task: 'dyck'"), "axes.task",
                "use one of the program's"},
        BadCase{"AxisOfAnotherKind", Axis("fast", "3", "program { name: 'fast' value: '3' }"),
                "axes.fast[0]", "use true or false"},
        BadCase{"AxisWithAnotherName",
                Axis("width", "big", "program { name: 'width' value: '512' }"), "axes.width[0]",
                "name it after its value, 512"},
        BadCase{"AxisOfAWordThatAShellReads",
                Axis("activation", "a b", "program { name: 'activation' value: '\"a b\"' }"),
                "axes.activation[0]", "cannot stand in the name of a job"},
        BadCase{"NamedAxisOfAnUnknownSetting",
                Axis("size", "small", "program { name: 'depht' value: '1' }"),
                "axes.size.small.depht", "add it to `program.settings`"},
        BadCase{
            "TwoAxesOfOneSetting",
            With(RateAxis() + "axes { name: 'fit' values { name: 'x' settings { program { name: "
                              "'learning_rate' value: '1' } } } }"),
            "axes.fit.x.learning_rate", "which the axis learning_rate sets too"},
        BadCase{"SettingsWithoutAProgram",
                "tasks: 'dyck' depths: 2 overrides { settings { name: 'a' value: '1' } }",
                "overrides[0].settings.a", "only a program has"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace coppice::spec
