// The stacked step, on the host and on a CUDA device if there is one, against the CPU trainer's
// model and optimizer for each member.
#include "worker/trainer/stacked/stacked_pack.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/worker/trainer/pack_runner.h"
#include "tests/worker/trainer/stacked/test_devices.h"
#include "worker/trainer/model/products.h"
#include "worker/trainer/stacked/batch_feed.h"
#include "worker/trainer/stacked/device_batch.h"
#include "worker/trainer/train/optimizer.h"
#include "worker/trainer/train/permutation.h"
#include "worker/trainer/train/training_batch.h"

namespace coppice::trainer {
namespace {

constexpr int64_t kSteps = 60;
// Members are at different steps, as after a resume.
constexpr int64_t kFirstStep[] = {0, 5, 20};

const Dataset& Questions() {
  static const Dataset* const dataset = new Dataset(SmallDataset(Task::kQuestion));
  return *dataset;
}

RunConfig SomeRun() {
  RunConfig run = SmallRun(Task::kQuestion);
  run.train.steps = 1000;
  run.train.weight_decay = 0.01;
  return run;
}

ParameterLayout LayoutOf(const RunConfig& run) {
  return ParameterLayout({Questions().vocabulary.size(), run.model.d_model, run.model.heads,
                          run.model.d_ff, run.depth});
}

struct HostRows {
  explicit HostRows(int64_t count) : parameters(count), adam_m(count), adam_v(count) {}
  MemberRows rows() { return {parameters.data(), adam_m.data(), adam_v.data()}; }
  bool operator==(const HostRows&) const = default;
  std::vector<float> parameters, adam_m, adam_v;
};

// Some members of the pack of three, stacked. Each bucket gets `extra` additional rows.
class Stacked {
 public:
  Stacked(std::shared_ptr<StackedDevice> device, std::vector<int64_t> members, at::ScalarType dtype,
          int64_t extra = 0)
      : members_(std::move(members)),
        layout_(LayoutOf(run_)),
        extra_(extra),
        device_(std::move(device)) {
    StackedPackOptions options;
    options.members = static_cast<int64_t>(members_.size());
    options.largest_rows = LargestBatchRows(Questions(), run_.train.batch_size) + extra;
    options.longest = LongestTrainingSequence(Questions());
    options.max_length = 64;
    options.dtype = dtype;
    trainer_ = std::make_unique<StackedPack>(device_.get(), layout_, run_, options);
    std::vector<DeviceMember> states;
    for (size_t i = 0; i < members_.size(); ++i) {
      HostRows rows(layout_.row_size());
      const int64_t k = members_[i];
      InitializeParameters(layout_, k, rows.parameters.data());
      trainer_->Upload(static_cast<int64_t>(i), rows.rows());
      DeviceMember& state = states.emplace_back();
      state.step = kFirstStep[k];
      state.dropout = Dropout::For(k, state.step, run_.model.dropout);
      orders_.emplace_back(k, static_cast<int32_t>(Questions().train.examples.size()),
                           static_cast<int32_t>(run_.train.batch_size));
    }
    trainer_->SetMembers(states);
    slot_ = device_->HostBytes(trainer_->SlotBytes());
  }

  std::vector<DeviceMember> Step(int64_t i) {
    std::vector<MemberBatch> batches(members_.size());
    std::vector<const MemberBatch*> pointers;
    int64_t rows = 0;
    for (size_t m = 0; m < members_.size(); ++m) {
      FillBatch(Questions(), orders_[m].Batch(kFirstStep[members_[m]] + i), run_.train.batch_size,
                &batches[m]);
      rows = std::max(rows, batches[m].rows());
      pointers.push_back(&batches[m]);
    }
    const int64_t bucket = BucketRows(rows) + extra_;
    LayOut(pointers, run_.model.heads, bucket, slot_.data_ptr());
    trainer_->Step(slot_, bucket);
    return trainer_->Members();
  }

