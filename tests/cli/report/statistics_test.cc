// The statistics of a report against values worked out by hand.
#include "cli/report/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "cli/report/analysis.h"
#include "cli/report/published.h"
#include "common/spec/spec.h"

namespace coppice::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Curve Steps(std::vector<double> values) {
  Curve curve;
  for (const double value : values) {
    curve.push_back({static_cast<uint32_t>(100 * (curve.size() + 1)), value});
  }
  return curve;
}

TEST(Statistics, WilsonIntervalsAreThoseOfTheTextbook) {
  // 8 of 10: center (0.8 + 3.8415 / 20) / 1.38415 = 0.71674, half width 0.22657.
  EXPECT_NEAR(WilsonInterval(8, 10).low, 0.490162, 1e-6);
  EXPECT_NEAR(WilsonInterval(8, 10).high, 0.943318, 1e-6);
  // 0 of 10 ends at z^2 / (n + z^2).
  EXPECT_EQ(WilsonInterval(0, 10).low, 0);
  EXPECT_NEAR(WilsonInterval(0, 10).high, 3.841459 / 13.841459, 1e-6);
  EXPECT_NEAR(WilsonInterval(10, 10).low, 10 / 13.841459, 1e-6);
  EXPECT_EQ(WilsonInterval(10, 10).high, 1);
  EXPECT_NEAR(WilsonInterval(1, 1).low, 1 / 4.841459, 1e-6);
  EXPECT_EQ(WilsonInterval(0, 0).low, 0);
  EXPECT_EQ(WilsonInterval(0, 0).high, 1);
}

TEST(Statistics, MomentsUseTheSampleDeviation) {
  const Moments moments = Summarize({0.2, 0.4, 0.9});
  EXPECT_EQ(moments.n, 3u);
  EXPECT_DOUBLE_EQ(moments.mean, 0.5);
  EXPECT_DOUBLE_EQ(moments.std, std::sqrt(0.13));  // (0.09 + 0.01 + 0.16) / 2
  EXPECT_EQ(moments.min, 0.2);
  EXPECT_EQ(moments.max, 0.9);
  EXPECT_EQ(Summarize({0.7}).std, 0);
  EXPECT_EQ(Summarize(std::vector<double>(7, 0.9)).std, 0) << "not the rounding of a sum";
  EXPECT_EQ(Summarize({}).n, 0u);
}

TEST(Statistics, TheOnsetIsWhereACurveStaysAboveToItsEnd) {
  EXPECT_EQ(FirstStaysAbove(Steps({0.1, 0.9, 0.7, 0.85, 0.95}), 0.8), 400u);
  EXPECT_EQ(FirstStaysAbove(Steps({0.9, 0.9}), 0.8), 100u);
  EXPECT_EQ(FirstStaysAbove(Steps({0.1, 0.9, 0.8}), 0.8), std::nullopt) << "0.8 is not above 0.8";
  EXPECT_EQ(FirstStaysAbove({}, 0.8), std::nullopt);
}

TEST(Statistics, EarlyStoppingTakesTheEarliestBestReport) {
  // The best of the first two reports is at 200. Five reports without a rise end at 700. Later
  // reports are never seen.
  const auto stop = StopEarly(Steps({0.5, 0.9, 0.9, 0.8, 0.9, 0.7, 0.9, 1.0}), 5);
  ASSERT_TRUE(stop.has_value());
  EXPECT_EQ(stop->stopped, 700u);
  EXPECT_EQ(stop->checkpoint, 200u);
}

TEST(Statistics, ARiseWithinThePatienceStartsItAnew) {
  const auto stop = StopEarly(Steps({0.9, 0.8, 0.8, 0.8, 0.8, 0.91, 0.9}), 5);
  ASSERT_TRUE(stop.has_value());
  EXPECT_EQ(stop->stopped, std::nullopt) << "patience never ran out";
  EXPECT_EQ(stop->checkpoint, 600u);
  EXPECT_FALSE(StopEarly({}, 5).has_value());
}

TEST(Statistics, AMeanCurveTellsHowManySeedsItIsOf) {
  const Curve a = Steps({0.2, 0.4}), b = Steps({0.4});
  const std::vector<MeanPoint> mean = MeanCurve({&a, &b});
  ASSERT_EQ(mean.size(), 2u);
  EXPECT_EQ(mean[0].of.n, 2u);
  EXPECT_DOUBLE_EQ(mean[0].of.mean, 0.3);
  EXPECT_EQ(mean[1].step, 200u);
  EXPECT_EQ(mean[1].of.n, 1u);
  EXPECT_EQ(ValueAt(a, 200), 0.4);
  EXPECT_EQ(ValueAt(a, 150), std::nullopt);
}

