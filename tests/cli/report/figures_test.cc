// Figures as scripts and tables, without gnuplot.
#include "cli/report/figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "cli/report/gnuplot.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::string> Labels(const Ticks& ticks) {
  std::vector<std::string> labels;
  for (const auto& [value, label] : ticks.marks) labels.push_back(label);
  return labels;
}

TEST(TicksTest, StepsAreRoundAndShort) {
  EXPECT_THAT(Labels(StepTicks(300'000, 4)), ElementsAre("0", "100k", "200k", "300k"));
  EXPECT_THAT(Labels(StepTicks(1'500, 4)), ElementsAre("0", "500", "1k", "1.5k"));
  EXPECT_THAT(Labels(StepTicks(1, 4)), ElementsAre("0", "1"));
  EXPECT_THAT(Labels(StepTicks(0, 4)), ElementsAre("0", "1"));
}

TEST(TicksTest, ARangeIsNeverEmpty) {
  EXPECT_THAT(Labels(UnitTicks()), ElementsAre("0", "0.2", "0.4", "0.6", "0.8", "1"));
  for (const double value : {0.0, 1.0, -3.5, 1e-12, 4e7}) {
    const Ticks ticks = ValueTicks(value, value, 5);
    EXPECT_LT(ticks.low, ticks.high) << value;
    EXPECT_LE(ticks.low, value);
    EXPECT_GE(ticks.high, value);
    EXPECT_GE(ticks.marks.size(), 2u);
    EXPECT_LE(ticks.marks.size(), 8u);
  }
  EXPECT_THAT(Labels(ValueTicks(-1, 1, 2)), ElementsAre("\u22121", "0", "1"));
}

TEST(GnuplotTest, TextCannotLeaveItsQuotes) {
  EXPECT_EQ(GnuplotText("it's\n`id` \"$x\""), "'it''s `id` \"$x\"'");
  EXPECT_EQ(GnuplotText(std::string("a\0b", 3)), "'a b'");
}

TEST(GnuplotTest, AFadedColourCarriesItsTransparencyFirst) {
  EXPECT_EQ(Faded("#D55E00", 1), "#00D55E00");
  EXPECT_EQ(Faded("#D55E00", 0.2), "#CCD55E00");
}

TEST(GnuplotTest, ATidySvgHasOneTitleAndNoExpressions) {
  const std::string svg = TidySvg(
      "<svg>\n<title>Gnuplot</title>\n\t<g id=\"p\" ><title>$data0 using 1:2</title>\n"
      "<g fill=\"none\">\n</g>\n<g font-family=\"Liberation "
      "Sans:Bold\">\n<text>x</text></g>\n</g></svg>\n",
      "a < b");
  EXPECT_THAT(svg, AllOf(HasSubstr("<title>a &lt; b</title>"), Not(HasSubstr("$data0")),
                         Not(HasSubstr("fill=\"none\"")),
                         HasSubstr("font-weight=\"bold\" font-family=\"Liberation Sans, Arial")));
}

// Two depths with one seed each and three reports.
SweepSeries TwoDepths() {
  SweepSeries series;
  for (const uint32_t depth : {2u, 4u}) {
    JobSeries& job = series.jobs.emplace_back();
    job.job.set_task("tense");
    job.job.set_depth(depth);
    job.job.set_state(v1::SUCCEEDED);
    for (const uint32_t step : {3'000u, 6'000u, 9'000u}) {
      const double gen = step / 10'000.0 - 0.1 * (depth - 2);
      job.curves[kIdAccuracy].push_back({step, 0.75});
      job.curves[kGenAccuracy].push_back({step, gen});
      job.curves[kTParseval].push_back({step, 0.5});
      job.curves[kRightBranching].push_back({step, 0.25});
      job.curves[kWeightNorm].push_back({step, 8});
      job.curves[kWeightNormPerLayer].push_back({step, 8.0 / depth});
    }
  }
  return series;
}

TEST(FiguresTest, EachHasItsNumbersAsCsv) {
  const SweepSeries series = TwoDepths();
  const std::vector<TaskResult> tasks = Analyze(series);
  const FigureSet set = MakeFigures(series, tasks);
  const auto csv = [&](const char* name) -> std::string {
    for (const Figure& figure : set.figures) {
      if (figure.name == name) return figure.csv;
    }
    return "no figure";
  };
  EXPECT_EQ(set.drawn(), 6u);
  EXPECT_THAT(csv("grokking"),
              AllOf(HasSubstr("\ntense,2,seed,0,9000,1,0.75,,0.9,\n"),
                    HasSubstr("\ntense,2,mean,,9000,1,0.75,,0.9,\n"),
                    HasSubstr("\ntense,4,published,,3000,20,0.20225,0.02787,0.0248,0.00951\n")));
  EXPECT_THAT(csv("accuracy-tense"), HasSubstr("\n2,mean,gen_accuracy,9000,1,0.9,,0.9,0.9\n"));
  EXPECT_EQ(csv("early-stopping"),
            "task,depth,seed,state,stopped_at_step,checkpoint_step,early_stopped_gen_accuracy,"
            "final_step,final_gen_accuracy\n"
            "tense,2,0,succeeded,,3000,0.3,9000,0.9\ntense,4,0,succeeded,,3000,0.09999999999999998,"
            "9000,0.7\n");
  EXPECT_THAT(csv("share-above-80"), HasSubstr("\ntense,2,1,1,1,0.20"));
  EXPECT_EQ(csv("onset"),
            "task,depth,seed,state,first_stays_above_step,last_step\ntense,2,0,succeeded,9000,"
            "9000\ntense,4,0,succeeded,,9000\n");
  EXPECT_THAT(csv("dynamics-tense"),
              AllOf(HasSubstr("\nshallowest and highest mean,2,weight_norm,3000,1,8,,8,8\n"),
                    HasSubstr("\ndeepest,4,weight_norm_per_layer,3000,1,2,,2,2\n"),
                    HasSubstr("\ndeepest,4,right_branching_f1,9000,1,0.25,,0.25,0.25\n")));
  EXPECT_THAT(set.missing, ElementsAre(HasSubstr("attention_sparsity, t_score")));
}

TEST(FiguresTest, ADepthThatIsTwoThingsIsDrawnOnce) {
  const SweepSeries series = TwoDepths();
  const std::vector<TaskResult> tasks = Analyze(series);
  std::vector<std::string> missing;
  const Figure figure = DynamicsFigure(series, tasks[0], &missing);
  EXPECT_THAT(figure.plot.Script("x"),
              AllOf(HasSubstr("'depth 2 (shallowest and highest mean, n = 1)'"),
                    HasSubstr("'depth 4 (deepest, n = 1)'"), HasSubstr("'right-branching trees'")));
}

TEST(FiguresTest, EveryFigureIsKnownByItsName) {
  const SweepSeries series = TwoDepths();
  for (const Figure& figure : MakeFigures(series, Analyze(series)).figures)
    EXPECT_TRUE(IsFigureName(figure.name)) << figure.name;
  EXPECT_TRUE(IsFigureName("dynamics-dyck"));
  for (const char* name : {"mine", "dynamics-talk", "dynamics-", "grokking2", "dynamics-dyck-old"})
    EXPECT_FALSE(IsFigureName(name)) << name;
}

TEST(FiguresTest, CaptionsOfCurvesSayThatJobsHaveNotEnded) {
  SweepSeries series = TwoDepths();
  const auto captions = [&] {
    std::vector<std::string> of_curves;
    for (const Figure& figure : MakeFigures(series, Analyze(series)).figures) {
      if (figure.name == "grokking" || figure.name == "dynamics-tense")
        of_curves.push_back(figure.caption);
    }
    return of_curves;
  };
  EXPECT_THAT(captions(), ElementsAre(Not(HasSubstr("not ended")), Not(HasSubstr("not ended"))));
  series.jobs[1].job.set_state(v1::RUNNING);
  const auto says = HasSubstr(
      "Jobs that have not ended are drawn up to their latest report. Until then another depth may "
      "come to have the highest mean.");
  EXPECT_THAT(captions(), ElementsAre(says, says));
  series.jobs.erase(series.jobs.begin());
  const auto alone =
      AllOf(HasSubstr("Jobs that have not ended are drawn up to their latest report."),
            Not(HasSubstr("another depth")));
  EXPECT_THAT(captions(), ElementsAre(alone, alone));
}

TEST(FiguresTest, DyckSaysThatThePublishedSampleMayBeAnother) {
  for (const char* task : {"dyck", "question"}) {
    SweepSeries series = TwoDepths();
    for (JobSeries& job : series.jobs) {
      job.job.set_task(task);
      job.curves[kTScore] = {{3'000, 0.4}, {300'000, 0.5}};
    }
    std::vector<std::string> missing;
    const Figure figure = DynamicsFigure(series, Analyze(series)[0], &missing);
    EXPECT_THAT(figure.caption, HasSubstr("Dashed: the published means"));
    EXPECT_EQ(absl::StrContains(figure.caption, "at most 80 brackets"),
              std::string(task) == "dyck");
  }
}

TEST(FiguresTest, NoJobsMakeNoFigures) {
  const SweepSeries series;
  const FigureSet set = MakeFigures(series, Analyze(series));
  EXPECT_EQ(set.drawn(), 0u);
  for (const Figure& figure : set.figures) EXPECT_EQ(figure.absent, "The sweep has no jobs.");
}

}  // namespace
}  // namespace coppice::cli
