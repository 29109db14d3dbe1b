// The baselines that the trainer's speed is compared with train the trainer's model.
#include "bench/trainer/same_model.h"

#include <limits>
#include <vector>

#include "bench/trainer/workload.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace coppice::bench {
namespace {

class BaselineTest : public ::testing::TestWithParam<BaselineKind> {};

TEST_P(BaselineTest, LossGradientsAndUpdatesAgree) {
  for (const Configuration& configuration : Configurations()) {
    if (!configuration.small) continue;
    const trainer::RunConfig run = RunOf(configuration);
    const absl::StatusOr<trainer::Dataset> dataset = MakeData(run);
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    const absl::Status same = CheckSameModel(GetParam(), run, *dataset);
    EXPECT_TRUE(same.ok()) << configuration.name << ": " << same;
  }
}

INSTANTIATE_TEST_SUITE_P(Baselines, BaselineTest,
                         ::testing::Values(BaselineKind::kEager, BaselineKind::kTuned),
                         [](const ::testing::TestParamInfo<BaselineKind>& kind) {
                           return kind.param == BaselineKind::kEager ? "Eager" : "Tuned";
                         });

// A negative control: the tuned baseline's optimizer has no weight decay, which a run may have.
TEST(SameModelTest, AnotherOptimizerIsFound) {
  trainer::RunConfig run = RunOf(Configurations()[0]);
  run.train.weight_decay = 10;
  const absl::StatusOr<trainer::Dataset> dataset = MakeData(run);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_TRUE(CheckSameModel(BaselineKind::kEager, run, *dataset).ok());
  EXPECT_EQ(CheckSameModel(BaselineKind::kTuned, run, *dataset).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(CompareTest, OneElementOfOneParameterIsFoundAndNamed) {
  const trainer::ParameterLayout layout({11, 8, 2, 16, 2});
  const std::vector<double> ours(layout.row_size(), 2.0);
  std::vector<double> theirs = ours;
  EXPECT_EQ(Compare(layout, ours, theirs).relative, 0);
  const trainer::Parameter& merge = layout.parameters()[3];
  theirs[merge.offset + 5] += 0.5;
  EXPECT_EQ(Compare(layout, ours, theirs).parameter, merge.name);
  EXPECT_EQ(Compare(layout, ours, theirs).relative, 0.25);
}

TEST(CompareTest, WhatIsNotANumberDiffers) {
  const trainer::ParameterLayout layout({11, 8, 2, 16, 2});
  const std::vector<double> ours(layout.row_size(), 2.0);
  std::vector<double> theirs = ours;
  theirs[layout.output_bias()] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Compare(layout, ours, theirs).parameter, "output_map.bias");
}

}  // namespace
}  // namespace coppice::bench
