// What the probes' cost is compared with gives the probes' scores.
#include "bench/probes/same_scores.h"

#include <cmath>

#include "bench/probes/measure.h"
#include "bench/probes/per_span.h"
#include "bench/probes/settings.h"
#include "bench/trainer/one_seed.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace coppice::bench {
namespace {

constexpr int64_t kSentences = 40;
constexpr int64_t kRows = 10000;

trainer::Dataset Make(const trainer::RunConfig& run) {
  absl::StatusOr<trainer::Dataset> dataset = MakeData(run);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return *std::move(dataset);
}

class SameScoresTest : public testing::TestWithParam<trainer::Task> {};

TEST_P(SameScoresTest, OnePassPerSpanGivesTheProbesScores) {
  const trainer::RunConfig run = TinyRun(GetParam());
  const absl::Status same = CheckSameScores(run, Make(run), kRows);
  EXPECT_TRUE(same.ok()) << same;
}

INSTANTIATE_TEST_SUITE_P(Tasks, SameScoresTest,
                         testing::Values(trainer::Task::kQuestion, trainer::Task::kTense,
                                         trainer::Task::kDyck),
                         [](const testing::TestParamInfo<trainer::Task>& task) {
                           return std::string(trainer::TaskName(task.param));
                         });

// A negative control: where the sentences read one by one differ in a single word, it is found.
TEST(SameScoresControlTest, AnotherWordIsFound) {
  const c10::InferenceMode no_autograd;
  const trainer::RunConfig run = TinyRun(trainer::Task::kQuestion);
  const trainer::Dataset dataset = Make(run);
  OneSeed<double> seed(run, dataset, 0);
  const int32_t sos = dataset.vocabulary.sos();
  auto sentences = trainer::DrawProbeSample(run.task, dataset, 0, kSentences)->sentences;
  const trainer::ProbePlan plan(sentences, sos);
  const std::atomic<bool> no_stop{false};
  const auto ours = trainer::ReadProbes(plan, seed.weights(), &seed.model(), no_stop);
  EXPECT_TRUE(CompareReadings(plan, ours->front(),
                              ReadPerSpan<double>(sentences, sos, seed.weights(), &seed.model()),
                              1e-9)
                  .ok());
  int32_t& word = sentences[7][2];
  word = word == 1 ? 2 : 1;
  const absl::Status other =
      CompareReadings(plan, ours->front(),
                      ReadPerSpan<double>(sentences, sos, seed.weights(), &seed.model()), 1e-9);
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(other.message()), testing::HasSubstr("of sentence 7 "));
}

TEST(CompareReadingsTest, ADifferenceInEntropyOrANotANumberIsFound) {
  const trainer::ProbePlan plan({{1, 2, 3}}, 9);
  const trainer::ProbeReadings ours = {{1, 1, 1, .5, .4, .3}, 2};
  trainer::ProbeReadings theirs = ours;
  EXPECT_TRUE(CompareReadings(plan, ours, theirs, 1e-9).ok());
  theirs.entropy_sum += 1e-6;
  EXPECT_THAT(std::string(CompareReadings(plan, ours, theirs, 1e-9).message()),
              testing::HasSubstr("entropies"));
  theirs = ours;
  theirs.charts[4] = std::nan("");
  EXPECT_FALSE(CompareReadings(plan, ours, theirs, 1e-9).ok());
}

TEST(PerSpanTest, RowsAreThoseOfEverySpanAndOfTheSentence) {
  EXPECT_EQ(RowsPerSpan(3), 3 + 3 * 1 + 2 * 2 + 1 * 3);
  EXPECT_EQ(RowsPerFirstWord(3), 3 + 2 + 1);
  EXPECT_EQ(Sum(RowsPerSpan, {{1}, {1, 2}}), (1 + 1) + (2 + 2 + 2));
}

TEST(MeasureTest, TheShareIsThatOfTheTimeBetweenTwoReports) {
  Costs costs;
  costs.step = 0.01;
  costs.evaluation = 20;
  costs.probe = 5;
  costs.per_span = 50;
  EXPECT_DOUBLE_EQ(costs.Share(/*report_every=*/2500), 5.0 / (25 + 20 + 5));
  EXPECT_DOUBLE_EQ(costs.Ratio(), 10);
}

TEST(MeasureTest, ATinyRunIsMeasuredToItsEnd) {
  const trainer::RunConfig run = TinyRun(trainer::Task::kQuestion);
  Effort effort;
  effort.rounds = 2;
  effort.seconds = 0.01;
  effort.per_word_rows = 1500;
  effort.per_span_rows = 1500;
  effort.evaluation_part = 2;
  const absl::StatusOr<Measured> measured = MeasureCosts(run, effort);
  ASSERT_TRUE(measured.ok()) << measured.status();
  EXPECT_GT(measured->costs.step, 0);
  EXPECT_GT(measured->costs.evaluation, 0);
  EXPECT_GT(measured->costs.probe, 0);
  EXPECT_GT(measured->share, 0);
  EXPECT_GT(measured->ratio, 1);
  EXPECT_GT(measured->costs.per_span_rows, measured->costs.rows);
}

}  // namespace
}  // namespace coppice::bench
