// Curves over training steps: their axis, their seeds, and a panel for each depth.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/report/drawing.h"
#include "cli/report/figures.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// Jobs that report every 1,000 steps up to 40,000.
SweepSeries Sweep(const std::vector<uint32_t>& depths, uint32_t seeds, uint32_t first = 1'000) {
  SweepSeries series;
  for (const uint32_t depth : depths) {
    for (uint32_t seed = 0; seed < seeds; ++seed) {
      JobSeries& job = series.jobs.emplace_back();
      job.job.set_task("question");
      job.job.set_depth(depth);
      job.job.set_seed(seed);
      job.job.set_state(v1::SUCCEEDED);
      for (uint32_t step = first; step <= 40'000; step += 1'000) {
        job.curves[kIdAccuracy].push_back({step, 0.99});
        job.curves[kGenAccuracy].push_back({step, 0.5 + 0.01 * seed});
        job.curves[kTrainLoss].push_back({step, 200.0 / (step + 100)});
        job.curves[kValLoss].push_back({step, 150.0 / (step + 100)});
        job.curves[kTScore].push_back({step, 0.1});
      }
    }
  }
  return series;
}

Figure Named(const SweepSeries& series, const std::string& name) {
  for (Figure& figure : MakeFigures(series, Analyze(series)).figures) {
    if (figure.name == name) return std::move(figure);
  }
  ADD_FAILURE() << "no figure " << name;
  return {};
}