// Jobs of one seed at these depths, with the final accuracy `gen`.
SweepSeries Ending(const std::vector<std::pair<uint32_t, double>>& depths) {
  SweepSeries series;
  for (const auto& [depth, gen] : depths) {
    JobSeries& job = series.jobs.emplace_back();
    job.job.set_task("question");
    job.job.set_depth(depth);
    job.job.set_state(v1::SUCCEEDED);
    job.curves[kIdAccuracy] = Steps({0.5, 1.0});
    job.curves[kGenAccuracy] = Steps({0.1, gen});
  }
  return series;
}

TEST(Analysis, OfEquallyHighMeansTheShallowerDepthIsDrawn) {
  const SweepSeries series = Ending({{2, 0.3}, {4, 0.9}, {6, 0.9}, {8, 0.1}});
  const std::vector<TaskResult> tasks = Analyze(series);
  ASSERT_EQ(tasks.size(), 1u);
  ASSERT_NE(tasks[0].highest(), nullptr);
  EXPECT_EQ(tasks[0].highest()->depth, 4u);
  EXPECT_EQ(tasks[0].last_step, 200u);
}

TEST(Analysis, FailedAndCancelledJobsDoNotCountAndRunningOnesDoForNow) {
  SweepSeries series = Ending({{2, 0.3}, {2, 0.9}, {2, 0.9}, {2, 0.9}});
  series.jobs[1].job.set_state(v1::FAILED);
  series.jobs[2].job.set_state(v1::CANCELLED);
  series.jobs[3].job.set_state(v1::RUNNING);
  const std::vector<TaskResult> tasks = Analyze(series);
  const DepthResult& depth = tasks[0].depths[0];
  EXPECT_EQ(depth.jobs, 4u);
  EXPECT_EQ(depth.seeds.size(), 2u);
  EXPECT_EQ(depth.provisional, 1u);
  EXPECT_DOUBLE_EQ(depth.gen.mean, 0.6);
  EXPECT_EQ(depth.above, 1u);
}

TEST(Published, TheCurvesInTheProgramAreWholeAndInOrder) {
  EXPECT_EQ(PublishedCurves().size(), 11u);
  const PublishedCurve* gen = FindPublished("tense", "gen_accuracy");
  ASSERT_NE(gen, nullptr);
  EXPECT_EQ(gen->depth, 4u);
  ASSERT_EQ(gen->points.size(), 100u);
  EXPECT_EQ(gen->points[0].step, 3'000u);
  EXPECT_NEAR(gen->points[0].of.mean, 0.025, 0.0005);
  EXPECT_NEAR(gen->points[0].of.std, 0.010, 0.0005);
  EXPECT_EQ(FindPublished("dyck", "t_parseval"), nullptr);
  EXPECT_EQ(FindPublished("walk", "gen_accuracy"), nullptr);
}

TEST(Published, ABadLineIsNamed) {
  const std::string header = "task,depth,metric,step,seeds,mean,std,min,max\n";
  EXPECT_TRUE(ParsePublished(header + "dyck,6,t_score,10,3,.5,.1,.4,.6\n").ok());
  for (const char* bad : {"dyck,6,t_score,10,3,.5,.1,.4\n", "dyck,six,t_score,10,3,.5,.1,.4,.6\n",
                          "dyck,6,t_score,10,3,.5,.1,.4,.6\ndyck,6,t_score,10,3,.5,.1,.4,.6\n"}) {
    const absl::Status status = ParsePublished(header + bad).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("line ")) << bad;
  }
  EXPECT_FALSE(ParsePublished("dyck,6,t_score,10,3,.5,.1,.4,.6\n").ok()) << "the header is missing";
}

TEST(Published, OnlySettingsThatChangeTheResultAreCompared) {
  v1::SweepSpec spec;
  spec.mutable_train()->set_steps(100);
  spec.mutable_report()->set_every(10);
  EXPECT_THAT(DifferencesFromPublished(spec::ResolveRun(spec, "question", 6)), IsEmpty());
  spec.mutable_model()->set_heads(4);
  EXPECT_THAT(DifferencesFromPublished(spec::ResolveRun(spec, "question", 6)),
              ElementsAre("heads 4 (published 8)"));
}

}  // namespace
}  // namespace coppice::cli
