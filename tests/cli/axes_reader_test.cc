// Axes, exclude, conditions and programs in a spec's text, and the flags that change them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/spec_reader.h"
#include "cli/spec_tree.h"
#include "common/spec/axes.h"

namespace coppice::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kGrid[] = R"(name: grid
axes:
  task: [question, tense]
  size:
    small: {model.d_model: 128, model: {heads: 4, d_ff: 512}}
    paper: {}
  depth: [2, 4]
  train.learning_rate: 1e-5..1e-2 log 4
  seed: 0-4
exclude:
  - {task: tense, size: paper}
overrides:
  - where: {size: small, depth: 2}
    train: {steps: 1000}
)";

constexpr char kProgram[] = R"(name: mine
program:
  command: [python3, train.py]
  directory: /shared/study
  environment: {OMP_NUM_THREADS: 1}
  settings: {learning_rate: 1e-3, width: 128, activation: relu, tied: true, decay: 1.0}
  pack: 2
  metrics: {primary: [val_accuracy]}
  time_limit: 1h30m
  resources: {gpus: 0, threads: 1}
axes: {learning_rate: [1e-3, 0.003], width: 64-66, tied: [true, false], seed: 0-4}
train: {steps: 10000}
report: {every: 100}
checkpoint: {every: 1000, keep: 2}
)";

std::string Message(const std::string& text, const SpecChanges& changes = {}) {
  const absl::StatusOr<SpecFile> spec = ParseSpec(text, "f.yaml", changes);
  return spec.ok() ? "" : std::string(spec.status().message());
}

v1::SweepSpec Spec(const std::string& text, const SpecChanges& changes = {}) {
  const absl::StatusOr<SpecFile> file = ParseSpec(text, "f.yaml", changes);
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? file->spec : v1::SweepSpec();
}

// Without the checks of the whole spec.
v1::SweepSpec Read(const std::string& text, const SpecChanges& changes = {}) {
  YamlNotes notes;
  v1::SweepSpec spec;
  ReadSpecTree(YAML::Load(text), changes, &notes, &spec);
  EXPECT_THAT(notes.mistakes(), IsEmpty());
  return spec;
}

// "task: question tense", outermost first.
std::vector<std::string> Axes(const v1::SweepSpec& spec) {
  std::vector<std::string> axes;
  for (const v1::Axis& axis : spec.axes()) {
    axes.push_back(absl::StrCat(axis.name(), ":"));
    for (const v1::AxisValue& value : axis.values()) axes.back() += absl::StrCat(" ", value.name());
  }
  return axes;
}

