// Tests of the mistakes in axes, excludes and the conditions of overrides.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "common/spec/axes.h"
#include "common/spec/plan.h"
#include "common/spec/spec.h"
#include "common/spec/warnings.h"

namespace coppice::spec {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::SweepSpec Parse(const std::string& text) {
  v1::SweepSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

constexpr char kTask[] = "axes { name: 'task' values { name: 'dyck' settings { task: 'dyck' } } } ";
constexpr char kDepth[] =
    "axes { name: 'depth' values { name: '2' settings { depth: 2 } } "
    "values { name: '4' settings { depth: 4 } } } ";
constexpr char kSize[] =
    "axes { name: 'size' values { name: 'small' settings { model { d_model: 64 } } } "
    "values { name: 'paper' } } ";

std::string Rate(const std::string& values) {
  return absl::StrCat("axes { name: 'train.learning_rate' ", values, " } ");
}
std::string RateValue(const std::string& name, const std::string& number) {
  return absl::StrCat("values { name: '", name, "' settings { train { learning_rate: ", number,
                      " } } } ");
}

struct BadCase {
  std::string name;
  std::string text;  // after the name and the seeds
  std::string path;
  std::string message;
};

class BadAxes : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadAxes, IsNamedOnceWithPathAndRemedy) {
  const BadCase& bad = GetParam();
  const std::vector<Problem> problems =
      ValidateSweepSpec(Parse("name: 'demo' seeds: 0 seeds: 1 " + bad.text));
  ASSERT_EQ(problems.size(), 1) << ProblemsToStatus(problems);
  EXPECT_EQ(problems[0].path, bad.path) << problems[0].message;
  EXPECT_THAT(problems[0].message, HasSubstr(bad.message));
  EXPECT_THAT(problems[0].message,
              testing::MatchesRegex("(.|\n)*[;,] (use|give|name|remove|add|so) ?(.|\n)*"))
      << "no remedy";
}

const std::string kGrid = absl::StrCat(kTask, kDepth, kSize);

INSTANTIATE_TEST_SUITE_P(
    Each, BadAxes,
    ::testing::Values(
        BadCase{"UnknownSetting",
                kGrid + "axes { name: 'train.learnin_rate' values { name: '1' } }",
                "axes.train.learnin_rate", "did you mean 'train.learning_rate'?"},
        BadCase{"NamedAxisThatSetsNothing",
                kGrid + "axes { name: 'width' values { name: '1' } values { name: '2' } }",
                "axes.width", "is no setting; use the path of one"},
        BadCase{"AxisTwice", kGrid + kSize, "axes.size", "stands here twice"},
        BadCase{"NoValues", kGrid + "axes { name: 'rate' }", "axes.rate", "has no values"},
        BadCase{"ValueTwice", kGrid + Rate(RateValue("0.1", "0.1") + RateValue("0.1", "0.1")),
                "axes.train.learning_rate[1]", "names 0.1 a second time"},
        BadCase{"NamedValueTwice",
                std::string(kTask) + kDepth +
                    "axes { name: 'a' values { name: 'x' settings { model { d_ff: 8 } } } values { "
                    "name: 'x' settings { model { d_ff: 9 } } } }",
                "axes.a[1]", "names x a second time"},
        BadCase{"ValueWithoutAName",
                kGrid + "axes { name: 'a' values { settings { model { d_ff: 8 } } } }", "axes.a[0]",
                "is empty"},
        BadCase{"ValueThatAShellReads",
                kGrid + "axes { name: 'a' values { name: '$x' settings { model { d_ff: 8 } } } }",
                "axes.a[0]", "cannot stand in the name of a job"},
        BadCase{"PathAsAValue",
                kGrid + "axes { name: 'data.directory' values { name: '/d' settings { data { "
                        "directory: '/d' } } } }",
                "axes.data.directory[0]", "whose values have names"},
        BadCase{"ValueOutOfRange", kGrid + Rate(RateValue("0", "0")), "axes.train.learning_rate[0]",
                "is 0; use a number above 0"},
        BadCase{"ValueWithAnotherName", kGrid + Rate(RateValue("0.2", "0.1")),
                "axes.train.learning_rate[0]", "name it after its value, 0.1"},
        BadCase{"ValueThatSetsMore",
                kGrid + Rate("values { name: '0.1' settings { train { learning_rate: 0.1 steps: 5 "
                             "} } }"),
                "axes.train.learning_rate[0]", "and nothing else"},
        BadCase{"NamedValueOutOfRange",
                kGrid + "axes { name: 'a' values { name: 'x' settings { model { d_ff: 0 } } } }",
                "axes.a.x.model.d_ff", "is 0; use a whole number"},
        BadCase{"SettingOfAProgram",
                kGrid + "axes { name: 'a' values { name: 'x' settings { program { name: 'w' value: "
                        "'1' } } } }",
                "axes.a.x.w", "only a program has"},
        BadCase{"AxisSeed", kGrid + "axes { name: 'seed' values { name: '0' } }", "axes.seed",
                "is always the innermost"},
        BadCase{"AxisWithAWordOfFilters", kGrid + "axes { name: 'state' values { name: '0' } }",
                "axes.state", "use another name"},
        BadCase{"AxisNamedLikeAShellCommand", kGrid + "axes { name: '$(x)' values { name: '0' } }",
                "axes[3]", "the first a letter"},
        BadCase{"TwoAxesOfOneSetting",
                kGrid + "axes { name: 'model.d_model' values { name: '64' settings { model { "
                        "d_model: 64 } } } }",
                "axes.model.d_model[0]", "which the axis size sets too (task=dyck/depth=2/size=sm"},
        BadCase{"TwoTasks",
                kGrid + "axes { name: 'a' values { name: 'x' settings { task: 'tense' } } }",
                "axes.a.x.task", "sets task, which the axis task sets too"},
        BadCase{"NoDepth", std::string(kTask) + kSize, "axes",
                "set no depth (task=dyck/size=small)"},
        BadCase{"NoTask", std::string(kDepth) + kSize, "axes", "add the axis `task: [question]`"},
        BadCase{"ShorthandBesideAxes", kGrid + "depths: 2", "depths", "stands beside `axes`"},
        BadCase{"TaskAndDepthAlone", std::string(kTask) + kDepth, "axes",
                "give them as `tasks` and `depths`"},
        BadCase{"ExcludeOfAnUnknownAxis", kGrid + "exclude { where { axis: 'sise' values: 'x' } }",
                "exclude[0].sise", "use task, depth, size; did you mean 'size'?"},
        BadCase{"ExcludeOfAnUnknownValue",
                kGrid + "exclude { where { axis: 'size' values: ['small', 'big'] } }",
                "exclude[0].size[1]", "is 'big', which is no value of the axis; use small, paper"},
        BadCase{"ExcludeOfSeeds", kGrid + "exclude { where { axis: 'seed' values: '0' } }",
                "exclude[0].seed", "the seeds of a pack share their settings"},
        BadCase{"ExcludeOfEverything", kGrid + "exclude { where { axis: 'task' values: 'dyck' } }",
                "exclude", "takes out every point"},
        BadCase{"ExcludeWithoutConditions", kGrid + "exclude { }", "exclude[0]", "names no axis"},
        BadCase{"ExcludeThatMatchesNothing",
                kGrid + "exclude { where { axis: 'depth' values: '2' } } exclude { where { axis: "
                        "'depth' values: '2' } where { axis: 'size' values: 'small' } }",
                "exclude[1]", "takes out no point"},
        BadCase{"ConditionTwice",
                kGrid + "exclude { where { axis: 'depth' values: '2' } where { axis: 'depth' "
                        "values: '4' } }",
                "exclude[0].depth", "stands here twice"},
        BadCase{"OverrideOfAnUnknownAxis",
                kGrid + "overrides { where { axes { axis: 'rate' values: '2' } } train { steps: 5 "
                        "} }",
                "overrides[0].where.rate", "is no axis of the sweep"},
        BadCase{"OverrideOfAnAxisOfAClassicSweep",
                "tasks: 'dyck' depths: 2 overrides { where { axes { axis: 'size' values: 'x' } } "
                "train { steps: 5 } }",
                "overrides[0].where.size", "is no axis of the sweep; use task, depth"},
        BadCase{"OverrideOfAnUnknownValue",
                kGrid + "overrides { where { depth: 3 } train { steps: 5 } }",
                "overrides[0].where.depth[0]", "is '3', which is no value of the axis; use 2, 4"},
        BadCase{"OverrideOfSeeds",
                kGrid + "overrides { where { axes { axis: 'seed' values: '0' } } train { steps: 5 "
                        "} }",
                "overrides[0].where.seed", "cannot differ here"},
        BadCase{
            "OverrideOfWhatAnAxisSets",
            kGrid + Rate(RateValue("0.1", "0.1")) + "overrides { train { learning_rate: 0.2 } }",
            "overrides[0].train.learning_rate", "changes what the axis train.learning_rate"},
        BadCase{"OverrideOfExcludedPoints",
                kGrid + "exclude { where { axis: 'size' values: 'small' } } overrides { where { "
                        "axes { axis: 'size' values: 'small' } } train { steps: 5 } }",
                "overrides[0]", "applies to no point"},
        BadCase{"ConstraintBetweenAxes",
                kGrid + "axes { name: 'model.heads' values { name: '6' settings { model { heads: 6 "
                        "} } } } model { d_model: 66 } ",
                "axes.model.heads[0]",
                "6 heads do not divide a d_model of 64 (task=dyck/depth=2/"}),
    [](const auto& info) { return info.param.name; });

void AddAxis(v1::SweepSpec* spec, const std::string& name, int values) {
  v1::Axis* axis = spec->add_axes();
  axis->set_name(name);
  for (int i = 0; i < values; ++i) {
    v1::AxisValue* value = axis->add_values();
    value->set_name(absl::StrCat(name == "data.seed" ? "" : "v", i + 1));
    if (name == "data.seed") {
      value->mutable_settings()->mutable_data()->set_seed(i + 1);
    } else {
      value->mutable_settings()->mutable_model()->set_d_ff(i + 1);
    }
  }
}

TEST(ValidateAxes, BoundsPointsAndJobs) {
  v1::SweepSpec spec = Parse(absl::StrCat("name: 'a' seeds: 0 ", kTask, kDepth));
  AddAxis(&spec, "data.seed", 100);
  AddAxis(&spec, "ff", 101);
  std::vector<Problem> problems = ValidateSweepSpec(spec);
  ASSERT_EQ(problems.size(), 1) << ProblemsToStatus(problems);
  EXPECT_THAT(problems[0].message, HasSubstr("make 20200 points; a sweep holds at most 20000"));
  v1::AxisCondition* out = spec.add_exclude()->add_where();
  out->set_axis("ff");
  out->add_values("v7");
  EXPECT_THAT(ValidateSweepSpec(spec), IsEmpty()) << "20,000 points remain";
  for (int seed = 1; seed <= 250; ++seed) spec.add_seeds(seed);
  problems = ValidateSweepSpec(spec);
  ASSERT_EQ(problems.size(), 1) << ProblemsToStatus(problems);
  EXPECT_THAT(problems[0].message, HasSubstr("make 5020000 jobs with these points"));
  AddAxis(&spec, "more", 20'000);
  problems = ValidateSweepSpec(spec);
  ASSERT_EQ(problems.size(), 1) << ProblemsToStatus(problems);
  EXPECT_THAT(problems[0].message, HasSubstr("make over 1000000 points"));
  AddAxis(&spec, "most", 20'001);
  EXPECT_THAT(ProblemsToStatus(ValidateSweepSpec(spec)).message(), HasSubstr("has 20001 values"));
  for (int i = 0; i < 12; ++i) AddAxis(&spec, absl::StrCat("a", i), 1);
  EXPECT_THAT(ProblemsToStatus(ValidateSweepSpec(spec)).message(),
              HasSubstr("holds 18 axes; use at most 16"));
}

TEST(ValidateAxes, BoundsTheProblemsOfManyPoints) {
  v1::SweepSpec spec = Parse(absl::StrCat("name: 'a' seeds: 0 ", kTask, kDepth));
  AddAxis(&spec, "data.seed", 5'000);
  for (v1::AxisValue& value : *spec.mutable_axes(2)->mutable_values()) {
    value.set_name("x" + value.name());
    value.mutable_settings()->mutable_data()->set_train(3);
  }
  spec.mutable_axes(2)->set_name("corpus");
  EXPECT_EQ(ValidateSweepSpec(spec).size(), 100);
}

#ifdef NDEBUG
constexpr int kMostOverrides = 1'000;
#else
constexpr int kMostOverrides = 20;  // not optimized, and thirty times as slow under a sanitizer
#endif

// A thousand overrides for every one of 20,000 points, each of which applies to all.
TEST(ValidateAxes, LargestSweepTakesNotMuchMoreThanASecond) {
  v1::SweepSpec spec = Parse(absl::StrCat("name: 'a' seeds: 0 ", kTask, kDepth));
  AddAxis(&spec, "data.seed", 100);
  AddAxis(&spec, "ff", 100);
  for (int i = 0; i < kMostOverrides; ++i) {
    v1::Override* change = spec.add_overrides();
    change->mutable_train()->set_steps(i + 1);
    v1::AxisCondition* where = change->mutable_where()->add_axes();
    where->set_axis("ff");
    for (int value = 1; value <= 100; ++value) where->add_values(absl::StrCat("v", value));
  }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(ProblemsToStatus(ValidateSweepSpec(spec)).message(), "");
  const v1::Plan plan = MakePlan(spec, 0);
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(plan.groups_size(), 20'000);
  EXPECT_EQ(plan.groups(77).steps(), kMostOverrides);
  // Six times what an idle machine takes: the tests run beside others, and under sanitizers.
  EXPECT_LT(took, std::chrono::seconds(30));
  RecordProperty(
      "milliseconds",
      static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  std::cerr << "validated and planned in "
            << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms\n";
}

}  // namespace
}  // namespace coppice::spec
