// Whole training steps of a stacked pack by the trainer's stacked operations, run on the host,
// against the CPU trainer's model and optimizer for each member. The trajectories are the same up
// to rounding.
#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "worker/trainer/base/random.h"
#include "worker/trainer/model/transformer.h"
#include "worker/trainer/stacked/stacked_device.h"
#include "worker/trainer/train/optimizer.h"
#include "worker/trainer/train/schedule.h"

namespace coppice::trainer {
namespace {

const ModelShape kShape{/*vocabulary=*/13, /*d_model=*/24, /*heads=*/3, /*d_ff=*/40, /*depth=*/2};
constexpr int64_t kMembers = 3, kSteps = 8, kLongest = 12;
constexpr double kDropout = 0.2;
// Members are at different steps, as after a resume.
constexpr int64_t kFirstStep[kMembers] = {0, 5, 1000};

template <typename T>
constexpr at::ScalarType kType = std::is_same_v<T, float> ? at::kFloat : at::kDouble;

TrainConfig SomeTraining() {
  TrainConfig train;
  train.learning_rate = 1e-3;
  train.warmup_steps = 3;
  train.lr_decay_steps = 2000;
  train.weight_decay = 0.01;
  return train;
}

MemberBatch BatchOf(int64_t member, int64_t step) {
  PhiloxStream random({31, 32}, static_cast<uint64_t>(step), static_cast<uint32_t>(member));
  MemberBatch batch;
  for (int64_t b = 0; b < 2 + member; ++b) {
    std::vector<int32_t> words(1 + random.Below(kLongest - 1));
    for (int32_t& word : words) word = static_cast<int32_t>(random.Below(11));
    batch.Append(words.data(), static_cast<int32_t>(words.size()), 12, 11);
  }
  return batch;
}

template <typename T>
class Pack {
 public:
  Pack() : layout_(kShape) {
    for (at::Tensor* buffer : {&parameters, &gradients, &m, &v})
      *buffer = at::zeros({kMembers, layout_.row_size()}, kType<T>);
    for (int64_t k = 0; k < kMembers; ++k) {
      const at::Tensor row = at::empty({layout_.row_size()}, at::kFloat);
      InitializeParameters(layout_, 70 + k, row.data_ptr<float>());
      parameters[k].copy_(row);
      DeviceMember& member = state.emplace_back();
      member.step = kFirstStep[k];
      member.dropout = Dropout::For(70 + k, kFirstStep[k], kDropout);
    }
  }

  // Does one step of all members by the operations. Returns the losses of the step.
  std::vector<double> StepStacked(int64_t step) {
    if (model_ == nullptr) {
      model_ = Model(MakeStackedHost()->MakeOps(kType<T>));
      optimizer_ = MakeStackedHost()->MakeOptimizer(kType<T>);
    }
    std::vector<MemberBatch> batches;
    std::vector<const MemberBatch*> members;
    PackBatch pack;
    for (int64_t k = 0; k < kMembers; ++k) batches.push_back(BatchOf(k, step));
    for (const MemberBatch& batch : batches) members.push_back(&batch);
    const int64_t rows = PackBatch{members, {}}.rows() + 3;
    std::vector<int64_t> block(BatchBytes(kMembers, rows) / sizeof(int64_t) + 1);
    LayOut(members, kShape.heads, rows, block.data());
    pack.on_device = CopyOf(std::make_shared<DevicePack>(
        DevicePack{kMembers, kShape.heads * rows * kLongest, BatchAt(block.data(), kMembers, rows),
                   state.data()}));
    model_->LossAndGradients(Weights::View(parameters, layout_), Weights::View(gradients, layout_),
                             pack, nullptr);
    optimizer_->Update(UpdateSettingsOf(SomeTraining()), {parameters, gradients, m, v},
                       state.data());
    std::vector<double> loss;
    for (const DeviceMember& member : state) loss.push_back(member.loss);
    return loss;
  }

