// Tests of grids with free axes: their points, names and resolved runs.
#include "common/spec/axes.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "common/spec/difference.h"
#include "common/spec/plan.h"
#include "common/spec/spec.h"
#include "common/spec/warnings.h"

namespace coppice::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::SweepSpec Parse(const std::string& text) {
  v1::SweepSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

std::vector<GridPoint> PointsOf(const v1::SweepSpec& spec) {
  EXPECT_THAT(ProblemsToStatus(ValidateSweepSpec(spec)).message(), "");
  std::vector<GridPoint> points;
  EXPECT_TRUE(ForEachPoint(spec, [&](const GridPoint& point) {
                points.push_back(point);
                return absl::OkStatus();
              }).ok());
  return points;
}

std::vector<std::string> TextsOf(const std::vector<GridPoint>& points) {
  std::vector<std::string> texts;
  texts.reserve(points.size());
  for (const GridPoint& point : points)
    texts.push_back(PointText(point.coordinates, point.task, point.depth));
  return texts;
}

// Two named sizes, a rate, a depth; one combination is left out.
constexpr char kAxes[] = R"(name: 'grid' seeds: 0 seeds: 1
  axes { name: 'size'
         values { name: 'small' settings { task: 'tense' model { d_model: 64 heads: 4 } } }
         values { name: 'paper' settings { task: 'dyck' } } }
  axes { name: 'depth' values { name: '2' settings { depth: 2 } }
                       values { name: '4' settings { depth: 4 } } }
  axes { name: 'train.learning_rate'
         values { name: '3e-4' settings { train { learning_rate: 3e-4 } } }
         values { name: '0.001' settings { train { learning_rate: 1e-3 } } } }
  exclude { where { axis: 'size' values: 'paper' } where { axis: 'depth' values: '4' } } )";

TEST(Axes, OfAClassicSweepAreTaskAndDepth) {
  const v1::SweepSpec spec = Parse("name: 'a' tasks: ['dyck', 'tense'] depths: [4, 2] seeds: 0");
  const std::vector<v1::Axis> axes = AxesOf(spec);
  ASSERT_EQ(axes.size(), 2);
  EXPECT_EQ(FindAxis(axes, "task")->values(1).name(), "tense");
  EXPECT_EQ(FindAxis(axes, "depth")->values(0).settings().depth(), 4);
  EXPECT_EQ(FindAxis(axes, "seed"), nullptr);
  const std::vector<GridPoint> points = PointsOf(spec);
  EXPECT_THAT(TextsOf(points), ElementsAre("dyck/4", "dyck/2", "tense/4", "tense/2"));
  for (const GridPoint& point : points) {
    EXPECT_THAT(point.coordinates, IsEmpty());
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
        point.run, ResolveRun(spec, point.task, point.depth)));
  }
  EXPECT_EQ(JobText({}, "dyck", 4, 7), "dyck/4/7");
}

