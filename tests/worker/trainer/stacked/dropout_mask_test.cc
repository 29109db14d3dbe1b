#include "worker/trainer/stacked/dropout_mask.h"

#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "worker/trainer/model/dropout_bits.h"
#include "worker/trainer/model/kernels.h"

namespace coppice::trainer {
namespace {

TEST(CudaMaskTest, PhiloxIsThatOfRandom123) {
  PhiloxStream random({3, 4}, 5, 6);
  for (int i = 0; i < 100000; ++i) {
    const PhiloxKey key{random.Next32(), random.Next32()};
    const PhiloxWords counter{{random.Next32(), random.Next32(), random.Next32(), random.Next32()}};
    const std::array<uint32_t, 4> expected =
        Philox(key, {counter.word[0], counter.word[1], counter.word[2], counter.word[3]});
    const PhiloxWords actual = PhiloxBlock(key, counter);
    for (int w = 0; w < 4; ++w) ASSERT_EQ(actual.word[w], expected[w]) << i << " " << w;
  }
}

TEST(CudaMaskTest, PhiloxGivesThePublishedNumbers) {
  // As in random_test.cc: proves that the reference of the comparison above is right.
  const uint32_t zeros[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  const PhiloxWords actual = PhiloxBlock({0, 0}, {{0, 0, 0, 0}});
  for (int w = 0; w < 4; ++w) EXPECT_EQ(actual.word[w], zeros[w]);
}

TEST(CudaMaskTest, EveryElementFollowsTheDefinition) {
  for (const double probability : {0.1, 0.5, 1.0 / 65536}) {
    const Dropout dropout = Dropout::For(17, 123456, probability);
    for (const uint32_t row : {MaskRow(0, 0, 0), MaskRow(7, 3, 40), MaskRow(4095, 255, 4095)}) {
      for (uint32_t e = 0; e < 2048; ++e) {
        const bool expected = DropoutBits(dropout, 11, row, e) >= dropout.threshold;
        ASSERT_EQ(Keeps(dropout, 11, row, e), expected) << e;
      }
    }
  }
}

TEST(CudaMaskTest, BlocksCoverEachElementOnce) {
  for (const int64_t width : {1, 8, 63, 64, 72, 512}) {
    const Dropout dropout = Dropout::For(1, 2, 0.1);
    std::set<int64_t> seen;
    ForEachMasked(OneLane(), dropout, 3, MaskRow(1, 0, 2), width, [&](int64_t e, bool kept) {
      EXPECT_TRUE(seen.insert(e).second) << e;
      EXPECT_EQ(kept, Keeps(dropout, 3, MaskRow(1, 0, 2), e)) << e;
    });
    EXPECT_EQ(static_cast<int64_t>(seen.size()), width);
    EXPECT_EQ(*seen.rbegin(), width - 1);
  }
}

TEST(CudaMaskTest, TheCpuKernelsCutTheSameElements) {
  constexpr int64_t kWidth = 200;
  const std::vector<Sequence> sequences = {{0, 3, 0}, {3, 9, 0}};
  const Rows rows{sequences.data(), 2, 12};
  const Dropout dropout = Dropout::For(21, 77, 0.1);
  const uint32_t site = SiteNumber(DropoutSite::kHidden, 2);
  std::vector<float> h(12 * kWidth, 1.0f), bias(kWidth, 0.0f);
  GetKernels<float>().relu(rows, dropout, site, kWidth, bias.data(), h.data());
  for (int64_t b = 0; b < 2; ++b) {
    for (int32_t t = 0; t < sequences[b].length; ++t) {
      for (int64_t e = 0; e < kWidth; ++e) {
        ASSERT_EQ(Keeps(dropout, site, MaskRow(b, 0, t), e),
                  h[(sequences[b].first_row + t) * kWidth + e] != 0);
      }
    }
  }
}

TEST(CudaMaskTest, AnotherSeedStepOrSiteIsAnotherMask) {
  const auto row_of = [](uint64_t seed, int64_t step, uint32_t site) {
    std::vector<bool> kept;
    const Dropout dropout = Dropout::For(seed, step, 0.5);
    for (int64_t e = 0; e < 128; ++e) kept.push_back(Keeps(dropout, site, 5, e));
    return kept;
  };
  const std::vector<bool> mask = row_of(1, 2, 3);
  EXPECT_NE(mask, row_of(2, 2, 3));
  EXPECT_NE(mask, row_of(1, 3, 3));
  EXPECT_NE(mask, row_of(1, 2, 4));
}

TEST(CudaMaskTest, WithoutDropoutEverythingStays) {
  for (int64_t e = 0; e < 100; ++e) EXPECT_TRUE(Keeps(Dropout(), 1, 2, e));
}

}  // namespace
}  // namespace coppice::trainer
