// The text of a spec, printed by the library and read again, is the same spec.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/axis_values.h"
#include "cli/spec_reader.h"
#include "common/settings/table.h"
#include "common/spec/spec.h"
#include "common/spec/yaml.h"

namespace coppice::cli {
namespace {

using ::testing::HasSubstr;

void ExpectRoundTrip(const v1::SweepSpec& spec) {
  const std::string text = spec::ToYaml(spec);
  const absl::StatusOr<SpecFile> again = ParseSpec(text, "printed");
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << text;
  EXPECT_EQ(again->spec.SerializeAsString(), spec.SerializeAsString())
      << text << "\n"
      << spec.ShortDebugString() << "\n"
      << again->spec.ShortDebugString();
}

std::vector<std::string> SpecFiles() {
  std::vector<std::string> files;
  for (const char* folder : {"deploy/sweeps", "examples", "tests/fuzz/corpus/spec"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(
             absl::StrCat(COPPICE_SOURCE_DIR, "/", folder))) {
      if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
    }
  }
  return files;
}

TEST(SpecText, EverySpecOfTheTreeReadsBackAsItself) {
  int valid = 0;
  for (const std::string& path : SpecFiles()) {
    const absl::StatusOr<SpecFile> file = ReadSpecFile(path);
    if (!file.ok()) continue;  // some are made of mistakes
    SCOPED_TRACE(path);
    ExpectRoundTrip(file->spec);
    ++valid;
  }
  EXPECT_GE(valid, 10);
}

TEST(SpecText, IsWhatAPersonWouldWrite) {
  const auto paper = ReadSpecFile(absl::StrCat(COPPICE_SOURCE_DIR, "/deploy/sweeps/paper.yaml"));
  ASSERT_TRUE(paper.ok()) << paper.status();
  EXPECT_EQ(spec::ToYaml(paper->spec), R"(name: structural-grokking
tasks: [question, tense, dyck]
depths: [2, 4, 6, 8, 10]
seeds: 0-9
model: {d_model: 512, heads: 8, d_ff: 2048, dropout: 0.1}
train: {steps: 300000, batch_size: 8, learning_rate: 1e-4, warmup_steps: 10000}
report: {every: 3000}
checkpoint: {every: 15000, keep: 2}
overrides:
  - where: {task: dyck}
    train: {steps: 400000}
)");
}

TEST(SpecText, WritesAxesConditionsAndPrograms) {
  const std::string axes = R"(name: grid
tags: [night, 'true', '2024']
axes:
  task: [question, tense]
  size:
    small: {model.d_model: 128, model.heads: 4}
    paper: {}
  data.seed: [0-2, 7]
  train.learning_rate: [1e-4, 3e-4]
  depth: 2
  seed: [0-4, 9]
exclude:
  - {task: tense, size: paper}
overrides:
  - where: {depth: 2, size: small, data.seed: 0-2}
    train: {steps: 1000}
priority: -5
)";
  const auto grid = ParseSpec(axes, "f.yaml");
  ASSERT_TRUE(grid.ok()) << grid.status();
  EXPECT_EQ(spec::ToYaml(grid->spec), axes);
  const std::string program = R"(name: mine
axes:
  learning_rate: [0.001, 0.003]
  width: 64-66
  activation: [relu, '3', 'no']
  decay: [1.0, 0.5]
  seed: 0-4
program:
  command: [python3, train.py, '-u', 3]
  directory: '/shared/it''s here'
  environment: {OMP_NUM_THREADS: 1, EMPTY: ''}
  settings: {learning_rate: 0.001, width: 128, activation: relu, tied: true, decay: 1.0}
  pack: 2
  metrics: {primary: val_accuracy}
  time_limit: 1h30m
  resources: {gpus: 0, threads: 1}
train: {steps: 10000}
report: {every: 100}
overrides:
  - where: {width: 64, decay: 1.0}
    settings: {tied: false}
)";
  const auto mine = ParseSpec(program, "f.yaml");
  ASSERT_TRUE(mine.ok()) << mine.status();
  EXPECT_EQ(spec::ToYaml(mine->spec), program);
}

TEST(SpecText, BreaksLongLines) {
  v1::SweepSpec spec = ParseSpec("name: a\ntasks: question\ndepths: 2\nseeds: 0\n", "f")->spec;
  for (uint32_t seed = 2; seed < 400; seed += 2) spec.add_seeds(seed);
  const std::string text = spec::ToYaml(spec);
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    EXPECT_LE(text.find('\n', at) - at, 101);
  ExpectRoundTrip(spec);
}