TEST(Axes, MakePointsWithTheInnermostVaryingFastest) {
  const std::vector<GridPoint> points = PointsOf(Parse(kAxes));
  EXPECT_THAT(TextsOf(points), ElementsAre("size=small/depth=2/train.learning_rate=3e-4",
                                           "size=small/depth=2/train.learning_rate=0.001",
                                           "size=small/depth=4/train.learning_rate=3e-4",
                                           "size=small/depth=4/train.learning_rate=0.001",
                                           "size=paper/depth=2/train.learning_rate=3e-4",
                                           "size=paper/depth=2/train.learning_rate=0.001"));
  EXPECT_EQ(CountPoints(Parse(kAxes)), 6);
  EXPECT_EQ(points[3].task, "tense");
  EXPECT_EQ(points[3].depth, 4);
  EXPECT_EQ(points[3].run.model().d_model(), 64);
  EXPECT_EQ(points[3].run.train().learning_rate(), 1e-3);
  EXPECT_EQ(points[3].run.train().steps(), 300'000);
  EXPECT_EQ(points[5].run.model().d_model(), 512);
  EXPECT_EQ(points[5].run.train().steps(), 400'000) << "dyck has its own default";
  EXPECT_EQ(JobText(points[5].coordinates, "dyck", 2, 9),
            "size=paper/depth=2/train.learning_rate=0.001/seed=9");
}

TEST(Axes, StandBelowOverridesThatNameAnyOfThem) {
  const std::vector<GridPoint> points =
      PointsOf(Parse(std::string(kAxes) + R"(train { steps: 50000 warmup_steps: 5 }
        overrides { where { axes { axis: 'size' values: 'small' } depth: 4 } train { steps: 40 } }
        overrides { where { axes { axis: 'train.learning_rate' values: '3e-4' } }
                    train { warmup_steps: 7 } })"));
  EXPECT_EQ(points[0].run.train().steps(), 50'000);
  EXPECT_EQ(points[2].run.train().steps(), 40);
  EXPECT_EQ(points[3].run.train().steps(), 40);
  EXPECT_EQ(points[4].run.train().warmup_steps(), 7);
  EXPECT_EQ(points[5].run.train().warmup_steps(), 5);
}

TEST(Axes, MakeAPlanOfTheirPoints) {
  const v1::Plan plan = MakePlan(Parse(kAxes), 0);
  ASSERT_EQ(plan.groups_size(), 6);
  EXPECT_EQ(plan.jobs(), 12);
  EXPECT_EQ(plan.groups(2).depth(), 4);
  EXPECT_EQ(plan.groups(2).point(1).axis(), "depth");
  EXPECT_EQ(plan.groups(2).point(1).value(), "4");
}

TEST(Axes, GetWarningsAtTheValueThatCausesThem) {
  const v1::SweepSpec spec = Parse(R"(name: 'a' seeds: 0
      axes { name: 'task' values { name: 'dyck' settings { task: 'dyck' } } }
      axes { name: 'length'
             values { name: 'short' settings { depth: 2 train { steps: 100 } } }
             values { name: 'long' settings { depth: 2 } } }
      train { warmup_steps: 1000 } checkpoint { every: 10 }
      report { every: 10 probes { sentences: 0 } })");
  const std::vector<Problem> warnings = Warnings(spec);
  ASSERT_EQ(warnings.size(), 1) << ProblemsToStatus(warnings);
  EXPECT_EQ(warnings[0].path, "train.warmup_steps");
  EXPECT_THAT(warnings[0].message, testing::HasSubstr("(task=dyck/length=short)"));
}

TEST(Differences, NameAxesValuesPointsAndSettings) {
  const v1::SweepSpec there = Parse(kAxes);
  EXPECT_TRUE(SameSweep(there, there));
  v1::SweepSpec here = there;
  here.mutable_axes(2)->mutable_values()->RemoveLast();
  here.mutable_model()->set_dropout(0.5);
  EXPECT_THAT(Differences(there, here),
              ElementsAre("axis train.learning_rate has 0.001, 3e-4 there and 3e-4 here",
                          "model.dropout is 0.1 there and 0.5 here"));
  here = there;
  here.clear_exclude();
  EXPECT_THAT(Differences(there, here),
              ElementsAre("exclude takes out there size=paper/depth=4/train.learning_rate=0.001, "
                          "size=paper/depth=4/train.learning_rate=3e-4"));
  here = there;
  here.mutable_axes()->SwapElements(0, 1);
  EXPECT_THAT(Differences(there, here),
              ElementsAre("axes are size, depth, train.learning_rate there and depth, size, "
                          "train.learning_rate here"));
  // The values of a named axis are what they set.
  here = there;
  here.mutable_axes(0)->mutable_values(0)->mutable_settings()->mutable_model()->set_d_ff(100);
  EXPECT_THAT(Differences(there, here),
              ElementsAre("model.d_ff is 2048 there and 100 here "
                          "(size=small/depth=2/train.learning_rate=0.001, "
                          "size=small/depth=2/train.learning_rate=3e-4, "
                          "size=small/depth=4/train.learning_rate=0.001, "
                          "size=small/depth=4/train.learning_rate=3e-4)"));
}

TEST(Differences, SeeASettingThatOneOfTheSweepsLeavesUnset) {
  const v1::SweepSpec there = Parse("name: 'a' tasks: 'dyck' depths: 1 seeds: 0");
  v1::SweepSpec here = there;
  here.mutable_report()->set_stall_seconds(90);
  EXPECT_THAT(Differences(there, here),
              ElementsAre("report.stall_seconds is unset there and 90 here"));
}

}  // namespace
}  // namespace coppice::spec
