// The best depth, as far as the seeds support it.
#include "cli/report/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "cli/report/drawing.h"
#include "cli/report/page.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Student, QuantilesAreThoseOfTheTables) {
  // Two-sided 5%, 1% and 0.1% of the usual tables. For one degree of freedom, t = 1 / tan(pi p /
  // 2).
  EXPECT_NEAR(StudentQuantile(0.05, 1), 12.70620474, 1e-7);
  EXPECT_NEAR(StudentQuantile(0.05, 4), 2.776445105, 1e-8);
  EXPECT_NEAR(StudentQuantile(0.01, 9), 3.249835542, 1e-8);
  EXPECT_NEAR(StudentQuantile(0.001, 30), 3.645958635, 1e-8);
  EXPECT_NEAR(StudentQuantile(0.05, 1e6), 1.959966, 1e-5);
  EXPECT_NEAR(StudentQuantile(1e-4, 1), 1 / std::tan(3.14159265358979 * 5e-5), 1e-5);
  EXPECT_NEAR(StudentTwoSided(2.5, 3.7), StudentTwoSided(-2.5, 3.7), 1e-15);
  EXPECT_DOUBLE_EQ(StudentTwoSided(0, 5), 1);
}

TEST(Welch, TheIntervalIsThatWorkedOutByHand) {
  // Means 5 and 2, squared errors 1/3 (n = 3) and 4/3 (n = 3): df = (5/3)^2 / ((1/9 + 16/9) / 2) =
  // 2.941176; there the 5% quantile is t = 3.218396.
  const auto difference = WelchDifference(Summarize({4, 5, 6}), Summarize({0, 2, 4}), 0.05);
  ASSERT_TRUE(difference.has_value());
  EXPECT_DOUBLE_EQ(difference->mean, 3);
  const double half = difference->interval.high - 3;
  EXPECT_NEAR(StudentTwoSided(half / std::sqrt(5.0 / 3), 50.0 / 17), 0.05, 1e-9);
  EXPECT_NEAR(half, 4.155, 0.01);
  EXPECT_NEAR(3 - difference->interval.low, half, 1e-12);
  EXPECT_FALSE(difference->told_apart);
}

TEST(Welch, OneValueTellsNothing) {
  EXPECT_FALSE(WelchDifference(Summarize({0.9}), Summarize({0.1, 0.11}), 0.05).has_value());
}

std::vector<Verdict> Verdicts(const std::vector<std::vector<double>>& groups) {
  std::vector<Moments> moments;
  for (const std::vector<double>& group : groups) moments.push_back(Summarize(group));
  return Rank(moments).verdicts;
}

TEST(Ranking, DepthsWithOverlappingSeedsAreNotCalledBest) {
  EXPECT_THAT(Verdicts({{0.1, 0.12, 0.11}, {0.80, 0.95, 0.70}, {0.82, 0.90, 0.79}}),
              ElementsAre(Verdict::kLower, Verdict::kTied, Verdict::kTied));
}

TEST(Ranking, ADepthThatIsToldApartFromAllOthersIsBest) {
  EXPECT_THAT(Verdicts({{0.1, 0.12, 0.11}, {0.9, 0.91, 0.92}, {0.3, 0.32, 0.34}}),
              ElementsAre(Verdict::kLower, Verdict::kBest, Verdict::kLower));
}

TEST(Ranking, OneSeedIsNeitherBestNorRuledOut) {
  EXPECT_THAT(Verdicts({{0.99}, {0.5, 0.51, 0.52}, {0.1, 0.11, 0.12}}),
              ElementsAre(Verdict::kOneSeed, Verdict::kTied, Verdict::kLower));
  EXPECT_THAT(Verdicts({{0.99}, {0.5}}), ElementsAre(Verdict::kOneSeed, Verdict::kOneSeed));
  EXPECT_THAT(Verdicts({{0.99}, {}}), ElementsAre(Verdict::kOnly, Verdict::kNoValues));
  EXPECT_THAT(Verdicts({{}, {}}), ElementsAre(Verdict::kNoValues, Verdict::kNoValues));
  // The highest mean is that of a depth with several seeds, not of the lucky one.
  EXPECT_EQ(Rank({Summarize({0.99}), Summarize({0.5, 0.6})}).highest, 1u);
}

TEST(Ranking, SeedsThatAgreeExactlyAreComparedByTheirMeans) {
  // 0.9 three and ten times: the rounding of a sum must not tell them apart.
  EXPECT_THAT(Verdicts({std::vector<double>(3, 0.9), std::vector<double>(10, 0.9)}),
              ElementsAre(Verdict::kTied, Verdict::kTied));
  EXPECT_THAT(Verdicts({{1, 1, 1}, {0.9, 0.9, 0.9}}), ElementsAre(Verdict::kBest, Verdict::kLower));
}

