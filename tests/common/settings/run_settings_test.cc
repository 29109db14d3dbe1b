// Tests that the table does not contradict itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "common/settings/markdown.h"
#include "common/settings/precision.h"
#include "common/settings/table.h"

namespace coppice::settings {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(RunSettings, PathsAndFlagsAreUnique) {
  std::set<std::string> paths;
  std::set<std::string> flags;
  for (const Setting& setting : RunSettings().settings()) {
    EXPECT_TRUE(paths.insert(setting.path).second) << setting.path;
    if (!setting.flag.empty()) {
      EXPECT_TRUE(flags.insert(setting.flag).second) << setting.flag;
    }
    EXPECT_EQ(setting.flag.empty(), setting.for_worker) << setting.path;
    EXPECT_FALSE(setting.help.empty()) << setting.path;
  }
  for (const std::string& path : paths) {
    for (const std::string& other : paths)
      EXPECT_NE(other.substr(0, path.size() + 1), path + ".")
          << "a setting and a group of settings";
  }
}

TEST(RunSettings, ThePrecisionsOfTheTableAreThoseOfTheEnum) {
  const Setting& setting = *RunSettings().Find("train.precision");
  const std::vector<std::string>& words = std::get<WordRange>(setting.range).words;
  for (const std::string& word : words) {
    const std::optional<Precision> precision = PrecisionFromText(word);
    ASSERT_TRUE(precision.has_value()) << word;
    EXPECT_EQ(PrecisionText(*precision), word);
  }
  for (const Precision precision : {Precision::kFloat32, Precision::kTf32}) {
    EXPECT_THAT(words, ::testing::Contains(std::string(PrecisionText(precision))));
  }
  EXPECT_EQ(PrecisionFromText("bfloat16"), std::nullopt);
}

TEST(RunSettings, EveryDefaultIsInItsRangeAndEveryTasksDefaultsFitEachOther) {
  for (const std::string& task : std::get<WordRange>(RunSettings().Find("task")->range).words) {
    Values run = RunSettings().Defaults(task);
    for (const auto& [path, value] : run.all())
      EXPECT_EQ(WhatIsWrong(*RunSettings().Find(path), value, Origin::kSweep), std::nullopt)
          << path;
    run.Set("task", task);
    run.Set("depth", int64_t{2});
    EXPECT_THAT(RunSettings().Failed(run, Origin::kSweep), ElementsAre()) << task;
  }
}

TEST(RunSettings, EveryTaskThatHasADefaultOfItsOwnIsATask) {
  const auto& tasks = std::get<WordRange>(RunSettings().Find("task")->range).words;
  for (const Setting& setting : RunSettings().settings()) {
    for (const auto& [task, value] : setting.default_of_task)
      EXPECT_THAT(tasks, testing::Contains(task)) << setting.path;
  }
}

TEST(RunSettings, EveryCheckComparesSettingsAndNamesARemedy) {
  for (const CrossCheck& check : RunSettings().checks()) {
    for (const std::string& path : check.settings)
      EXPECT_NE(RunSettings().Find(path), nullptr) << path;
    EXPECT_THAT(check.remedy, testing::StartsWith("use ")) << check.settings.front();
    EXPECT_FALSE(check.mistake(RunSettings().Defaults("dyck")).empty());
  }
}

TEST(Table, AValueThatIsWrongByItselfIsNotComparedWithOthers) {
  Values run = RunSettings().Defaults("question");
  run.Set("model.heads", int64_t{0});  // division by zero must not happen
  run.Set("train.batch_size", int64_t{100'000});
  EXPECT_THAT(RunSettings().Failed(run, Origin::kSweep), ElementsAre());
  run.Set("model.heads", int64_t{7});
  const auto failed = RunSettings().Failed(run, Origin::kSweep);
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_THAT(failed[0]->mistake(run), HasSubstr("7 heads do not divide a d_model of 512"));
}

TEST(Table, NamesBelowAPathAreThoseOfTheNextLevel) {
  EXPECT_THAT(RunSettings().NamesBelow(""),
              ElementsAre("task", "depth", "model", "train", "data", "report", "checkpoint"));
  EXPECT_THAT(RunSettings().NamesBelow("data.files"), ElementsAre("train", "val", "test", "gen"));
  EXPECT_THAT(RunSettings().NamesBelow("dat"), ElementsAre());
}

}  // namespace
}  // namespace coppice::settings
