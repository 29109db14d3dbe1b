// Numbers with the digits that the sample supports.
#include "cli/report/numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/report/page.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Numbers, AnErrorHasOneOrTwoDigits) {
  // The Particle Data Group's own examples: 0.827 +- 0.119, +- 0.367, and 0.95 to 0.99.
  EXPECT_EQ(DecimalsFor(0.119), 2);
  EXPECT_EQ(DecimalsFor(0.367), 1);
  EXPECT_EQ(DecimalsFor(0.354), 2);
  EXPECT_EQ(DecimalsFor(0.355), 1);
  EXPECT_EQ(DecimalsFor(0.0949), 2);
  EXPECT_EQ(DecimalsFor(0.0951), 2);  // 0.10
  EXPECT_EQ(DecimalsFor(1), 1);
  EXPECT_EQ(DecimalsFor(12'345), -3);
  EXPECT_EQ(DecimalsFor(45'000), -4);
}

TEST(Numbers, TwoSeedsDoNotGetFourDecimals) {
  const Moments two = Summarize({0.8712, 0.7934});  // standard error 0.0389
  EXPECT_EQ(MeanText(two), "0.83 \u00b1 0.04");
  EXPECT_EQ(DeviationText(two), "0.06");
  EXPECT_EQ(MeanText(Summarize({0.99612, 0.99634, 0.9962})), "0.99622 \u00b1 0.00006");
}

TEST(Numbers, StepsAreRoundedToo) {
  EXPECT_EQ(MeanText(Summarize({120'000, 180'000, 99'000})), "133,000 \u00b1 24,000");
}

TEST(Numbers, OneSeedIsShownAsMeasuredWithoutASpread) {
  EXPECT_EQ(MeanText(Summarize({0.8400000000000001})), "0.84");
  EXPECT_EQ(MeanText(Summarize({0.123456})), "0.1235");
  EXPECT_EQ(MeanText(Summarize({123'456})), "123,456");
  EXPECT_EQ(MeanText(Summarize({-0.000123456})), "\u22120.0001235");
  EXPECT_EQ(DeviationText(Summarize({0.84})), "");
  EXPECT_EQ(MeanText(Summarize({})), "");
}

TEST(Numbers, EqualSeedsHaveNoErrorToRoundTo) {
  EXPECT_EQ(MeanText(Summarize({0.9, 0.9, 0.9})), "0.9 \u00b1 0");
  EXPECT_EQ(DeviationText(Summarize({0.9, 0.9, 0.9})), "0");
}

TEST(Numbers, AnIntervalHasTheDigitsOfItsHalfWidth) {
  EXPECT_EQ(IntervalText(WilsonInterval(8, 10)), "0.49 to 0.94");
  EXPECT_EQ(IntervalText({-0.031, 0.42}), "\u22120.03 to 0.42");
  EXPECT_EQ(IntervalText({-0.004, 0.31}), "0.00 to 0.31");
  EXPECT_EQ(IntervalText({0.25, 0.25}), "0.25");
}

TEST(Numbers, HugeAndTinyOnesAreStillNumbers) {
  EXPECT_EQ(Measured(0), "0");
  EXPECT_EQ(Measured(1.23456e20), "1.235e+20");
  EXPECT_EQ(Measured(1.23456e-12), "1.235e-12");
  EXPECT_EQ(Rounded(-0.0001, 2), "0.00");
}

TEST(Numbers, TablesOfTwoSeedsShowTheErrorsDigits) {
  SweepSeries series;
  for (const double gen : {0.8712, 0.7934}) {
    JobSeries& job = series.jobs.emplace_back();
    job.job.set_task("tense");
    job.job.set_depth(2);
    job.job.set_state(v1::SUCCEEDED);
    job.curves[kIdAccuracy] = {{100, 0.75}};
    job.curves[kGenAccuracy] = {{100, gen}};
  }
  std::vector<TaskResult> tasks = Analyze(series);
  EXPECT_THAT(SummaryTable(tasks), AllOf(HasSubstr(">0.83 \u00b1 0.04</span>"),
                                         HasSubstr("0.75 \u00b1 0"), Not(HasSubstr(">0.8323"))));
  series.jobs.pop_back();
  tasks = Analyze(series);
  EXPECT_THAT(SummaryTable(tasks),
              AllOf(HasSubstr("<td class=\"n\">0.8712</td>"), Not(HasSubstr("0.8712 \u00b1"))));
  // The deviation of one value is unknown.
  EXPECT_THAT(SummaryCsv(tasks), HasSubstr(",0.75,,0.8712,,1,"));
}

}  // namespace
}  // namespace coppice::cli