// ---- generated specs

class SpecMaker {
 public:
  explicit SpecMaker(uint64_t seed) : random_(seed) {}

  // Mostly valid.
  v1::SweepSpec Make() {
    v1::SweepSpec spec;
    used_.clear();
    spec.set_name(OneOf({"a", "2024", "true", "x.y-1", "0e1"}));
    for (const char* tag : {"night", "7", "null", "a.b_c-d"}) {
      if (Chance(4)) spec.add_tags(tag);
    }
    const bool classic = Chance(3);
    AddGrid(classic, &spec);
    for (uint32_t seed = 0; seed < 12; ++seed) {
      if (seed == 5 || !Chance(4)) spec.add_seeds(seed * (Chance(6) ? 7 : 1));
    }
    AddSettings(&spec);
    for (int i = Number(3); i > 0; --i) AddOverride(classic, &spec);
    if (Chance(2)) spec.set_priority(Number(2001) - 1000);
    if (Chance(2)) spec.set_max_failures(1 + static_cast<uint32_t>(Number(9)));
    return spec;
  }

 private:
  int Number(int below) { return static_cast<int>(random_() % static_cast<uint64_t>(below)); }
  bool Chance(int one_in) { return Number(one_in) == 0; }
  std::string OneOf(const std::vector<std::string>& words) {
    return words[static_cast<size_t>(Number(static_cast<int>(words.size())))];
  }

