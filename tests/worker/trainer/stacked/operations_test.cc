// The device's operations, run on the host, against the CPU's kernels. Numbers are equal up to the
// order of sums (1e-5 in float32, 1e-12 in float64), masks bit for bit.
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "gtest/gtest.h"
#include "tests/worker/trainer/stacked/pack_bench.h"
#include "tests/worker/trainer/stacked/thread_lanes.h"
#include "worker/trainer/stacked/attention.h"
#include "worker/trainer/stacked/bias_gradients.h"
#include "worker/trainer/stacked/cross_entropy.h"
#include "worker/trainer/stacked/embed_norm_relu.h"

namespace coppice::trainer {
namespace {

// Members of 76, 12 and 1 rows in a bucket of 80.
const std::vector<std::vector<int32_t>> kLengths = {{5, 70, 1}, {3, 9}, {1}};
constexpr int64_t kRows = 80, kD = 72, kHeads = PackBench::kHeads, kV = PackBench::kVocabulary;

// All results of the operations for one pack, in the order of a step.
template <typename T>
struct Results {
  int64_t rows = 0, weight_count = 0;
  std::vector<T> x, y, xhat, rstd, h, context, weights, dropped;
  std::vector<uint8_t> keep0, keep;
  std::vector<T> dh, dhidden_bias, dy, da, dgamma, dbeta, dbias, dqkv, dtable, logits, doutput;
  std::vector<double> losses, loss;
};

template <typename T>
struct Inputs {
  explicit Inputs(int64_t members, int64_t rows)
      : table(MemberNoise<T>(members, kV * kD, 1)),
        positions(MemberNoise<T>(1, kRows * kD, 2)),
        a(MemberNoise<T>(members, kRows * kD, 3)),
        gamma(MemberNoise<T>(members, kD, 4)),
        beta(MemberNoise<T>(members, kD, 5)),
        bias(MemberNoise<T>(members, kD, 6)),
        h(MemberNoise<T>(members, kRows * kD, 7)),
        qkv(MemberNoise<T>(members, kRows * 3 * kD, 8)),
        gradient(MemberNoise<T>(members, kRows * kD, 9)),
        logits(MemberNoise<T>(members, kRows * kV, 10)),
        output_bias(MemberNoise<T>(members, kV, 11)) {
    for (auto* activations : {&a, &h, &gradient}) Repack(members, rows, kD, activations);
    Repack(members, rows, 3 * kD, &qkv);
    Repack(members, rows, kV, &logits);
  }
  // Copies to a smaller bucket's shape.
  static void Repack(int64_t members, int64_t rows, int64_t width, std::vector<T>* x) {
    std::vector<T> packed;
    for (int64_t k = 0; k < members; ++k) {
      const auto first = x->begin() + k * kRows * width;
      packed.insert(packed.end(), first, first + rows * width);
    }
    *x = packed;
  }
  std::vector<T> table, positions, a, gamma, beta, bias, h, qkv, gradient, logits, output_bias;
};

template <typename T>
Results<T> RunOperations(const PackBench& bench, int64_t lanes) {
  const DevicePack pack = bench.pack();
  const int64_t members = bench.members(), rows = bench.rows(), all = members * rows;
  const Inputs<T> in(members, rows);
  const auto run = [lanes](const auto& operation) { RunWithLanes(operation, lanes); };
  Results<T> out;
  out.rows = rows;
  out.weight_count = bench.WeightCount();
  // Elements that no operation writes stay NaN.
  const T nan = std::numeric_limits<T>::quiet_NaN();
  for (auto* v : {&out.x, &out.y, &out.xhat, &out.context, &out.da}) v->assign(all * kD, nan);
  out.rstd.assign(all, nan);
  out.keep0.assign(all * KeepStride(kD), 0xcc);
  out.keep = out.keep0;
  for (auto* v : {&out.weights, &out.dropped}) v->assign(members * out.weight_count, nan);
  for (auto* v : {&out.dgamma, &out.dbeta, &out.dbias, &out.dhidden_bias})
    v->assign(members * kD, nan);
  out.dqkv.assign(all * 3 * kD, nan);
  out.dtable.assign(members * kV * kD, nan);
  out.doutput.assign(members * kV, nan);
  out.losses.assign(all, 0);

  run(EmbedRow<T>{pack, kD, kV * kD, in.table.data(), in.positions.data(), out.x.data(),
                  out.keep0.data()});
  run(ResidualNormRow<T>{pack, 7, kD, kD, out.x.data(), in.a.data(), in.bias.data(),
                         in.gamma.data(), in.beta.data(), out.y.data(), out.xhat.data(),
                         out.rstd.data(), out.keep.data()});
  out.h = in.h;
  run(ReluRow<T>{pack, 8, kD, kD, in.bias.data(), out.h.data()});
  const AttentionShape shape{pack, kHeads, kD / kHeads, out.weight_count};
  run(AttentionRow<T>{shape, 9, in.qkv.data(), out.context.data(), out.weights.data(),
                      out.dropped.data()});
  out.logits = in.logits;
  run(CrossEntropyRow<T>{pack, kV, kV, in.output_bias.data(), out.logits.data(),
                         out.losses.data()});
  run(MeanLoss{pack, out.losses.data()});
  for (int64_t k = 0; k < members; ++k) out.loss.push_back(bench.member(k).loss);
  run(SumColumn<T>{pack, kV, kV, out.logits.data(), out.doutput.data()});

  out.dh = in.gradient;
  run(ReluGradRow<T>{pack, kD, out.h.data(), out.dh.data()});
  run(SumColumn<T>{pack, kD, kD, out.dh.data(), out.dhidden_bias.data()});
  out.dy = in.gradient;
  run(NormGradColumn<T>{pack, kD, kD, out.dy.data(), out.xhat.data(), out.dgamma.data(),
                        out.dbeta.data()});
  run(ResidualNormGradRow<T>{pack, kD, kD, out.dy.data(), out.da.data(), out.xhat.data(),
                             out.rstd.data(), out.keep.data(), in.gamma.data()});
  run(SumColumn<T>{pack, kD, kD, out.da.data(), out.dbias.data()});
  std::vector<T> dscores(out.weights.size(), nan);
  run(AttentionScoreGradRow<T>{shape, in.qkv.data(), out.weights.data(), out.dropped.data(),
                               in.gradient.data(), dscores.data(), out.dqkv.data()});
  run(AttentionKeyGradRow<T>{shape, in.qkv.data(), out.dropped.data(), in.gradient.data(),
                             dscores.data(), out.dqkv.data()});
  run(EmbedGradElement<T>{pack, kD, kV, kV * kD, in.gradient.data(), out.keep0.data(),
                          out.dtable.data()});
  return out;
}

// The same results for one member, by the CPU's kernels.
template <typename T>
Results<T> RunKernels(const PackBench& bench, int64_t k) {
  const Kernels<T>& kernels = GetKernels<T>();
  const Inputs<T> in(bench.members(), bench.rows());
  const Rows rows = bench.RowsOf(k);
  const Dropout& dropout = bench.member(k).dropout;
  const int64_t count = rows.rows;
  const auto part = [&](const std::vector<T>& all, int64_t width) {
    return std::vector<T>(all.begin() + k * bench.rows() * width,
                          all.begin() + (k * bench.rows() + count) * width);
  };
  Results<T> out;
  out.rows = count;
  out.weight_count = AttentionWeightCount(rows, kHeads);
  for (auto* v : {&out.x, &out.y, &out.xhat, &out.context, &out.da}) v->resize(count * kD);
  out.rstd.resize(count);
  out.keep0.assign(count * KeepStride(kD), 1);
  out.keep = out.keep0;
  out.weights.resize(out.weight_count);
  out.dropped.resize(out.weight_count);
  for (auto* v : {&out.dgamma, &out.dbeta, &out.dbias, &out.dhidden_bias}) v->resize(kD);
  out.dqkv.resize(count * 3 * kD);
  out.dtable.resize(kV * kD);
  out.doutput.resize(kV);
  const std::vector<T> a = part(in.a, kD), qkv = part(in.qkv, 3 * kD),
                       gradient = part(in.gradient, kD);
  const T* bias = in.bias.data() + k * kD;
  const T* gamma = in.gamma.data() + k * kD;

  kernels.embed(rows, dropout, bench.batch(k).tokens.data(), in.table.data() + k * kV * kD,
                in.positions.data(), kD, out.x.data(), out.keep0.data());
  kernels.residual_norm(rows, dropout, 7,
                        {kD, out.x.data(), a.data(), bias, gamma, in.beta.data() + k * kD,
                         out.y.data(), out.xhat.data(), out.rstd.data(), out.keep.data()});
  out.h = part(in.h, kD);
  kernels.relu(rows, dropout, 8, kD, bias, out.h.data());
  kernels.attention(rows, dropout, 9,
                    {kHeads, kD / kHeads, qkv.data(), out.context.data(), out.weights.data(),
                     out.dropped.data()});
  if (!dropout.active()) out.dropped = out.weights;
  out.logits = part(in.logits, kV);
  const double loss = kernels.cross_entropy(count, kV, in.output_bias.data() + k * kV,
                                            bench.batch(k).targets.data(), out.logits.data(), true,
                                            out.doutput.data());
  out.loss.push_back(loss / static_cast<double>(count));
  out.dh = gradient;
  kernels.relu_grad(rows, dropout, kD, out.h.data(), out.dh.data(), out.dhidden_bias.data());
  out.dy = gradient;
  kernels.residual_norm_grad(
      rows, dropout,
      {kD, out.dy.data(), out.da.data(), out.xhat.data(), out.rstd.data(), out.keep.data(), gamma,
       out.dgamma.data(), out.dbeta.data(), out.dbias.data()});
  kernels.attention_grad(rows, dropout,
                         {kHeads, kD / kHeads, qkv.data(), out.weights.data(), out.dropped.data(),
                          gradient.data(), out.dqkv.data()});
  kernels.embed_grad(rows, dropout, bench.batch(k).tokens.data(), gradient.data(), out.keep0.data(),
                     kD, kV, out.dtable.data());
  return out;
}

// The first `count` values of a member, from stacked values.
template <typename T>
std::vector<T> PartOf(const std::vector<T>& stacked, int64_t member, int64_t members,
                      size_t count) {
  const size_t stride = stacked.size() / members;
  const auto first = stacked.begin() + static_cast<int64_t>(member * stride);
  return std::vector<T>(first, first + static_cast<int64_t>(count));
}

template <typename T>
class CudaOperationsTest : public ::testing::Test {
 protected:
  static constexpr double kTolerance = std::is_same_v<T, float> ? 1e-5 : 1e-12;

