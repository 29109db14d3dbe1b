#include "worker/trainer/stacked/adamw.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "gtest/gtest.h"
#include "tests/worker/trainer/stacked/pack_bench.h"
#include "tests/worker/trainer/stacked/thread_lanes.h"
#include "worker/trainer/train/optimizer.h"
#include "worker/trainer/train/schedule.h"

namespace coppice::trainer {
namespace {

constexpr int64_t kSize = 2 * kSquareChunk + 100;

TrainConfig SomeTraining() {
  TrainConfig train;
  train.learning_rate = 1e-2;
  train.warmup_steps = 3;
  train.lr_decay_steps = 9;
  train.weight_decay = 0.01;
  train.clip_norm = 5;
  return train;
}

// Members' flat rows, and their updates by the device's operations, run on the host.
struct Training {
  explicit Training(int64_t members)
      : state(members),
        gradients(members * kSize),
        m(members * kSize),
        v(members * kSize),
        parameters(MemberNoise<float>(members, kSize, 1)) {
    for (int64_t k = 0; k < members; ++k) state[k].dropout = Dropout::For(k, 0, 0.1);
  }

  // Draws the gradients of a step: large ones, which are clipped, and small ones.
  void Draw(int64_t step) {
    gradients = MemberNoise<float>(static_cast<int64_t>(state.size()), kSize,
                                   static_cast<uint32_t>(100 + step));
    for (float& g : gradients) g *= step % 2 == 0 ? 1.0f : 0.001f;
  }

  void Update(const TrainConfig& train, int64_t lanes = 1) {
    const UpdateSettings settings = UpdateSettingsOf(train);
    const int64_t members = static_cast<int64_t>(state.size()), chunks = SquareChunks(kSize);
    std::vector<double> sums(members * chunks);
    RunWithLanes(SquareSumChunk<float>{members, kSize, chunks, gradients.data(), sums.data()},
                 lanes);
    RunWithLanes(PrepareUpdate{settings, members, chunks, sums.data(), state.data()}, lanes);
    RunWithLanes(AdamWElement<float>{settings, members, kSize, state.data(), gradients.data(),
                                     m.data(), v.data(), parameters.data()},
                 lanes);
  }

  OptimizerRows<float> RowsOf(int64_t k) {
    return {kSize, gradients.data() + k * kSize, m.data() + k * kSize, v.data() + k * kSize,
            parameters.data() + k * kSize};
  }

  // The moments and weights of a member.
  std::vector<float> RowBits(int64_t k) const {
    std::vector<float> all;
    for (const auto* buffer : {&m, &v, &parameters})
      all.insert(all.end(), buffer->begin() + k * kSize, buffer->begin() + (k + 1) * kSize);
    return all;
  }

  std::vector<DeviceMember> state;
  std::vector<float> gradients, m, v, parameters;
};

TEST(CudaUpdateTest, GoesFromStepToStepAsTheCpuDoes) {
  const TrainConfig train = SomeTraining();
  for (const int64_t lanes : {1, 5}) {
    Training device(2), cpu(2);
    for (int64_t step = 0; step < 12; ++step) {
      device.Draw(step);
      cpu.Draw(step);
      device.Update(train, lanes);
      for (int64_t k = 0; k < 2; ++k) {
        const double norm = ClippedAdamW(train, step, cpu.RowsOf(k));
        ASSERT_NEAR(device.state[k].norm, norm, 1e-12 * norm);
        ASSERT_EQ(device.state[k].step, step + 1);
        // The next step's masks.
        ASSERT_EQ(device.state[k].dropout.step, Dropout::For(k, step + 1, 0.1).step);
      }
      for (size_t i = 0; i < cpu.parameters.size(); ++i) {
        ASSERT_NEAR(device.parameters[i], cpu.parameters[i], 1e-6) << step << " " << i;
        ASSERT_NEAR(device.m[i], cpu.m[i], 1e-6) << step << " " << i;
        ASSERT_NEAR(device.v[i], cpu.v[i], 1e-6) << step << " " << i;
      }
    }
  }
}

TEST(CudaUpdateTest, AMemberThatDivergesStopsAndItsPackMatesGoOnInTheSameBits) {
  const TrainConfig train = SomeTraining();
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Training broken(3), whole(3);
    std::vector<float> before;
    for (int64_t step = 0; step < 6; ++step) {
      broken.Draw(step);
      whole.Draw(step);
      if (step == 3) {
        before = broken.RowBits(1);
        broken.gradients[kSize + 4711] = bad;
      }
      broken.Update(train);
      whole.Update(train);
    }
    const std::vector<float> after = broken.RowBits(1);
    EXPECT_EQ(std::memcmp(after.data(), before.data(), after.size() * sizeof(float)), 0);
    EXPECT_EQ(broken.state[1].stopped, 1);
    EXPECT_EQ(broken.state[1].step, 3);
    EXPECT_FALSE(std::isfinite(broken.state[1].norm));
    for (const int64_t k : {0, 2}) {
      EXPECT_EQ(broken.state[k].stopped, 0);
      EXPECT_EQ(broken.state[k].step, 6);
      const std::vector<float> actual = broken.RowBits(k), expected = whole.RowBits(k);
      EXPECT_EQ(std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(float)), 0);
    }
    // A control: the member that went on has changed.
    const std::vector<float> other = whole.RowBits(1);
    EXPECT_NE(std::memcmp(after.data(), other.data(), after.size() * sizeof(float)), 0);
  }
}

TEST(CudaUpdateTest, AMembersUpdateDoesNotDependOnItsPack) {
  const TrainConfig train = SomeTraining();
  Training alone(1), pack(4);
  for (int64_t step = 0; step < 5; ++step) {
    alone.Draw(step);
    pack.Draw(step);
    alone.Update(train);
    pack.Update(train);
  }
  const std::vector<float> actual = pack.RowBits(0), expected = alone.RowBits(0);
  EXPECT_EQ(std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(float)), 0);
}

}  // namespace
}  // namespace coppice::trainer