// If all depths are equal, at most 5% of sweeps may name a best one. A plain 5% test of each pair
// with the highest mean names one, or rules one out, far more often.
TEST(Ranking, EqualDepthsAreRarelyToldApart) {
  std::mt19937 random(20231);
  std::normal_distribution<double> normal(0.5, 0.1);
  int corrected = 0, plain = 0;
  constexpr int kSweeps = 2'000;
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    std::vector<Moments> groups;
    for (int depth = 0; depth < 6; ++depth) {
      std::vector<double> seeds;
      for (int seed = 0; seed < 5; ++seed) seeds.push_back(normal(random));
      groups.push_back(Summarize(seeds));
    }
    const Ranking ranking = Rank(groups);
    bool any = false, any_plain = false;
    for (size_t i = 0; i < groups.size(); ++i) {
      any |= ranking.verdicts[i] == Verdict::kLower;
      any_plain |= i != *ranking.highest &&
                   WelchDifference(groups[*ranking.highest], groups[i], 0.05)->told_apart;
    }
    corrected += any;
    plain += any_plain;
  }
  EXPECT_LE(corrected, kSweeps * 5 / 100);
  EXPECT_GT(plain, kSweeps * 15 / 100);
}

// A sweep with three seeds at each of these depths, around a final accuracy.
SweepSeries Sweep(const std::vector<std::pair<uint32_t, double>>& depths) {
  SweepSeries series;
  for (const auto& [depth, gen] : depths) {
    for (const double off : {-0.04, 0.0, 0.05}) {
      JobSeries& job = series.jobs.emplace_back();
      job.job.set_task("question");
      job.job.set_depth(depth);
      job.job.set_state(v1::SUCCEEDED);
      job.curves[kIdAccuracy] = {{100, 1}};
      job.curves[kGenAccuracy] = {{100, gen + off}};
    }
  }
  return series;
}

TEST(Ranking, ATableOfTiedDepthsHasNoBestRow) {
  const SweepSeries series = Sweep({{2, 0.2}, {4, 0.80}, {6, 0.81}});
  const std::vector<TaskResult> tasks = Analyze(series);
  const std::string table = SummaryTable(tasks);
  EXPECT_THAT(table, AllOf(Not(HasSubstr("class=\"best\"")), Not(HasSubstr("(best)")),
                           HasSubstr("question: not told apart: 4, 6 layers."),
                           HasSubstr("not told apart<br><span class=\"soft\">highest mean"),
                           HasSubstr("lower<br><span class=\"soft\">by 0.")));
  EXPECT_THAT(SummaryCsv(tasks), AllOf(Not(HasSubstr(",true,")),
                                       HasSubstr("\nquestion,4,3,3,0,"
                                                 "false,not told apart,"),
                                       HasSubstr("\nquestion,2,3,3,0,false,lower,0.6")));
  EXPECT_EQ(RankingSentence(tasks[0]), "question: not told apart: 4, 6 layers.");
}

TEST(Ranking, ATableWithAClearBestDepthNamesIt) {
  const SweepSeries series = Sweep({{2, 0.2}, {4, 0.80}, {6, 0.1}});
  const std::vector<TaskResult> tasks = Analyze(series);
  EXPECT_THAT(SummaryTable(tasks),
              AllOf(HasSubstr("class=\"best\""), HasSubstr("question: depth 4 is best")));
  EXPECT_THAT(SummaryCsv(tasks), HasSubstr("\nquestion,4,3,3,0,true,best,"));
}

TEST(Ranking, SentencesSayWhatOneSeedAllows) {
  SweepSeries series = Sweep({{2, 0.2}, {4, 0.80}});
  series.jobs.resize(4);  // one seed at depth 4
  EXPECT_EQ(RankingSentence(Analyze(series)[0]),
            "question: the highest mean of several seeds is that of 2 layers; no claim about 4 "
            "layers: one seed.");
  series.jobs.erase(series.jobs.begin(), series.jobs.begin() + 2);
  EXPECT_EQ(RankingSentence(Analyze(series)[0]),
            "question: no claim about 2, 4 layers: one seed each.");
  series.jobs.pop_back();
  EXPECT_EQ(RankingSentence(Analyze(series)[0]),
            "question: only depth 2 has values, so there is nothing to compare.");
}

}  // namespace
}  // namespace coppice::cli