  static void ExpectSame(const char* name, const std::vector<T>& actual,
                         const std::vector<T>& expected) {
    ASSERT_EQ(actual.size(), expected.size()) << name;
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(actual[i], expected[i], kTolerance * (1 + std::abs(expected[i])))
          << name << " " << i;
    }
  }

  // Weights above the diagonal are never written, so both sides are cleared there.
  static void ClearUnseen(const PackBench& bench, int64_t k, std::vector<T>* weights) {
    int64_t at = 0;
    for (const Sequence& sequence : bench.batch(k).sequences) {
      for (int64_t h = 0; h < kHeads; ++h) {
        for (int64_t i = 0; i < sequence.length; ++i) {
          for (int64_t j = 0; j < sequence.length; ++j, ++at) {
            if (j > i) (*weights)[at] = 0;
          }
        }
      }
    }
  }

  static void ExpectAgreement(const PackBench& bench, int64_t lanes) {
    const Results<T> actual = RunOperations<T>(bench, lanes);
    for (int64_t k = 0; k < bench.members(); ++k) {
      SCOPED_TRACE(k);
      Results<T> expected = RunKernels<T>(bench, k);
      const auto compare = [&](const char* name, std::vector<T> Results<T>::*field) {
        ExpectSame(name, PartOf(actual.*field, k, bench.members(), (expected.*field).size()),
                   expected.*field);
      };
      compare("x", &Results<T>::x);
      compare("y", &Results<T>::y);
      compare("xhat", &Results<T>::xhat);
      compare("rstd", &Results<T>::rstd);
      compare("h", &Results<T>::h);
      compare("context", &Results<T>::context);
      compare("logits", &Results<T>::logits);
      compare("doutput", &Results<T>::doutput);
      compare("dh", &Results<T>::dh);
      compare("dhidden_bias", &Results<T>::dhidden_bias);
      compare("dy", &Results<T>::dy);
      compare("da", &Results<T>::da);
      compare("dgamma", &Results<T>::dgamma);
      compare("dbeta", &Results<T>::dbeta);
      compare("dbias", &Results<T>::dbias);
      compare("dqkv", &Results<T>::dqkv);
      compare("dtable", &Results<T>::dtable);
      EXPECT_NEAR(actual.loss[k], expected.loss[0], kTolerance * 10);
      for (auto field : {&Results<T>::weights, &Results<T>::dropped}) {
        std::vector<T> seen = PartOf(actual.*field, k, bench.members(), (expected.*field).size());
        ClearUnseen(bench, k, &seen);
        ClearUnseen(bench, k, &(expected.*field));
        ExpectSame("weights", seen, expected.*field);
        for (size_t i = 0; i < seen.size(); ++i)
          ASSERT_EQ(seen[i] == 0, (expected.*field)[i] == 0) << i;
      }
      ExpectSameMasks(actual, expected, k, bench.members());
    }
  }