  HostRows RowsOf(int64_t m) {
    HostRows rows(layout_.row_size());
    trainer_->Download(m, rows.rows());
    return rows;
  }
  void Poison(int64_t m) {
    HostRows rows = RowsOf(m);
    rows.parameters[100] = std::numeric_limits<float>::quiet_NaN();
    trainer_->Upload(m, rows.rows());
  }
  at::Tensor parameters() const { return trainer_->parameters().to(at::kCPU); }

 private:
  const std::vector<int64_t> members_;
  const RunConfig run_ = SomeRun();
  const ParameterLayout layout_;
  const int64_t extra_;
  std::vector<BatchOrder> orders_;
  const std::shared_ptr<StackedDevice> device_;
  std::unique_ptr<StackedPack> trainer_;
  at::Tensor slot_;
};

// The same with the CPU trainer.
template <typename T>
class Alone {
 public:
  static constexpr at::ScalarType kType = std::is_same_v<T, float> ? at::kFloat : at::kDouble;

  explicit Alone(int64_t k)
      : k_(k),
        layout_(LayoutOf(run_)),
        model_(layout_, 64, kType, MakeCpuOps(kType)),
        order_(k, static_cast<int32_t>(Questions().train.examples.size()),
               static_cast<int32_t>(run_.train.batch_size)) {
    for (at::Tensor* buffer : {&parameters, &gradients_, &m_, &v_})
      *buffer = at::zeros({1, layout_.row_size()}, kType);
    std::vector<float> row(layout_.row_size());
    InitializeParameters(layout_, k, row.data());
    parameters[0].copy_(at::from_blob(row.data(), {layout_.row_size()}, at::kFloat));
  }

  double Step(int64_t i) {
    const int64_t step = kFirstStep[k_] + i;
    MemberBatch batch;
    FillBatch(Questions(), order_.Batch(step), run_.train.batch_size, &batch);
    double loss = 0;
    model_.LossAndGradients(Weights::View(parameters, layout_), Weights::View(gradients_, layout_),
                            PackBatch{{&batch}, {Dropout::For(k_, step, run_.model.dropout)}},
                            &loss);
    norm = ClippedAdamW<T>(run_.train, step,
                           {layout_.row_size(), gradients_.data_ptr<T>(), m_.data_ptr<T>(),
                            v_.data_ptr<T>(), parameters.data_ptr<T>()});
    return loss;
  }

  at::Tensor parameters;
  double norm = 0;

