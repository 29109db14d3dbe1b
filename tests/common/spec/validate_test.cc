#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <limits>

#include "common/spec/spec.h"

namespace coppice::spec {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::SweepSpec Parse(const std::string& text) {
  v1::SweepSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

constexpr char kGrid[] =
    "name: 'demo' tasks: 'question' tasks: 'dyck' depths: 2 depths: 4 seeds: 0 seeds: 1 ";

v1::SweepSpec WithGrid(const std::string& more) { return Parse(kGrid + more); }

struct BadCase {
  std::string name;
  std::string text;  // a whole spec, or settings to add to kGrid if it starts with '+'
  std::string path;
  std::string message;
};

class BadSpec : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadSpec, IsNamedOnceWithPathAndRemedy) {
  const BadCase& bad = GetParam();
  const v1::SweepSpec spec = bad.text[0] == '+' ? WithGrid(bad.text.substr(1)) : Parse(bad.text);
  const std::vector<Problem> problems = ValidateSweepSpec(spec);
  ASSERT_EQ(problems.size(), 1) << ProblemsToStatus(problems);
  EXPECT_EQ(problems[0].path, bad.path);
  EXPECT_THAT(problems[0].message, HasSubstr(bad.message));
  EXPECT_THAT(problems[0].message,
              testing::MatchesRegex("(.|\n)*[;,] (use|give|name|remove|add|so) ?(.|\n)*"))
      << "no remedy";
  EXPECT_EQ(ProblemsToStatus(problems).code(), absl::StatusCode::kInvalidArgument);
}

constexpr char kRest[] = " tasks: 'question' depths: 2 seeds: 0";

INSTANTIATE_TEST_SUITE_P(
    Each, BadSpec,
    ::testing::Values(
        BadCase{"NoName", kRest, "name", "is missing"},
        BadCase{"NameWithSlash", std::string("name: 'a/b'") + kRest, "name", "not a sweep name"},
        BadCase{"NameStartsWithDot", std::string("name: '.a'") + kRest, "name", "not a sweep name"},
        BadCase{"NameTooLong", "name: '" + std::string(101, 'a') + "'" + kRest, "name",
                "at most 100"},
        BadCase{"NoTasks", "name: 'a' depths: 2 seeds: 0", "tasks", "missing or empty"},
        BadCase{"NoDepths", "name: 'a' tasks: 'dyck' seeds: 0", "depths", "missing or empty"},
        BadCase{"NoSeeds", "name: 'a' tasks: 'dyck' depths: 2", "seeds", "missing or empty"},
        BadCase{"UnknownTask", "name: 'a' tasks: 'dick' depths: 2 seeds: 0", "tasks[0]",
                "is 'dick'"},
        BadCase{"TaskTooLongToShow",
                "name: 'a' tasks: '" + std::string(59, 'x') +
                    "\\303\\251\\303\\251' depths: 2 seeds: 0",
                "tasks[0]", "is '" + std::string(59, 'x') + "...'"},
        BadCase{"TaskTwice", "name: 'a' tasks: ['dyck', 'dyck'] depths: 2 seeds: 0", "tasks[1]",
                "a second time"},
        BadCase{"DepthZero", "name: 'a' tasks: 'dyck' depths: [2, 0] seeds: 0", "depths[1]",
                "from 1 to 256"},
        BadCase{"DepthTooLarge", "name: 'a' tasks: 'dyck' depths: 257 seeds: 0", "depths[0]",
                "from 1 to 256"},
        BadCase{"SeedTwice", "name: 'a' tasks: 'dyck' depths: 2 seeds: [5, 6, 5]", "seeds[2]",
                "names 5 a second time"},
        BadCase{"OddWidth", "+model { d_model: 9 heads: 3 }", "model.d_model", "even"},
        BadCase{"WidthZero", "+model { d_model: 0 heads: 3 }", "model.d_model", "from 2"},
        BadCase{"HeadsDoNotDivide", "+model { d_model: 64 heads: 6 }", "model.heads",
                "6 heads do not divide a d_model of 64"},
        BadCase{"DefaultHeadsDoNotDivide", "+model { d_model: 12 }", "model.d_model",
                "8 heads do not divide"},
        BadCase{"HeadsZero", "+model { heads: 0 }", "model.heads", "from 1 to 256"},
        BadCase{"Dff", "+model { d_ff: 0 }", "model.d_ff", "is 0"},
        BadCase{"DropoutOne", "+model { dropout: 1 }", "model.dropout", "from 0 to 0.99"},
        BadCase{"DropoutNegative", "+model { dropout: -0.1 }", "model.dropout", "is -0.1"},
        BadCase{"DropoutNan", "+model { dropout: nan }", "model.dropout", "is nan"},
        BadCase{"StepsZero", "+train { steps: 0 }", "train.steps", "from 1"},
        BadCase{"StepsTooMany", "+train { steps: 1000000000 }", "train.steps", "999999999"},
        BadCase{"BatchZero", "+train { batch_size: 0 }", "train.batch_size", "is 0"},
        BadCase{"RateZero", "+train { learning_rate: 0 }", "train.learning_rate", "above 0"},
        BadCase{"RateInfinite", "+train { learning_rate: inf }", "train.learning_rate", "is inf"},
        BadCase{"Decay", "+train { lr_decay_steps: 0 }", "train.lr_decay_steps", "is 0"},
        BadCase{"BetaOne", "+train { beta1: 1 }", "train.beta1", "below 1"},
        BadCase{"BetaTwo", "+train { beta2: 1.5 }", "train.beta2", "below 1"},
        BadCase{"Epsilon", "+train { epsilon: 0 }", "train.epsilon", "above 0"},
        BadCase{"WeightDecay", "+train { weight_decay: -1 }", "train.weight_decay",
                "from 0 to 1e30"},
        BadCase{"ClipNorm", "+train { clip_norm: 0 }", "train.clip_norm", "above 0"},
        BadCase{"Precision", "+train { precision: 'fp16' }", "train.precision", "float32 or tf32"},
        BadCase{"PrecisionThatNoDeviceHas", "+train { precision: 'bfloat16' }", "train.precision",
                "no device trains yet"},
        BadCase{"DropoutAboveTheTrainers", "+model { dropout: 0.995 }", "model.dropout",
                "from 0 to 0.99"},
        BadCase{"BatchAboveTheTrainers", "+train { batch_size: 4097 }", "train.batch_size",
                "from 1 to 4096"},
        BadCase{"BatchAboveTheData", "+data { train: 7 }", "data.train",
                "makes a batch of 8 out of 7 training sentences"},
        BadCase{"DecayBeforeTheWarmUpEnds", "+train { lr_decay_steps: 10000 }",
                "train.lr_decay_steps", "before the warm-up of 10000 steps ends"},
        BadCase{"WarmUpAfterTheDecay",
                "+overrides { where { task: 'dyck' } train { warmup_steps: 2000000 } }",
                "overrides[0].train.warmup_steps", "before the warm-up of 2000000 steps ends"},
        BadCase{"NoTrainingData", "+data { train: 0 }", "data.train", "is 0"},
        BadCase{"NoGeneralizationData", "+data { gen: 0 }", "data.gen", "is 0"},
        BadCase{"RelativeDirectory", "+data { directory: 'data' }", "data.directory",
                "absolute path"},
        BadCase{"DirectoryThatATerminalObeys", "+data { directory: '/d\\033[31m' }",
                "data.directory", "without control characters"},
        BadCase{"RelativeFileWithoutADirectory", "+data { files { gen: 'question.test' } }",
                "data.files.gen", "data.directory"},
        BadCase{"EmptyFile", "+data { files { train: '' } }", "data.files.train", "is empty"},
        BadCase{"FileThatATerminalObeys", "+data { files { val: '/d\\033[31m' } }",
                "data.files.val", "without control characters"},
        BadCase{"ReportNever", "+report { every: 0 }", "report.every", "is 0"},
        BadCase{"StalledAtOnce", "+report { stall_seconds: 0 }", "report.stall_seconds", "is 0"},
        BadCase{"ProbesNever", "+report { probes { every: 0 } }", "report.probes.every", "is 0"},
        BadCase{"CheckpointNever", "+checkpoint { every: 0 }", "checkpoint.every", "is 0"},
        BadCase{"KeepNone", "+checkpoint { keep: 0 }", "checkpoint.keep", "is 0"},
        BadCase{"Priority", "+priority: 1001", "priority", "-1000 to 1000"},
        BadCase{"MaxFailures", "+max_failures: 0", "max_failures", "from 1"},
        BadCase{"OverrideOfAbsentTask", "+overrides { where { task: 'tense' } train { steps: 1 } }",
                "overrides[0].where.task[0]", "not one of the sweep's tasks"},
        BadCase{"OverrideOfAbsentDepth", "+overrides { where { depth: 3 } train { steps: 1 } }",
                "overrides[0].where.depth[0]", "not one of the sweep's depths"},
        BadCase{"OverrideOfNothing", "+overrides { where { depth: 2 } }", "overrides[0]",
                "changes nothing"},
        BadCase{"OverrideOutOfRange",
                "+overrides { train { steps: 1 } } overrides { train { steps: 0 } }",
                "overrides[1].train.steps", "is 0"},
        BadCase{"OverrideBreaksOneGroup",
                "+model { d_model: 64 heads: 4 } overrides { where { depth: 4 task: 'dyck' } model "
                "{ d_model: 30 } } "
                "overrides { where { depth: 4 } model { heads: 8 } }",
                "overrides[1].model.heads",
                "8 heads do not divide a d_model of 30 (task dyck, depth 4)"}),
    [](const auto& info) { return info.param.name; });

TEST(ValidateSweepSpec, AcceptsTheSmallestSpecAndTheEdgesOfEachRange) {
  EXPECT_THAT(ValidateSweepSpec(Parse("name: 'a' tasks: 'dyck' depths: 1 seeds: 4294967295")),
              IsEmpty());
  EXPECT_THAT(
      ValidateSweepSpec(WithGrid(
          "model { d_model: 2 heads: 1 d_ff: 1 dropout: 0 } train { steps: 1 batch_size: 1 "
          "warmup_steps: 0 "
          "beta1: 0 beta2: 0 weight_decay: 0 precision: 'float32' } data { seed: 4294967295 "
          "train: 1 val: 1 "
          "test: 1 gen: 1 directory: '/d' files { train: '/t' gen: 'question.test' } } report { "
          "every: 1 stall_seconds: 1 probes { sentences: 0 every: 1 } } "
          "checkpoint { every: 1 keep: 1 keep_every: 0 } priority: -1000 max_failures: 1 "
          "overrides { where { task: 'dyck' depth: 4 } train { steps: 2 } }")),
      IsEmpty());
}

TEST(ValidateSweepSpec, CountsJobsWithoutOverflow) {
  v1::SweepSpec spec = Parse("name: 'a' tasks: ['question', 'tense', 'dyck']");
  for (int i = 1; i <= 2; ++i) spec.add_depths(i);
  for (int i = 0; i < 833'333; ++i) spec.add_seeds(i);
  EXPECT_THAT(ValidateSweepSpec(spec), IsEmpty()) << "4,999,998 jobs are allowed";
  spec.add_seeds(833'333);
  const std::vector<Problem> problems = ValidateSweepSpec(spec);
  ASSERT_EQ(problems.size(), 1);
  EXPECT_THAT(problems[0].message, HasSubstr("5000004 jobs"));
}

TEST(ValidateSweepSpec, RefusesASeedListTooLongToSend) {
  v1::SweepSpec spec = Parse("name: 'a' tasks: 'dyck' depths: 1");
  for (int i = 0; i <= 1'000'000; ++i) spec.add_seeds(i);
  const std::vector<Problem> problems = ValidateSweepSpec(spec);
  ASSERT_EQ(problems.size(), 1);
  EXPECT_EQ(problems[0].path, "seeds");
}

TEST(ValidateSweepSpec, ReportsEveryProblemInTheOrderOfTheFields) {
  const std::vector<Problem> problems = ValidateSweepSpec(Parse(
      "name: '' tasks: 'x' depths: 0 model { dropout: 2 } train { steps: 0 } max_failures: 0"));
  std::vector<std::string> paths;
  for (const Problem& problem : problems) paths.push_back(problem.path);
  EXPECT_THAT(paths, testing::ElementsAre("name", "tasks[0]", "depths[0]", "seeds", "model.dropout",
                                          "train.steps", "max_failures"));
}

TEST(ValidateSweepSpec, DoesNotRepeatAMistakeForEveryGroup) {
  v1::SweepSpec spec = WithGrid("model { heads: 7 }");
  EXPECT_EQ(ValidateSweepSpec(spec).size(), 1);
}

TEST(ValidateSweepSpec, BoundsTheProblemsOfOneList) {
  v1::SweepSpec spec = Parse("name: 'a' tasks: 'dyck' depths: 1");
  for (int i = 0; i < 100'000; ++i) spec.add_seeds(7);
  EXPECT_LE(ValidateSweepSpec(spec).size(), 10);
}

// Every group searches every override's lists, so a million entries would occupy a submission's
// thread for minutes.
TEST(ValidateSweepSpec, BoundsTheListsOfWhere) {
  v1::SweepSpec spec = WithGrid("overrides { where { depth: 2 } train { steps: 1 } }");
  v1::Where* where = spec.mutable_overrides(0)->mutable_where();
  EXPECT_THAT(ValidateSweepSpec(spec), IsEmpty());
  for (int i = 0; i < 1'000'000; ++i) where->add_depth(2);
  std::vector<Problem> problems = ValidateSweepSpec(spec);
  ASSERT_EQ(problems.size(), 1);
  EXPECT_EQ(problems[0].path, "overrides[0].where.depth");
  EXPECT_THAT(problems[0].message, HasSubstr("at most 1024"));
  where->clear_depth();
  for (int i = 0; i < 17; ++i) where->add_task("dyck");
  problems = ValidateSweepSpec(spec);
  ASSERT_EQ(problems.size(), 1);
  EXPECT_EQ(problems[0].path, "overrides[0].where.task");
}

TEST(ProblemsToStatus, IsOkWithoutProblemsAndListsEachOnALine) {
  EXPECT_TRUE(ProblemsToStatus({}).ok());
  EXPECT_EQ(ProblemsToStatus({{"a", "is bad; use b"}, {"c", "is worse; use d"}}).message(),
            "a is bad; use b\nc is worse; use d");
}

}  // namespace
}  // namespace coppice::spec
