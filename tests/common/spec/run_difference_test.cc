#include "common/spec/run_difference.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "common/spec/axes.h"

namespace coppice::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The first point of a spec.
v1::RunConfig FirstRun(const std::string& text) {
  v1::SweepSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  v1::RunConfig run;
  ForEachPoint(spec, [&run](const GridPoint& point) {
    run = point.run;
    return absl::CancelledError("");
  }).IgnoreError();
  return run;
}

std::vector<std::string> Paths(const v1::RunConfig& there, const v1::RunConfig& here) {
  const std::vector<RunDifference> found = RunDifferences(there, here);
  std::vector<std::string> paths;
  paths.reserve(found.size());
  for (const RunDifference& difference : found)
    paths.push_back(difference.path + " " + difference.there + " " + difference.here);
  return paths;
}

constexpr char kGrid[] = "name: 'demo' tasks: 'question' depths: 2 seeds: 0 ";
constexpr char kProgram[] =
    "name: 'demo' seeds: 0 train { steps: 10 } program { command: 'train' directory: '/p' "
    "settings { name: 'width' value: '3' } ";

TEST(RunDifferences, NamesEachSettingThatDiffers) {
  const std::string grid = kGrid;
  EXPECT_THAT(Paths(FirstRun(grid), FirstRun(grid + "model { heads: 8 }")), IsEmpty());
  EXPECT_THAT(Paths(FirstRun(grid + "train { steps: 10 }"),
                    FirstRun(grid + "train { steps: 20 } checkpoint { keep: 7 }")),
              ElementsAre("train.steps 10 20", "checkpoint.keep 2 7"));
}

TEST(RunDifferences, NamesTheSettingsOfAProgramAndTheProgramItself) {
  const std::string program = kProgram;
  EXPECT_THAT(Paths(FirstRun(program + "}"), FirstRun(program + "}")), IsEmpty());
  EXPECT_THAT(
      Paths(FirstRun(program + "}"),
            FirstRun(
                "name: 'demo' seeds: 0 train { steps: 10 } program { command: 'other' directory: "
                "'/p' settings { name: 'width' value: '4' } time_limit: 60 }")),
      ElementsAre("program.command [\"train\"] [\"other\"]", "program.settings.width 3 4",
                  "program.time_limit unset 60"));
}

TEST(RunDifferences, OnlyWhatIsKeptAndWatchedMayChangeInARun) {
  for (const char* path :
       {"checkpoint.every", "checkpoint.keep", "checkpoint.keep_every", "report.stall_seconds"}) {
    EXPECT_TRUE(IsSettingOfKeeping(path)) << path;
  }
  for (const char* path : {"report.every", "train.batch_size", "data.seed", "program.command"})
    EXPECT_FALSE(IsSettingOfKeeping(path)) << path;
}

TEST(CommonRowEvery, CountsProbesWhereThereAreAny) {
  const std::string grid = std::string(kGrid) + "report { every: 10 ";
  EXPECT_EQ(CommonRowEvery(FirstRun(grid + "probes { sentences: 0 every: 5 } }")), 10u);
  EXPECT_EQ(CommonRowEvery(FirstRun(grid + "probes { sentences: 4 every: 5 } }")), 50u);
  EXPECT_EQ(CommonRowEvery(FirstRun(grid + "probes { sentences: 4 every: 1 } }")), 10u);
  EXPECT_EQ(CommonRowEvery(FirstRun(std::string(kProgram) + "} report { every: 3 }")), 3u);
}

}  // namespace
}  // namespace coppice::spec