 private:
  const int64_t k_;
  const RunConfig run_ = SomeRun();
  const ParameterLayout layout_;
  Transformer model_;
  BatchOrder order_;
  at::Tensor gradients_, m_, v_;
};

template <typename T>
void GoTheWayOfTheMembers(const std::shared_ptr<StackedDevice>& device) {
  constexpr double kTolerance = std::is_same_v<T, float> ? 1e-4 : 1e-10;
  Stacked stacked(device, {0, 1, 2}, Alone<T>::kType);
  std::vector<std::unique_ptr<Alone<T>>> alone;
  for (int64_t k = 0; k < 3; ++k) alone.push_back(std::make_unique<Alone<T>>(k));
  double sum = 0, first = 0, last = 0;
  for (int64_t i = 0; i < kSteps; ++i) {
    const std::vector<DeviceMember> states = stacked.Step(i);
    for (int64_t k = 0; k < 3; ++k) {
      const double loss = alone[k]->Step(i);
      ASSERT_NEAR(states[k].loss, loss, kTolerance) << "step " << i << " member " << k;
      ASSERT_NEAR(states[k].norm, alone[k]->norm, 10 * kTolerance) << i << " " << k;
      ASSERT_EQ(states[k].step, kFirstStep[k] + i + 1);
      ASSERT_EQ(states[k].loss_steps, i + 1);
      if (k == 0) sum += loss, last = loss;
      if (k == 0 && i == 0) first = loss;
    }
    ASSERT_NEAR(states[0].loss_sum, sum, kSteps * kTolerance);
  }
  for (int64_t k = 0; k < 3; ++k) {
    const at::Tensor difference = stacked.parameters()[k] - alone[k]->parameters[0];
    EXPECT_LT(difference.abs().max().item<double>(), 10 * kTolerance) << k;
  }
  EXPECT_LT(last, first - 0.1) << "nothing was learned, so the comparison says little";
}

class CudaStackedPackTest : public DeviceTest {};

TEST_P(CudaStackedPackTest, ForSixtyStepsAPackGoesTheWayOfItsMembersOnTheCpu) {
  GoTheWayOfTheMembers<float>(device_);
  GoTheWayOfTheMembers<double>(device_);
}

// Only for the host: a device's library chooses a product's algorithm by its shape. So do the
// libraries for CPUs that products.h does not support.
TEST(CudaStackedPackBitsTest, NeitherTheBucketNorThePackChangesABitOnTheHost) {
  NamedProduct products[kProductVariants];
  if (ListProducts(products) == 0) GTEST_SKIP() << "promised of x86-64 CPUs with AVX2 alone";
  const auto host = MakeStackedHost();
  Stacked exact(host, {0, 1, 2}, at::kFloat), wide(host, {0, 1, 2}, at::kFloat, 32);
  Stacked alone(host, {1}, at::kFloat);
  for (int64_t i = 0; i < 50; ++i) {
    const std::vector<DeviceMember> a = exact.Step(i), b = wide.Step(i), c = alone.Step(i);
    for (int64_t k = 0; k < 3; ++k) ASSERT_EQ(a[k].loss, b[k].loss) << i << " " << k;
    ASSERT_EQ(a[1].loss, c[0].loss) << i;
  }
  for (int64_t k = 0; k < 3; ++k) EXPECT_TRUE(exact.RowsOf(k) == wide.RowsOf(k)) << k;
  EXPECT_TRUE(exact.RowsOf(1) == alone.RowsOf(0));
}

TEST_P(CudaStackedPackTest, AnotherBucketGoesTheSameWayUpToRounding) {
  Stacked exact(device_, {0, 1, 2}, at::kFloat), wide(device_, {0, 1, 2}, at::kFloat, 32);
  for (int64_t i = 0; i < 50; ++i) {
    const std::vector<DeviceMember> a = exact.Step(i), b = wide.Step(i);
    for (int64_t k = 0; k < 3; ++k) ASSERT_NEAR(a[k].loss, b[k].loss, 1e-4) << i << " " << k;
  }
}

TEST_P(CudaStackedPackTest, TheSameStepsEndInTheSameBits) {
  Stacked first(device_, {0, 1, 2}, at::kFloat), second(device_, {0, 1, 2}, at::kFloat);
  for (int64_t i = 0; i < 50; ++i) {
    first.Step(i);
    second.Step(i);
  }
  for (int64_t k = 0; k < 3; ++k) EXPECT_TRUE(first.RowsOf(k) == second.RowsOf(k)) << k;
}

TEST_P(CudaStackedPackTest, AMemberThatDivergesStopsAndItsPackMatesKeepTheirBits) {
  Stacked broken(device_, {0, 1, 2}, at::kFloat), whole(device_, {0, 1, 2}, at::kFloat);
  std::vector<DeviceMember> states;
  for (int64_t i = 0; i < 50; ++i) {
    if (i == 20) broken.Poison(1);
    states = broken.Step(i);
    whole.Step(i);
  }
  EXPECT_EQ(states[1].stopped, 1);
  EXPECT_EQ(states[1].step, kFirstStep[1] + 20);
  EXPECT_FALSE(std::isfinite(states[1].loss)) << "what it stopped at is kept";
  EXPECT_EQ(states[1].loss_steps, 20);
  for (const int64_t k : {0, 2}) {
    EXPECT_EQ(states[k].stopped, 0);
    EXPECT_TRUE(broken.RowsOf(k) == whole.RowsOf(k)) << k;
  }
  EXPECT_FALSE(broken.RowsOf(1) == whole.RowsOf(1));
}

INSTANTIATE_TEST_SUITE_P(On, CudaStackedPackTest, BothDevices(), DeviceName);

}  // namespace
}  // namespace coppice::trainer
