#include "worker/trainer/model/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/worker/trainer/scoped_environment.h"
#include "worker/trainer/model/dropout_bits.h"

namespace coppice::trainer {
namespace {

// A batch of three sequences of awkward lengths, with memory for every kernel's arguments.
struct Workbench {
  static constexpr int64_t kD = 72, kHeads = 3, kVocabulary = 29;
  std::vector<Sequence> sequences = {{0, 5, 0}, {5, 70, 0}, {75, 1, 0}};
  int64_t row_count = 76;
  Rows rows{sequences.data(), 3, row_count};
  Dropout dropout = Dropout::For(9, 12345, 0.1);
  std::vector<int32_t> tokens, targets;

  Workbench() {
    PhiloxStream random({1, 2}, 3, 4);
    for (int64_t r = 0; r < row_count; ++r) {
      tokens.push_back(static_cast<int32_t>(random.Below(kVocabulary)));
      targets.push_back(static_cast<int32_t>(random.Below(kVocabulary)));
    }
  }

  static std::vector<float> Noise(int64_t count, uint32_t salt) {
    PhiloxStream random({5, 6}, salt, 7);
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(random.Uniform() * 2 - 1);
    return values;
  }
};

// The bits of the probes' kernels on a tree of random parents.
std::vector<float> RunTree(const Kernels<float>& kernels) {
  constexpr int64_t kRows = 60, d = Workbench::kD;
  PhiloxStream random({8, 9}, 10, 11);
  std::vector<int32_t> parents = {-1}, depth = {1}, path(kRows);
  for (int64_t r = 1; r < kRows; ++r) {
    parents.push_back(static_cast<int32_t>(random.Below(static_cast<uint32_t>(r))));
    depth.push_back(depth[parents.back()] + 1);
    path[r] = static_cast<int32_t>(random.Below(kRows));
  }
  const std::vector<float> qkv = Workbench::Noise(kRows * 3 * d, 20);
  std::vector<float> context(kRows * d);
  std::vector<double> entropy(kRows), cosines(kRows);
  kernels.tree_attention({kRows, *std::max_element(depth.begin(), depth.end()), Workbench::kHeads,
                          d / Workbench::kHeads, parents.data(), qkv.data(), context.data(),
                          entropy.data()});
  kernels.span_cosines(
      {kRows - 1, d, context.data(), qkv.data(), path.data(), parents.data() + 1, cosines.data()});
  std::vector<float> all = context;
  for (const std::vector<double>& values : {entropy, cosines}) {
    const size_t begin = all.size();
    all.resize(begin + 2 * values.size());
    std::memcpy(all.data() + begin, values.data(), values.size() * sizeof(double));
  }
  return all;
}

// All results of a set of kernels on the workbench, one after the other.
std::vector<float> RunAll(const Kernels<float>& kernels) {
  const Workbench bench;
  const int64_t d = Workbench::kD, rows = bench.row_count, v = Workbench::kVocabulary;
  std::vector<float> all;
  auto keep_result = [&all](const std::vector<float>& values) {
    all.insert(all.end(), values.begin(), values.end());
  };
  std::vector<uint8_t> keep(rows * KeepStride(d));

  std::vector<float> x(rows * d), table = Workbench::Noise(v * d, 1),
                                  positions = Workbench::Noise(70 * d, 2);
  kernels.embed(bench.rows, bench.dropout, bench.tokens.data(), table.data(), positions.data(), d,
                x.data(), keep.data());
  keep_result(x);
  std::vector<float> dtable(v * d);
  kernels.embed_grad(bench.rows, bench.dropout, bench.tokens.data(), x.data(), keep.data(), d, v,
                     dtable.data());
  keep_result(dtable);

  const std::vector<float> a = Workbench::Noise(rows * d, 3), bias = Workbench::Noise(d, 4),
                           gamma = Workbench::Noise(d, 5), beta = Workbench::Noise(d, 6);
  std::vector<float> y(rows * d), xhat(rows * d), rstd(rows);
  ResidualNormArgs<float> norm{d,           x.data(), a.data(),    bias.data(), gamma.data(),
                               beta.data(), y.data(), xhat.data(), rstd.data(), keep.data()};
  kernels.residual_norm(bench.rows, bench.dropout, 7, norm);
  keep_result(y);
  std::vector<float> dy = Workbench::Noise(rows * d, 7), da(rows * d), dgamma(d), dbeta(d),
                     dbias(d);
  kernels.residual_norm_grad(bench.rows, bench.dropout,
                             {d, dy.data(), da.data(), xhat.data(), rstd.data(), keep.data(),
                              gamma.data(), dgamma.data(), dbeta.data(), dbias.data()});
  for (const auto& values : {dy, da, dgamma, dbeta, dbias}) keep_result(values);

  std::vector<float> h = Workbench::Noise(rows * d, 8), dh = Workbench::Noise(rows * d, 9);
  kernels.relu(bench.rows, bench.dropout, 8, d, bias.data(), h.data());
  kernels.relu_grad(bench.rows, bench.dropout, d, h.data(), dh.data(), dbias.data());
  for (const auto& values : {h, dh, dbias}) keep_result(values);

  const int64_t weight_count = AttentionWeightCount(bench.rows, Workbench::kHeads);
  const std::vector<float> qkv = Workbench::Noise(rows * 3 * d, 10);
  std::vector<float> context(rows * d), weights(weight_count), dropped(weight_count),
      dqkv(rows * 3 * d);
  kernels.attention(bench.rows, bench.dropout, 9,
                    {Workbench::kHeads, d / Workbench::kHeads, qkv.data(), context.data(),
                     weights.data(), dropped.data()});
  kernels.attention_grad(bench.rows, bench.dropout,
                         {Workbench::kHeads, d / Workbench::kHeads, qkv.data(), weights.data(),
                          dropped.data(), context.data(), dqkv.data()});
  for (const auto& values : {context, dqkv}) keep_result(values);

  std::vector<float> logits = Workbench::Noise(rows * v, 11), output_bias = Workbench::Noise(v, 12),
                     doutput(v);
  const double loss = kernels.cross_entropy(rows, v, output_bias.data(), bench.targets.data(),
                                            logits.data(), true, doutput.data());
  all.push_back(static_cast<float>(loss));
  for (const auto& values : {logits, doutput}) keep_result(values);

  std::vector<float> m = Workbench::Noise(1001, 13), second = Workbench::Noise(1001, 14),
                     p = Workbench::Noise(1001, 15);
  for (float& value : second) value *= value;
  kernels.adamw({1e-3, 0.9, 0.999, 1e-7, 0.01, 0.5, 17}, 1001, a.data(), m.data(), second.data(),
                p.data());
  all.push_back(static_cast<float>(kernels.square_sum(1001, p.data())));
  for (const auto& values : {m, second, p}) keep_result(values);
  keep_result(RunTree(kernels));
  return all;
}

TEST(KernelsTest, EveryInstructionSetGivesTheSameBits) {
  NamedKernels all[kKernelVariants];
  const int count = ListKernels(all);
  const std::vector<float> expected = RunAll(*all[0].kernels);
  for (int i = 1; i < count; ++i) {
    const std::vector<float> actual = RunAll(*all[i].kernels);
    ASSERT_EQ(actual.size(), expected.size());
    EXPECT_EQ(std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(float)), 0)
        << all[i].name;
  }
}

TEST(KernelsTest, WhatIsOffIsLeftOutWithWhatBuildsOnIt) {
  NamedKernels all[kKernelVariants];
  const int here = ListKernels(all);
  {
    const ScopedEnvironment off("COPPICE_AVX512", "off");
    EXPECT_EQ(ListKernels(all), std::min(here, 2));
  }
  const ScopedEnvironment off("COPPICE_AVX2", "off");
  EXPECT_EQ(ListKernels(all), 1);
}

TEST(KernelsTest, MasksFollowTheirDefinition) {
  const Workbench bench;
  const int64_t d = Workbench::kD;
  std::vector<float> h(bench.row_count * d, 1.0f);
  const std::vector<float> bias(d, 0.0f);
  const uint32_t site = SiteNumber(DropoutSite::kHidden, 3);
  GetKernels<float>().relu(bench.rows, bench.dropout, site, d, bias.data(), h.data());
  for (size_t b = 0; b < bench.sequences.size(); ++b) {
    for (int32_t t = 0; t < bench.sequences[b].length; ++t) {
      for (int64_t e = 0; e < d; ++e) {
        const uint32_t bits = DropoutBits(
            bench.dropout, site, MaskRow(static_cast<int64_t>(b), 0, t), static_cast<uint32_t>(e));
        const float expected =
            bits >= bench.dropout.threshold ? static_cast<float>(bench.dropout.scale) : 0.0f;
        ASSERT_EQ(h[(bench.sequences[b].first_row + t) * d + e], expected)
            << b << " " << t << " " << e;
      }
    }
  }
}

TEST(KernelsTest, DropoutDropsTheAskedShareAndKeepsTheMean) {
  const int64_t n = 1 << 20;
  const Sequence sequence{0, 1, 0};
  const Rows rows{&sequence, 1, 1};
  const Dropout dropout = Dropout::For(1, 2, 0.1);
  std::vector<float> h(n, 1.0f);
  const std::vector<float> bias(n, 0.0f);
  GetKernels<float>().relu(rows, dropout, 1, n, bias.data(), h.data());
  double sum = 0;
  int64_t dropped = 0;
  for (const float value : h) {
    sum += value;
    dropped += value == 0 ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(dropped) / n, 0.1, 0.0015);  // five standard deviations
  EXPECT_NEAR(sum / n, 1.0, 0.002);
}

TEST(KernelsTest, SoftmaxIsAccurateOverItsWholeRange) {
  for (const float spread : {0.0f, 0.5f, 3.0f, 20.0f, 80.0f, 200.0f}) {
    std::vector<float> logits = {0.0f, -spread, -spread / 2, -spread / 3};
    const std::vector<float> bias(4, 0.0f);
    const int32_t target = 1;
    double sum = 0;
    for (const float value : logits) sum += std::exp(static_cast<double>(value));
    const double loss = GetKernels<float>().cross_entropy(1, 4, bias.data(), &target, logits.data(),
                                                          false, nullptr);
    EXPECT_NEAR(loss, std::log(sum) + spread, 1e-6 * (1 + spread));
  }
}

TEST(KernelsTest, NaNIsNeverSwallowed) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  NamedKernels all[kKernelVariants];
  for (int i = 0, count = ListKernels(all); i < count; ++i) {
    const Kernels<float>& kernels = *all[i].kernels;
    const Sequence sequence{0, 1, 0};
    const Rows rows{&sequence, 1, 1};
    for (int position = 0; position < 20; ++position) {
      std::vector<float> h(20, 0.5f), logits(20, 0.5f), zero(20, 0.0f);
      h[position] = logits[position] = nan;
      kernels.relu(rows, Dropout(), 0, 20, zero.data(), h.data());
      EXPECT_TRUE(std::isnan(h[position])) << all[i].name << " " << position;
      const int32_t target = 3;
      EXPECT_TRUE(std::isnan(
          kernels.cross_entropy(1, 20, zero.data(), &target, logits.data(), false, nullptr)));
      std::vector<float> row(20, 1.0f);
      row[position] = nan;
      EXPECT_TRUE(std::isnan(kernels.square_sum(20, row.data())));
    }
  }
}

}  // namespace
}  // namespace coppice::trainer