  // The same step with the CPU trainer, each member alone.
  std::vector<double> StepAlone(int64_t step) {
    if (model_ == nullptr) model_ = Model(MakeCpuOps(kType<T>));
    std::vector<double> loss(kMembers);
    for (int64_t k = 0; k < kMembers; ++k) {
      const MemberBatch batch = BatchOf(k, step);
      const int64_t at = kFirstStep[k] + step;
      const auto row = [k](const at::Tensor& buffer) { return buffer.narrow(0, k, 1); };
      model_->LossAndGradients(Weights::View(row(parameters), layout_),
                               Weights::View(row(gradients), layout_),
                               PackBatch{{&batch}, {Dropout::For(70 + k, at, kDropout)}}, &loss[k]);
      ClippedAdamW<T>(
          SomeTraining(), at,
          {layout_.row_size(), row(gradients).template data_ptr<T>(), row(m).template data_ptr<T>(),
           row(v).template data_ptr<T>(), row(parameters).template data_ptr<T>()});
    }
    return loss;
  }

  at::Tensor parameters, gradients, m, v;
  std::vector<DeviceMember> state;

 private:
  std::unique_ptr<Transformer> Model(std::unique_ptr<ModelOps> ops) const {
    return std::make_unique<Transformer>(layout_, kLongest, kType<T>, std::move(ops));
  }

  const ParameterLayout layout_;
  std::unique_ptr<Transformer> model_;
  std::unique_ptr<PackOptimizer> optimizer_;
};

double Difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

template <typename T>
class CudaStepTest : public ::testing::Test {
 protected:
  static constexpr double kTolerance = std::is_same_v<T, float> ? 2e-5 : 1e-12;
};

using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(CudaStepTest, Types);

TYPED_TEST(CudaStepTest, APackGoesTheWayOfItsMembersOnTheCpu) {
  Pack<TypeParam> stacked, alone;
  const at::Tensor start = alone.parameters.clone();
  for (int64_t step = 0; step < kSteps; ++step) {
    const std::vector<double> actual = stacked.StepStacked(step), expected = alone.StepAlone(step);
    for (int64_t k = 0; k < kMembers; ++k) {
      EXPECT_NEAR(actual[k], expected[k], this->kTolerance) << step << " " << k;
      EXPECT_EQ(stacked.state[k].step, kFirstStep[k] + step + 1);
    }
    EXPECT_LT(Difference(stacked.gradients, alone.gradients), this->kTolerance) << step;
  }
  EXPECT_LT(Difference(stacked.m, alone.m), this->kTolerance);
  EXPECT_LT(Difference(stacked.v, alone.v), this->kTolerance);
  // Adam divides by roots of small numbers, which magnifies rounding. It is still far below the
  // updates.
  EXPECT_LT(Difference(stacked.parameters, alone.parameters), 20 * this->kTolerance);
  EXPECT_GT(Difference(start, alone.parameters), 1e-3);
}

TYPED_TEST(CudaStepTest, AnotherStepsMasksLeadElsewhere) {
  Pack<TypeParam> stacked, alone;
  stacked.state[1].dropout.step += 1;
  const std::vector<double> actual = stacked.StepStacked(0), expected = alone.StepAlone(0);
  EXPECT_NEAR(actual[0], expected[0], this->kTolerance);
  EXPECT_GT(std::abs(actual[1] - expected[1]), 1e-4);
}

TYPED_TEST(CudaStepTest, AMemberOfNaNStopsAndItsPackMatesDoNotNotice) {
  Pack<TypeParam> broken, whole;
  for (int64_t step = 0; step < kSteps; ++step) {
    if (step == 2) broken.parameters[1][100] = std::numeric_limits<TypeParam>::quiet_NaN();
    broken.StepStacked(step);
    whole.StepStacked(step);
  }
  EXPECT_EQ(broken.state[1].stopped, 1);
  EXPECT_EQ(broken.state[1].step, kFirstStep[1] + 2);
  for (const int64_t k : {0, 2}) {
    EXPECT_EQ(broken.state[k].stopped, 0);
    EXPECT_TRUE(broken.parameters[k].equal(whole.parameters[k])) << k;
  }
}

}  // namespace
}  // namespace coppice::trainer