  // Elements past d are never read, so they are not compared.
  static void ExpectSameMasks(const Results<T>& actual, const Results<T>& expected, int64_t k,
                              int64_t members) {
    for (auto field : {&Results<T>::keep0, &Results<T>::keep}) {
      const std::vector<uint8_t> mask = PartOf(actual.*field, k, members, (expected.*field).size());
      for (size_t i = 0; i < mask.size(); ++i) {
        if (static_cast<int64_t>(i) % KeepStride(kD) < kD) {
          ASSERT_EQ(mask[i], (expected.*field)[i]) << i;
        }
      }
    }
    for (size_t i = 0; i < expected.h.size(); ++i) {
      const T value = actual.h[k * (actual.h.size() / members) + i];
      ASSERT_EQ(value == 0, expected.h[i] == 0) << i;
    }
  }
};

using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(CudaOperationsTest, Types);

TYPED_TEST(CudaOperationsTest, AgreeWithTheKernelsUnderDropout) {
  this->ExpectAgreement(PackBench(kLengths, kRows, 0.1), 1);
}

TYPED_TEST(CudaOperationsTest, AgreeWithTheKernelsWithoutDropout) {
  this->ExpectAgreement(PackBench(kLengths, kRows, 0), 1);
}

TYPED_TEST(CudaOperationsTest, AgreeWhateverTheNumberOfLanes) {
  // The batch is short, because with fewer cores than lanes the lanes wait for each other all the
  // time.
  const PackBench bench({{5, 17, 1}, {2}}, 24, 0.1);
  this->ExpectAgreement(bench, 3);
  this->ExpectAgreement(bench, 8);
}

TYPED_TEST(CudaOperationsTest, RowsPastAMembersOwnAreZero) {
  const PackBench bench(kLengths, kRows, 0.1);
  const Results<TypeParam> out = RunOperations<TypeParam>(bench, 1);
  for (const auto* stacked :
       {&out.x, &out.y, &out.h, &out.context, &out.logits, &out.dh, &out.dy, &out.da, &out.dqkv}) {
    const int64_t width = static_cast<int64_t>(stacked->size()) / (bench.members() * kRows);
    for (int64_t k = 0; k < bench.members(); ++k) {
      for (int64_t i = bench.RowsOf(k).rows * width; i < kRows * width; ++i)
        ASSERT_EQ((*stacked)[k * kRows * width + i], 0) << k << " " << i;
    }
  }
}

TYPED_TEST(CudaOperationsTest, AMembersBitsDependNeitherOnItsPackNorOnItsBucket) {
  using T = TypeParam;
  const PackBench pack(kLengths, kRows, 0.1), alone({kLengths[0]}, 76, 0.1);
  const Results<T> among = RunOperations<T>(pack, 1), single = RunOperations<T>(alone, 1);
  for (auto field : {&Results<T>::y, &Results<T>::context, &Results<T>::dqkv, &Results<T>::dtable,
                     &Results<T>::dgamma, &Results<T>::dbias, &Results<T>::logits}) {
    const std::vector<T>& expected = single.*field;
    ASSERT_EQ(std::memcmp((among.*field).data(), expected.data(), expected.size() * sizeof(T)), 0);
  }
  EXPECT_EQ(among.loss[0], single.loss[0]);
}

TYPED_TEST(CudaOperationsTest, NaNIsNeverSwallowed) {
  using T = TypeParam;
  const PackBench bench({{4}}, 4, 0);
  const T nan = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> bias(kV, T(0)), h(4 * kD, T(1)), logits(4 * kV, T(1));
  std::vector<double> losses(4);
  h[kD + 5] = logits[2 * kV + 7] = nan;
  RunOnHost(ReluRow<T>{bench.pack(), 0, kD, 0, std::vector<T>(kD, T(0)).data(), h.data()});
  EXPECT_TRUE(std::isnan(h[kD + 5]));
  RunOnHost(CrossEntropyRow<T>{bench.pack(), kV, 0, bias.data(), logits.data(), losses.data()});
  EXPECT_FALSE(std::isnan(losses[1]));
  EXPECT_TRUE(std::isnan(losses[2]));
}

}  // namespace
}  // namespace coppice::trainer