TEST(AxesReader, ReadsAxesInTheirOrder) {
  const v1::SweepSpec spec = Spec(kGrid);
  EXPECT_THAT(Axes(spec), ElementsAre("task: question tense", "size: small paper", "depth: 2 4",
                                      "train.learning_rate: 1e-5 1e-4 0.001 0.01"));
  EXPECT_THAT(spec.seeds(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(spec.tasks(), IsEmpty());
  EXPECT_THAT(spec.depths(), IsEmpty());
  const v1::AxisSettings& small = spec.axes(1).values(0).settings();
  EXPECT_EQ(small.model().d_model(), 128);
  EXPECT_EQ(small.model().heads(), 4);
  EXPECT_EQ(small.model().d_ff(), 512);
  EXPECT_EQ(spec.axes(1).values(1).settings().ByteSizeLong(), 0);
  EXPECT_EQ(spec.axes(0).values(1).settings().task(), "tense");
  EXPECT_EQ(spec.axes(2).values(1).settings().depth(), 4);
  EXPECT_EQ(spec.axes(3).values(1).settings().train().learning_rate(), 1e-4);
  ASSERT_EQ(spec.exclude_size(), 1);
  EXPECT_EQ(spec.exclude(0).where(1).axis(), "size");
  EXPECT_THAT(spec.exclude(0).where(1).values(), ElementsAre("paper"));
  EXPECT_THAT(spec.overrides(0).where().depth(), ElementsAre(2));
  EXPECT_EQ(spec.overrides(0).where().axes(0).axis(), "size");
}

TEST(AxesReader, TaskAndDepthAloneAreTheSweepThatTheListsMake) {
  const std::string lists = "name: a\ntasks: [question, dyck]\ndepths: [2, 4]\nseeds: 0-2\n";
  const std::string axes = "name: a\naxes: {seed: 0-2, task: [question, dyck], depth: [2, 4]}\n";
  const std::string mixed = "name: a\ntasks: [question, dyck]\naxes: {depth: [2, 4]}\nseeds: 0-2\n";
  const std::string bytes = Spec(lists).SerializeAsString();
  EXPECT_EQ(Spec(axes).SerializeAsString(), bytes);
  EXPECT_EQ(Spec(mixed).SerializeAsString(), bytes);
  EXPECT_THAT(Message("name: a\naxes:\n  task: [question, qestion]\n  depth: 2\n  seed: 0\n"),
              HasSubstr("f.yaml:3:20: tasks[1] is 'qestion'"));
}

TEST(AxesReader, AddedValuesComeToThoseThatAnAxisHas) {
  const auto added = [](const std::string& text, std::vector<std::string> axis) {
    SpecChanges changes;
    changes.axis = std::move(axis);
    changes.add_values = true;
    return Spec(text, changes);
  };
  const v1::SweepSpec grid =
      added(kGrid, {"depth=4-6", "train.learning_rate=0.0001,1", "size=small", "seed=3-7"});
  EXPECT_THAT(Axes(grid), ElementsAre("task: question tense", "size: small paper", "depth: 2 4 5 6",
                                      "train.learning_rate: 1e-5 1e-4 0.001 0.01 1"));
  EXPECT_THAT(grid.seeds(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  const std::string lists = "name: a\ntasks: dyck\ndepths: [2, 4]\nseeds: 0\n";
  const v1::SweepSpec classic = added(lists, {"depth=4,6", "task=question,dyck", "seed=0-1"});
  EXPECT_THAT(classic.tasks(), ElementsAre("dyck", "question"));
  EXPECT_THAT(classic.depths(), ElementsAre(2, 4, 6));
  EXPECT_THAT(classic.seeds(), ElementsAre(0, 1));
  EXPECT_THAT(added(kProgram, {"width=65-70"}).axes(1).values_size(), 7);
}

TEST(AxesReader, ASpecWithoutANameTakesTheOneGiven) {
  SpecChanges changes;
  changes.default_name = "given";
  EXPECT_EQ(Spec("tasks: dyck\ndepths: 2\nseeds: 0\n", changes).name(), "given");
  EXPECT_EQ(Spec("name: own\ntasks: dyck\ndepths: 2\nseeds: 0\n", changes).name(), "own");
}

TEST(AxesReader, AnotherOrderIsAnotherSweep) {
  EXPECT_THAT(Axes(Spec("name: a\naxes: {depth: 2-4, task: dyck, seed: 3}\n")),
              ElementsAre("depth: 2 3 4", "task: dyck"));
}

TEST(AxesReader, ListsComeBeforeAxes) {
  EXPECT_THAT(Axes(Spec("name: a\naxes: {data.seed: [0-2, 7]}\ndepths: [2]\ntasks: question\n"
                        "seeds: 1\n")),
              ElementsAre("task: question", "depth: 2", "data.seed: 0 1 2 7"));
}

TEST(AxesReader, ValuesHaveCanonicalNames) {
  EXPECT_THAT(Axes(Spec("name: a\ntasks: question\ndepths: 2\nseeds: 0\naxes:\n"
                        "  train.learning_rate: [0.0003, 1E-4, .5]\n"
                        "  train.precision: [float32, tf32]\n"
                        "  model.dropout: 0..0.3 lin 4\n"
                        "  train.batch_size: 4..32 log 4\n")),
              ElementsAre("task: question", "depth: 2", "train.learning_rate: 3e-4 1e-4 0.5",
                          "train.precision: float32 tf32", "model.dropout: 0 0.1 0.2 0.3",
                          "train.batch_size: 4 8 16 32"));
}

TEST(AxesReader, ConditionsMeetValuesHoweverTheyAreWritten) {
  const v1::SweepSpec spec = Spec(
      "name: a\ntasks: question\ndepths: [2, 4]\nseeds: 0\naxes: {train.learning_rate: [3e-4, "
      "1e-4]}"
      "\nexclude:\n  - {train.learning_rate: 0.0003, depth: 4}\n");
  EXPECT_THAT(spec.exclude(0).where(0).values(), ElementsAre("3e-4"));
}

TEST(AxesReader, TheFolderOfAProgramCountsFromThatOfTheFile) {
  const auto directory = [](const std::string& given, const std::string& file) {
    const std::string text = absl::StrReplaceAll(kProgram, {{"/shared/study", given}});
    const absl::StatusOr<SpecFile> spec = ParseSpec(text, file);
    EXPECT_TRUE(spec.ok()) << spec.status();
    return spec.ok() ? spec->spec.program().directory() : "";
  };
  EXPECT_EQ(directory("/shared/study", "/home/a/mine.yaml"), "/shared/study");
  EXPECT_EQ(directory(".", "/home/a/mine.yaml"), "/home/a");
  EXPECT_EQ(directory("../b/", "/home/a/mine.yaml"), "/home/b");
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(directory("code", "studies/mine.yaml"), here + "/studies/code");
  EXPECT_EQ(directory(".", "<stdin>"), here);
}

TEST(AxesReader, ReadsAProgram) {
  const v1::SweepSpec spec = Read(kProgram);
  const v1::Program& program = spec.program();
  EXPECT_THAT(program.command(), ElementsAre("python3", "train.py"));
  EXPECT_EQ(program.directory(), "/shared/study");
  ASSERT_EQ(program.environment_size(), 1);
  EXPECT_EQ(program.environment(0).name(), "OMP_NUM_THREADS");
  EXPECT_EQ(program.environment(0).value(), "1");
  std::vector<std::string> settings;
  for (const v1::ProgramSetting& setting : program.settings())
    settings.push_back(absl::StrCat(setting.name(), "=", setting.value()));
  EXPECT_THAT(settings, ElementsAre("learning_rate=0.001", "width=128", "activation=\"relu\"",
                                    "tied=true", "decay=1.0"));
  EXPECT_EQ(program.pack(), 2);
  EXPECT_THAT(program.primary(), ElementsAre("val_accuracy"));
  EXPECT_EQ(program.time_limit(), 5'400);
  EXPECT_TRUE(program.has_gpus());
  EXPECT_EQ(program.gpus(), 0);
  EXPECT_EQ(program.threads(), 1);
  EXPECT_THAT(Axes(spec),
              ElementsAre("learning_rate: 0.001 0.003", "width: 64 65 66", "tied: true false"));
  EXPECT_EQ(spec.axes(0).values(1).settings().program(0).value(), "0.003");
  EXPECT_EQ(spec.axes(1).values(1).settings().program(0).value(), "65");
}

struct BadAxes {
  std::string name;
  std::string from;  // replaced in kGrid
  std::string to;
  std::string place;
  std::string message;
};

class BadGrid : public ::testing::TestWithParam<BadAxes> {};

TEST_P(BadGrid, IsRefusedWithItsPlaceAndARemedy) {
  const BadAxes& bad = GetParam();
  std::string text = kGrid;
  ASSERT_NE(text.find(bad.from), std::string::npos);
  text.replace(text.find(bad.from), bad.from.size(), bad.to);
  const std::string message = Message(text);
  EXPECT_THAT(message, HasSubstr(absl::StrCat("f.yaml:", bad.place, ": "))) << text;
  EXPECT_THAT(message, HasSubstr(bad.message)) << text;
}

INSTANTIATE_TEST_SUITE_P(
    Each, BadGrid,
    ::testing::Values(
        BadAxes{"UnknownSetting", "train.learning_rate:", "train.learning_rte:", "8:23",
                "axes.train.learning_rte is no setting; did you mean 'train.learning_rate'?"},
        BadAxes{"GroupForSetting", "train.learning_rate:", "train:", "8:10",
                "axes.train is a group of settings; write the whole path of one"},
        BadAxes{"AxisTwice", "  seed: 0-4", "  seed: 0-4\n  seed: 0-4", "10:3",
                "axes.seed stands here a second time (first in line 9); remove one"},
        BadAxes{"AxisAndItsList", "name: grid", "name: grid\nseeds: 0-4", "10:3",
                "axes.seed stands here and as `seeds`, which is short for it"},
        BadAxes{"PluralAxis", "  seed:", "  seeds:", "9:3", "unknown axis 'seeds'; did you mean"},
        BadAxes{"NoValue", "1e-5..1e-2 log 4", "", "8:3", "has no values; give it some"},
        BadAxes{"ListOfAxes", "axes:\n  task: [question, tense]", "axes: [task]\nx:", "2:7",
                "axes is a list; use a map with an axis in each line"},
        BadAxes{"ValueTwice", "[2, 4]", "[2, 2]", "7:14", "axes.depth[1]"},
        BadAxes{"WordForNumber", "[2, 4]", "[2, four]", "7:14",
                "axes.depth[1] is 'four', not a whole number"},
        BadAxes{"PointsWithoutCount", " log 4", "", "8:24", "no points; write the ends and how"},
        BadAxes{"PointsThatFall", "1e-5..1e-2", "1e-2..1e-5", "8:24",
                "has ends that do not rise; write 1e-5..1e-2 log 4"},
        BadAxes{"LogOfZero", "1e-5..1e-2", "0..1e-2", "8:24", "has an end that is not above 0"},
        BadAxes{"OnePoint", "log 4", "log 1", "8:24", "asks for 1 points; use from 2 to 1000"},
        BadAxes{"PointsTooNear", "1e-5..1e-2 log 4", "1e-3..1.01e-3 lin 9", "8:24",
                "twice, with three digits each; use fewer points"},
        BadAxes{"NoWholePoint", "[2, 4]", "1..10 log 4", "7:10",
                "has a point at 2.15, which is no whole number; list the values"},
        BadAxes{"EmptyRange", "[2, 4]", "4-2", "7:10", "has the range 4-2, which is empty"},
        BadAxes{"NoNames", "size:\n    small:", "size: [small]\n  sizes:\n    small:", "4:9",
                "axes.size is no setting; an axis of your own has a name for each value"},
        BadAxes{"NameOfASetting", "size:\n", "train.steps:\n", "5:5",
                "axes.train.steps is a setting, and its values stand in a list"},
        BadAxes{"BadValueName", "small:", "sm/all:", "5:5",
                "has a value 'sm/all' without a plain name"},
        BadAxes{"BadAxisName", "  size:", "  \"si ze\":", "4:3", "has no plain name"},
        BadAxes{"NoMapOfSettings", "paper: {}", "paper: 3", "6:12",
                "axes.size.paper is a single value; give it settings"},
        BadAxes{"NullSettings", "paper: {}", "paper:", "6:5", "has no settings; give it settings"},
        BadAxes{"UnknownSettingOfAValue", "d_ff: 512", "d_fff: 512", "5:51",
                "unknown setting 'model.d_fff' in axes.size.small; did you mean 'model.d_ff'?"},
        BadAxes{"SettingTwice", "heads: 4", "d_model: 64", "5:41",
                "axes.size.small.model.d_model stands here a second time"},
        BadAxes{"SettingOutOfRange", "d_ff: 512", "d_ff: 0", "5:57",
                "axes.size.small.model.d_ff is 0; use a whole number from 1 to 65536"},
        BadAxes{"ExcludeOfNoAxis", "size: paper}", "sise: paper}", "11:19",
                "unknown axis 'sise' in exclude[0]; did you mean 'size'?"},
        BadAxes{"ExcludeOfSeeds", "size: paper}", "seed: 3}", "11:19",
                "jobs that differ only in seed have the same settings"},
        BadAxes{"ExcludeOfNoValue", "size: paper}", "size: tiny}", "11:25", "tiny"},
        BadAxes{"ExcludeOfNothing", "{task: tense, size: paper}", "{}", "11:5",
                "exclude[0] has no condition"},
        BadAxes{"ExcludeAsMap", "  - {task: tense, size: paper}", "  task: tense", "11:3",
                "exclude is a map; use a list"},
        BadAxes{"WhereOfNoAxis", "{size: small, depth: 2}", "{sizes: small}", "13:13",
                "unknown key 'sizes' in overrides[0].where; did you mean 'size'?"},
        BadAxes{"WhereOfSeeds", "{size: small, depth: 2}", "{seed: 2}", "13:13",
                "`where` chooses by the other axes"},
        BadAxes{"WhereOfNoValue", "{size: small, depth: 2}", "{size: tiny}", "13:19", "tiny"}),
    [](const auto& info) { return info.param.name; });

class BadProgram : public BadGrid {};

TEST_P(BadProgram, IsRefusedWithItsPlaceAndARemedy) {
  const BadAxes& bad = GetParam();
  std::string text = kProgram;
  ASSERT_NE(text.find(bad.from), std::string::npos);
  text.replace(text.find(bad.from), bad.from.size(), bad.to);
  const std::string message = Message(text);
  EXPECT_THAT(message, HasSubstr(absl::StrCat("f.yaml:", bad.place, ": "))) << text;
  EXPECT_THAT(message, HasSubstr(bad.message)) << text;
}

INSTANTIATE_TEST_SUITE_P(
    Each, BadProgram,
    ::testing::Values(
        BadAxes{"UnknownKey", "  pack:", "  packs:", "7:3",
                "unknown key 'packs' in program; did you mean 'pack'?"},
        BadAxes{"KeyTwice", "  pack: 2", "  pack: 2\n  pack: 2", "8:3",
                "'pack' stands in program a second time (first in line 7)"},
        BadAxes{"CommandAsText", "[python3, train.py]", "python3 train.py", "3:12",
                "is one text, and no shell splits it"},
        BadAxes{"NoDuration", "1h30m", "90", "9:15", "program.time_limit is '90', no duration"},
        BadAxes{"BadNameOfASetting", "width: 128", "wid-th: 128", "6:35",
                "'wid-th' in program.settings is no name"},
        BadAxes{"NumberOfAnotherKind", "width: 128", "width: 1_000", "6:42",
                "not a finite number in plain form"},
        BadAxes{"AxisOfAnotherKind", "width: 64-66", "width: wide", "11:45",
                "axes.width[0] is 'wide', not a finite number"},
        BadAxes{"AxisOfNoSetting", "width: 64-66", "widht: 64-66", "11:45",
                "axes.widht is no setting; did you mean 'width'?"},
        BadAxes{"OverrideOfNoSetting", "train: {steps: 10000}",
                "train: {steps: 10000}\noverrides: [{where: {tied: true}, settings: {lr: 1}}]",
                "13:46", "unknown setting 'lr' in overrides[0].settings"},
        BadAxes{"ResourceOfNoKind", "gpus: 0", "gpu: 0", "10:15",
                "unknown key 'gpu' in program.resources; did you mean 'gpus'?"}),
    [](const auto& info) { return info.param.name; });

TEST(SpecFlags, SetChangesASetting) {
  EXPECT_EQ(Spec(kGrid, {{"train.batch_size=4", "name=other"}, {}}).train().batch_size(), 4);
  EXPECT_EQ(Spec(kGrid, {{"name=other"}, {}}).name(), "other");
  EXPECT_EQ(Read(kProgram, {{"activation=gelu"}, {}}).program().settings(2).value(), "\"gelu\"");
}

TEST(SpecFlags, AxisReplacesAddsAndChooses) {
  const std::string grid(absl::string_view(kGrid).substr(0, std::string(kGrid).find("exclude")));
  const v1::SweepSpec spec = Spec(
      grid,
      {{}, {"train.learning_rate=3e-4", "size=small", "seed=0-1,7", "data.seed=0-1", "task=dyck"}});
  EXPECT_THAT(Axes(spec), ElementsAre("task: dyck", "size: small", "depth: 2 4",
                                      "train.learning_rate: 3e-4", "data.seed: 0 1"));
  EXPECT_THAT(spec.seeds(), ElementsAre(0, 1, 7));
  const v1::SweepSpec lists =
      Spec("name: a\ntasks: [question]\ndepths: [2]\nseeds: 0\n", {{}, {"depth=4", "seed=3"}});
  EXPECT_THAT(lists.depths(), ElementsAre(4));
  EXPECT_THAT(lists.tasks(), ElementsAre("question"));
  EXPECT_THAT(lists.seeds(), ElementsAre(3));
}

TEST(SpecFlags, MistakesNameTheFlag) {
  EXPECT_THAT(Message(kGrid, {{"train.batch_size=many"}, {}}),
              HasSubstr("--set train.batch_size: train.batch_size is 'many', not a whole number"));
  EXPECT_THAT(Message(kGrid, {{"train.batch_size=0"}, {}}),
              HasSubstr("--set train.batch_size: train.batch_size is 0; use"));
  EXPECT_THAT(Message(kGrid, {{"batch_size=4"}, {}}),
              HasSubstr("--set batch_size: is no setting; did you mean 'train.batch_size'?"));
  EXPECT_THAT(Message(kGrid, {{"train.batch_size"}, {}}),
              HasSubstr("--set: 'train.batch_size' is no assignment"));
  EXPECT_THAT(Message(kGrid, {{"depth=2"}, {}}), HasSubstr("use --axis depth='2'"));
  EXPECT_THAT(Message(kGrid, {{"train.learning_rate=1e-4"}, {}}),
              HasSubstr("--set train.learning_rate: train.learning_rate is set by the axis"));
  EXPECT_THAT(Message(kGrid, {{}, {"size=tiny"}}),
              HasSubstr("--axis size: axes.size has no value 'tiny'; it has small, paper"));
  EXPECT_THAT(Message(kGrid, {{}, {"width=3"}}),
              HasSubstr("--axis width: axes.width is no setting"));
}

}  // namespace
}  // namespace coppice::cli