size_t Count(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(StepAxis, CurvesThatSpanDecadesAreOnALogAxisAndTheCaptionSaysSo) {
  const SweepSeries series = Sweep({2, 4}, 3);
  for (const char* name : {"grokking", "accuracy-question", "loss-question", "dynamics-question"}) {
    const Figure figure = Named(series, name);
    EXPECT_THAT(figure.plot.Script("x"),
                AllOf(HasSubstr("set logscale x"), Not(HasSubstr("unset logscale x")),
                      HasSubstr("training step (log)")))
        << name;
    EXPECT_THAT(figure.caption, HasSubstr("Steps are on a log axis, which begins at the first "
                                          "report; nothing was reported at step 0."));
  }
}

TEST(StepAxis, ReportsWithinAFactorOfTenStayLinear) {
  SweepSeries series = Sweep({2}, 2);
  for (JobSeries& job : series.jobs) {
    for (Curve& curve : job.curves) {
      if (!curve.empty()) curve.erase(curve.begin(), curve.begin() + 10);
    }
  }
  const Figure figure = Named(series, "grokking");
  EXPECT_THAT(figure.plot.Script("x"), Not(HasSubstr("\nset logscale x")));
  EXPECT_THAT(figure.caption, HasSubstr("linear axis: the reports span less than a factor of ten"));
}

TEST(StepAxis, Step0HasAPlaceOfItsOwnOnALogAxis) {
  const SweepSeries series = Sweep({2}, 2, /*first=*/0);
  const TaskResult task = Analyze(series)[0];
  EXPECT_TRUE(task.has_step_0);
  EXPECT_EQ(task.first_step, 1'000u);
  const StepAxis axis(task);
  EXPECT_LT(axis.zero(), 1'000);
  EXPECT_GT(axis.zero(), axis.low());
  Panel panel;
  axis.Put(&panel);
  EXPECT_EQ(panel.x.marks[0].second, "0");
  EXPECT_GE(panel.x.marks[1].first, 1'000);
  const Figure figure = Named(series, "grokking");
  EXPECT_THAT(figure.caption,
              HasSubstr("A log axis has no 0: reports at step 0 are the points left of the dotted "
                        "line."));
  // The line begins at the first report, not at a zero, which a log axis drops.
  EXPECT_THAT(figure.plot.Script("x"), AllOf(HasSubstr("EOD\n1000 "), Not(HasSubstr("\n0 0."))));
}

TEST(StepAxis, LogTicksAreRound) {
  const auto labels = [](double low, double high) {
    std::vector<std::string> found;
    for (const auto& [value, label] : LogValueTicks(low, high).marks) found.push_back(label);
    return found;
  };
  EXPECT_THAT(labels(900, 41'000), ElementsAre("1000", "3000", "10000", "30000"));
  EXPECT_THAT(labels(0.009, 12), ElementsAre("0.01", "0.1", "1", "10"));
  EXPECT_THAT(labels(1.5, 7), ElementsAre("2", "5"));
}

TEST(Multiples, EveryDepthHasItsAccuracyAndItsLoss) {
  for (const size_t count : {1u, 5u, 12u}) {
    std::vector<uint32_t> depths;
    for (uint32_t depth = 1; depth <= count; ++depth) depths.push_back(depth);
    const SweepSeries series = Sweep(depths, 2);
    for (const char* name : {"accuracy-question", "loss-question"}) {
      const std::string script = Named(series, name).plot.Script("x");
      for (const uint32_t depth : depths)
        EXPECT_EQ(Count(script, absl::StrCat("'depth ", depth, "'")), 2u) << name;  // SVG and PDF
      EXPECT_THAT(Named(series, name).csv, HasSubstr(absl::StrCat("\n", count, ",mean,")));
    }
  }
}

TEST(Multiples, MoreDepthsThanFitAPageGoToAnotherFigure) {
  std::vector<uint32_t> depths;
  for (uint32_t depth = 1; depth <= 14; ++depth) depths.push_back(depth);
  const SweepSeries series = Sweep(depths, 1);
  EXPECT_THAT(Named(series, "accuracy-question").plot.Script("x"), Not(HasSubstr("'depth 13'")));
  EXPECT_THAT(Named(series, "accuracy-question-2").plot.Script("x"), HasSubstr("'depth 13'"));
  EXPECT_THAT(Named(series, "loss-question-2").title, HasSubstr("2 of 2"));
  EXPECT_LT(Named(series, "accuracy-question").plot.height(), 9.5) << "a page is 10.5 inches high";
}

TEST(Multiples, ALossThatSpansDecadesIsOnALogAxis) {
  const SweepSeries series = Sweep({2}, 2);
  const Figure figure = Named(series, "loss-question");
  EXPECT_THAT(figure.plot.Script("x"),
              AllOf(HasSubstr("set logscale y"), HasSubstr("'training (mean)'"),
                    HasSubstr("'validation (mean)'"), HasSubstr("loss (log)")));
  EXPECT_THAT(figure.caption, HasSubstr("The loss is on a log axis"));
  EXPECT_THAT(figure.csv, HasSubstr("\n2,mean,val_loss,40000,2,0.0037"));
  SweepSeries flat = Sweep({2}, 2);
  for (JobSeries& job : flat.jobs) {
    for (const Metric metric : {kTrainLoss, kValLoss}) {
      for (Point& point : job.curves[metric]) point.value = 2 + 1e-5 * point.step;
    }
  }
  EXPECT_THAT(Named(flat, "loss-question").plot.Script("x"), Not(HasSubstr("\nset logscale y")));
}

TEST(Multiples, ADepthWithoutReportsIsNamed) {
  SweepSeries series = Sweep({2, 4, 6}, 1);
  for (Curve& curve : series.jobs[1].curves) curve.clear();
  series.jobs[1].job.set_state(v1::FAILED);
  const FigureSet set = MakeFigures(series, Analyze(series));
  EXPECT_THAT(Named(series, "loss-question").plot.Script("x"), Not(HasSubstr("'depth 4'")));
  EXPECT_THAT(set.missing, ::testing::Contains(
                               HasSubstr("question: no job that counts has reported at depth 4")));
}

TEST(Seeds, EveryFigureTellsHowManySeedsItIsOf) {
  SweepSeries series = Sweep({2, 4}, 3);
  for (JobSeries& job : series.jobs) {
    for (Point& point : job.curves[kGenAccuracy]) point.value += 0.4;  // so that there are onsets
  }
  for (const Figure& figure : MakeFigures(series, Analyze(series)).figures) {
    ASSERT_TRUE(figure.drawn()) << figure.absent;
    EXPECT_THAT(figure.caption, HasSubstr(" Seeds: n = 3 at every point.")) << figure.name;
    const std::string script = figure.plot.Script("x");
    EXPECT_TRUE(Count(script, "n = 3") + Count(script, "n=3") > 0) << figure.name;
  }
}

TEST(Seeds, GroupsThatDifferAreNamed) {
  SweepSeries series = Sweep({2, 4}, 5);
  series.jobs.resize(8);  // three seeds at depth 4
  for (JobSeries& job : series.jobs) {
    for (Point& point : job.curves[kGenAccuracy]) point.value += 0.4;
  }
  EXPECT_THAT(Named(series, "onset").caption,
              HasSubstr(" Seeds: n = 3 to 5; fewer than 5: question depth 4 (n = 3)."));
  // One seed of depth 2 has reached step 30,000 only.
  for (Curve& curve : series.jobs[0].curves) {
    if (!curve.empty()) curve.resize(30);
  }
  const Figure figure = Named(series, "accuracy-question");
  EXPECT_THAT(figure.caption,
              HasSubstr(" Seeds: n = 3 to 5; fewer than 5: depth 2 (n = 4 to 5; fewer than 5 at "
                        "steps 31,000 to 40,000), depth 4 (n = 3)."));
  EXPECT_THAT(figure.plot.Script("x"), AllOf(HasSubstr("'n = 4 to 5'"), HasSubstr("'n = 3'")));
}

TEST(Seeds, OneSeedHasNoSpread) {
  const Figure figure = Named(Sweep({2}, 1), "accuracy-question");
  EXPECT_THAT(figure.caption, HasSubstr("Seeds: n = 1 everywhere, so no spread is known."));
  EXPECT_THAT(figure.plot.Script("x"), Not(HasSubstr("standard deviation")));
}

TEST(Absent, AFigureWithoutDataSaysWhyAndWhatFillsIt) {
  SweepSeries series = Sweep({2}, 2);
  series.sweep.mutable_sweep()->set_name("demo");
  for (JobSeries& job : series.jobs) {
    for (const Metric metric : {kTrainLoss, kValLoss, kTScore}) job.curves[metric].clear();
  }
  const auto absent = [&](const char* name) {
    const Figure figure = Named(series, name);
    EXPECT_FALSE(figure.drawn()) << name;
    return figure.absent;
  };
  EXPECT_THAT(absent("loss-question"),
              HasSubstr("question: no job that counts has reported train_loss, val_loss; "));
  EXPECT_THAT(absent("dynamics-question"), HasSubstr("report.probes"));
  EXPECT_THAT(absent("onset"),
              HasSubstr("question: no seed's generalization accuracy (of 2 seeds) stays above 0.80 "
                        "to its last report"));
  for (JobSeries& job : series.jobs) job.curves[kGenAccuracy].clear();
  for (const char* name : {"grokking", "early-stopping", "share-above-80", "onset"})
    EXPECT_THAT(absent(name), HasSubstr("gen_accuracy; the trainer measures it on the "
                                        "generalization set (data.gen"));
  for (JobSeries& job : series.jobs) job.curves[kIdAccuracy].clear();
  for (JobSeries& job : series.jobs) job.job.set_state(v1::PENDING);
  EXPECT_THAT(absent("grokking"), AllOf(HasSubstr("no job has reported yet, 2 wait to run"),
                                        HasSubstr("`coppice workers`")));
  series.jobs[0].job.set_state(v1::RUNNING);
  EXPECT_THAT(absent("accuracy-question"), HasSubstr("`coppice status demo --watch`"));
  for (JobSeries& job : series.jobs) job.job.set_state(v1::FAILED);
  EXPECT_THAT(absent("loss-question"), HasSubstr("`coppice retry demo`"));
}

TEST(Absent, EarlyStoppingNeedsInDomainAccuracies) {
  SweepSeries series = Sweep({2}, 2);
  for (JobSeries& job : series.jobs) job.curves[kIdAccuracy].clear();
  EXPECT_THAT(Named(series, "early-stopping").absent, HasSubstr("id_accuracy; the trainer"));
  EXPECT_TRUE(Named(series, "share-above-80").drawn());
}

TEST(Absent, ACaptionSaysWhyNothingIsDashed) {
  SweepSeries series = Sweep({2}, 2);
  EXPECT_THAT(Named(series, "grokking").caption, HasSubstr("Dashed: the published means"));
  for (JobSeries& job : series.jobs) job.job.set_task("walk");
  EXPECT_THAT(Named(series, "grokking").caption,
              HasSubstr("No published curves: none were published for walk."));
  SweepSeries brief = Sweep({2}, 2);
  for (JobSeries& job : brief.jobs) {
    for (Curve& curve : job.curves) curve.resize(std::min<size_t>(curve.size(), 2));
  }
  EXPECT_THAT(Named(brief, "grokking").caption,
              HasSubstr("No published curves: those of question begin at step 3,000"));
  for (JobSeries& job : brief.jobs) job.job.set_depth(6);
  EXPECT_THAT(Named(brief, "accuracy-question").caption,
              HasSubstr("No published curves: those of question begin at step 3,000"));
  // Only depth 6 was published.
  EXPECT_THAT(Named(Sweep({2}, 2), "accuracy-question").caption,
              HasSubstr("No published curves here: those of question are of depth 6."));
}

TEST(FigureNames, PartsAreKnownByTheirNumbers) {
  for (const char* name :
       {"accuracy-question", "loss-dyck", "accuracy-tense-2", "loss-question-11"})
    EXPECT_TRUE(IsFigureName(name)) << name;
  for (const char* name : {"accuracy-", "accuracy-question-", "accuracy-question-1", "loss-tense-x",
                           "loss-tense-02", "accuracy-mine", "loss"})
    EXPECT_FALSE(IsFigureName(name)) << name;
}

}  // namespace
}  // namespace coppice::cli