  settings::Value ValueIn(const settings::IntegerRange& range) {
    const int64_t number = range.low + Number(range.high - range.low < 600 ? 3 : 600);
    return range.even ? number + number % 2 : number;
  }
  settings::Value ValueIn(const settings::NumberRange& range) {
    const double scale = std::pow(10.0, -Number(8));
    const double digits =
        static_cast<double>(1 + random_() % (Chance(2) ? 9 : 1'000'000'007)) / 1e9;
    return range.low + digits * scale * (std::min(range.high, 1.0) - range.low);
  }
  settings::Value ValueIn(const settings::WordRange& range) { return OneOf(range.words); }
  settings::Value ValueIn(const settings::PathRange&) {
    return OneOf({"/data", "/it's \"so\": # {x}, [y]", "/\xc3\xbc/*&!|>%@`", "/- a", "/a.inf"});
  }
  AxisScalar ScalarOf(const settings::Setting& setting) {
    AxisScalar scalar;
    scalar.value = std::visit([this](const auto& range) { return ValueIn(range); }, setting.range);
    scalar.name = settings::ValueText(scalar.value);
    return scalar;
  }
  const settings::Setting& AnySetting() {
    const auto& all = settings::RunSettings().settings();
    return all[static_cast<size_t>(Number(static_cast<int>(all.size())))];
  }

  void AddAxis(const settings::Setting& setting, v1::SweepSpec* spec) {
    if (!used_.insert(setting.path).second) return;
    v1::Axis* axis = spec->add_axes();
    axis->set_name(setting.path);
    std::set<std::string> names;
    for (int i = 1 + Number(4); i > 0; --i) {
      const AxisScalar scalar = ScalarOf(setting);
      if (!names.insert(scalar.name).second) continue;
      v1::AxisValue* value = axis->add_values();
      value->set_name(scalar.name);
      SetSetting({setting.path, ValueKind::kWord, false}, scalar, value->mutable_settings());
    }
  }

  void AddNamedAxis(v1::SweepSpec* spec) {
    v1::Axis* axis = spec->add_axes();
    axis->set_name(OneOf({"size", "Mine.x", "no", "kind_2"}));
    const settings::Setting& setting = AnySetting();
    if (!used_.insert(setting.path).second) return;
    for (const char* name : {"small", "1e5", "true"}) {
      v1::AxisValue* value = axis->add_values();
      value->set_name(name);
      value->mutable_settings();
      if (axis->values_size() < 3)
        SetSetting({setting.path, ValueKind::kWord, false}, ScalarOf(setting),
                   value->mutable_settings());
    }
  }

  void AddGrid(bool classic, v1::SweepSpec* spec) {
    const settings::Table& table = settings::RunSettings();
    if (classic) {
      for (const char* task : {"dyck", "question", "tense"}) {
        if (Chance(2)) spec->add_tasks(task);
      }
      for (uint32_t depth = 1; depth < 6; ++depth) {
        if (Chance(2)) spec->add_depths(depth);
      }
      return;
    }
    AddAxis(AnySetting(), spec);
    AddAxis(*table.Find("depth"), spec);
    if (Chance(2)) AddNamedAxis(spec);
    AddAxis(*table.Find("task"), spec);
    if (Chance(2)) AddAxis(AnySetting(), spec);
    if (Chance(3)) AddCondition(*spec, spec->add_exclude()->mutable_where());
  }

  void AddCondition(const v1::SweepSpec& spec,
                    google::protobuf::RepeatedPtrField<v1::AxisCondition>* conditions) {
    const v1::Axis& axis = spec.axes(Number(spec.axes_size()));
    v1::AxisCondition* condition = conditions->Add();
    condition->set_axis(axis.name());
    for (const v1::AxisValue& value : axis.values()) {
      if (Chance(2)) condition->add_values(value.name());
    }
  }

  void AddSettings(google::protobuf::Message* message) {
    for (int i = Number(6); i > 0; --i) {
      const settings::Setting& setting = AnySetting();
      if (setting.path != "task" && setting.path != "depth" && used_.count(setting.path) == 0)
        SetRunSetting(setting.path, ScalarOf(setting), message);
    }
  }

  void AddOverride(bool classic, v1::SweepSpec* spec) {
    v1::Override* change = spec->add_overrides();
    AddSettings(change);
    if (Chance(3)) return;
    v1::Where* where = change->mutable_where();
    if (classic && !spec->tasks().empty() && Chance(2)) where->add_task(spec->tasks(0));
    for (const uint32_t depth : spec->depths()) {
      if (Chance(2)) where->add_depth(depth);
    }
    if (!classic && Chance(2)) {
      AddCondition(*spec, where->mutable_axes());
      // Those two have lists of their own there.
      const std::string& axis = where->axes(0).axis();
      if (axis == "task" || axis == "depth") where->clear_axes();
    }
  }

  std::mt19937_64 random_;
  std::set<std::string> used_;  // settings that axes vary
};

TEST(SpecText, GeneratedSpecsReadBackAsThemselves) {
  SpecMaker maker(20261130);
  int valid = 0;
  int with_axes = 0;
  for (int i = 0; i < 2500 && !::testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(i);
    const v1::SweepSpec spec = maker.Make();
    if (!spec::ValidateSweepSpec(spec).empty()) continue;
    ExpectRoundTrip(spec);
    ++valid;
    with_axes += spec.axes().empty() ? 0 : 1;
  }
  EXPECT_GE(valid, 500);
  EXPECT_GE(with_axes, 150);
}

// ---- tags

std::string TagMessage(const std::string& tags) {
  const auto file = ParseSpec(
      absl::StrCat("name: a\ntasks: question\ndepths: 2\nseeds: 0\ntags: ", tags, "\n"), "f.yaml");
  return file.ok() ? absl::StrJoin(file->spec.tags(), " ") : std::string(file.status().message());
}

TEST(SpecTags, AreReadAndChecked) {
  EXPECT_EQ(TagMessage("[b, a.1]"), "b a.1");
  EXPECT_EQ(TagMessage("night"), "night");
  EXPECT_THAT(TagMessage("[a, 'b c']"),
              HasSubstr("f.yaml:5:11: tags[1] is 'b c', no tag; use at most 50 letters"));
  EXPECT_THAT(TagMessage("[a, b, a]"),
              HasSubstr("f.yaml:5:14: tags[2] names a a second time; remove one"));
  EXPECT_THAT(TagMessage(std::string(51, 'x')), HasSubstr("use at most 50"));
  EXPECT_THAT(TagMessage("{a: b}"), HasSubstr("tags is a map"));
  std::vector<std::string> many(21);
  for (size_t i = 0; i < many.size(); ++i) many[i] = absl::StrCat("t", i);
  EXPECT_THAT(TagMessage(absl::StrCat("[", absl::StrJoin(many, ", "), "]")),
              HasSubstr("f.yaml:5:7: tags holds 21 tags; use at most 20"));
}

TEST(SpecTags, AreNoPartOfTheSweep) {
  const auto plain = ParseSpec("name: a\ntasks: question\ndepths: 2\nseeds: 0\n", "f");
  const auto tagged = ParseSpec("name: a\ntasks: question\ndepths: 2\nseeds: 0\ntags: x\n", "f");
  EXPECT_TRUE(spec::SameSweep(plain->spec, tagged->spec));
}

}  // namespace
}  // namespace coppice::cli
