// Every operation on a CUDA device against the same code on the host, with the same numbers.
// Results may differ by the device's own exp, log and contraction; masks must be equal bit for bit.
#include <ATen/ATen.h>

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/worker/trainer/stacked/pack_bench.h"
#include "tests/worker/trainer/stacked/test_devices.h"
#include "worker/trainer/stacked/stacked_device.h"

namespace coppice::trainer {
namespace {

// Members of 76, 12, 1 and no rows in a bucket of 80.
const std::vector<std::vector<int32_t>> kLengths = {{5, 70, 1}, {3, 9}, {1}, {}};
constexpr int64_t kMembers = 4, kRows = 80, kD = 72, kF = 136;
constexpr int64_t kHeads = PackBench::kHeads, kV = PackBench::kVocabulary;

struct Result {
  std::string name;
  at::Tensor value;  // on the host
};

// Runs the operations in the device's memory and collects their results.
class Operations {
 public:
  Operations(StackedDevice* device, at::ScalarType dtype)
      : device_(device->torch_device()),
        dtype_(dtype),
        ops_(device->MakeOps(dtype)),
        optimizer_(device->MakeOptimizer(dtype)) {}

  std::vector<Result> TrainingStep() {
    PlaceTrainingBatch();
    const at::Tensor table = Noise({kMembers, kV, kD}), positions = Noise({kRows, kD});
    const at::Tensor gamma = Noise({kMembers, kD}), beta = Noise({kMembers, kD});
    const at::Tensor bias = Noise({kMembers, kD}), hidden_bias = Noise({kMembers, kF});
    const at::Tensor output_bias = Noise({kMembers, kV});
    const at::Tensor x = Fresh({kMembers, kRows, kD}), y = Fresh({kMembers, kRows, kD});
    const at::Tensor keep = Bytes(), h = Noise({kMembers, kRows, kF});
    const NormState norm{Zeros({kMembers, kRows, kD}), Zeros({kMembers, kRows}), Bytes()};
    ops_->Embed(batch_, table, positions, x, keep);
    ops_->ResidualNorm(batch_, 7, x, Noise({kMembers, kRows, kD}), bias, gamma, beta, y, norm);
    ops_->Relu(batch_, 8, hidden_bias, h);
    Keep("embedding", x);
    Keep("embedding mask", keep);
    Keep("norm", y);
    Keep("norm mask", norm.keep);
    Keep("relu", h);

    const at::Tensor qkv = Noise({kMembers, kRows, 3 * kD});
    const at::Tensor context = Fresh({kMembers, kRows, kD});
    const at::Tensor weights = Zeros({kMembers, WeightCount(), 1});
    const at::Tensor dropped = Zeros({kMembers, WeightCount(), 1});
    ops_->Attention(batch_, 9, kHeads, qkv, context, weights, dropped);
    Keep("attention", context);
    Keep("attention weights", weights);
    Keep("dropped weights", dropped);

    const at::Tensor logits = Noise({kMembers, kRows, kV});
    const at::Tensor doutput = Fresh({kMembers, kV});
    ops_->CrossEntropyGrad(batch_, output_bias, logits, doutput, nullptr);
    Keep("logits' gradient", logits);
    Keep("output bias's gradient", doutput);
    Backward(qkv, weights, dropped, h, gamma, norm, keep);
    Update();
    return std::move(results_);
  }

  std::vector<Result> Reading() {
    const at::Tensor qkv = Noise({kMembers, kRows, 3 * kD}), cache = Zeros({kMembers, 200, 2 * kD});
    const at::Tensor context = Fresh({kMembers, kRows, kD});
    std::vector<int64_t> rows, first_rows;
    std::vector<int32_t> lengths;
    for (int64_t r = 0; r < kRows; ++r) {
      rows.push_back((r * 7) % 200);
      first_rows.push_back(r);
      lengths.push_back(static_cast<int32_t>(1 + r % 50));
    }
    ops_->StoreKeysValues(qkv, rows, cache);
    ops_->AttentionStep(kHeads, qkv, cache, first_rows, lengths, context);
    Keep("cache", cache);
    Keep("decoding", context);
    ReadTree(qkv);

    const at::Tensor states = Noise({kMembers, kRows, kD}), output = Noise({kMembers, kV, kD});
    const at::Tensor bias = Noise({kMembers, kV}), logits = Noise({kMembers, kRows, kV});
    KeepWords("choices", ops_->BestCandidates(states, {3, 1, 70}, {5, 2, 20}, output, bias));
    KeepWords("most probable", ops_->MostProbable(logits, bias));
    PlaceTrainingBatch();
    std::vector<double> sums(kMembers);
    ops_->CrossEntropySums(batch_, bias, logits, sums.data());
    results_.push_back({"losses", at::tensor(sums, at::kDouble)});
    Keep("sums of squares", optimizer_->SquareSums(Noise({kMembers, 10000})));
    return std::move(results_);
  }

 private:
  // Numbers in [-1, 1), the same in both memories.
  at::Tensor Noise(const std::vector<int64_t>& shape) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    const std::vector<double> values = MemberNoise<double>(1, count, salt_++);
    return at::tensor(values, at::kDouble).to(at::kFloat).to(dtype_).view(shape).to(device_);
  }
  at::Tensor Zeros(const std::vector<int64_t>& shape) const {
    return at::zeros(shape, at::TensorOptions(dtype_).device(device_));
  }
  // Filled with a value that reveals elements that no operation writes.
  at::Tensor Fresh(const std::vector<int64_t>& shape) const { return Zeros(shape).fill_(1e9); }
  at::Tensor Bytes() const {
    return at::zeros({kMembers, kRows, KeepStride(kD)},
                     at::TensorOptions(at::kByte).device(device_));
  }
  void Keep(const std::string& name, const at::Tensor& value) {
    results_.push_back({name, value.to(at::kCPU).clone()});
  }
  void KeepWords(const std::string& name, const TokenIds& words) {
    for (const std::vector<int32_t>& member : words)
      results_.push_back({name, at::tensor(member, at::kInt)});
  }
  int64_t WeightCount() const { return batch_.attention_weights(kHeads); }

  void PlaceTrainingBatch() {
    batch_ = PackBatch();
    for (int64_t k = 0; k < kMembers; ++k) {
      batch_.members.push_back(&bench_.batch(k));
      batch_.dropout.push_back(bench_.member(k).dropout);
    }
    ops_->Upload(kHeads, &batch_);
  }

  void Backward(const at::Tensor& qkv, const at::Tensor& weights, const at::Tensor& dropped,
                const at::Tensor& h, const at::Tensor& gamma, const NormState& norm,
                const at::Tensor& keep) {
    const at::Tensor dh = Noise({kMembers, kRows, kF}), dy = Noise({kMembers, kRows, kD});
    const at::Tensor da = Fresh({kMembers, kRows, kD}), dqkv = Fresh({kMembers, kRows, 3 * kD});
    const at::Tensor dhidden = Fresh({kMembers, kF}), dgamma = Fresh({kMembers, kD});
    const at::Tensor dbeta = Fresh({kMembers, kD}), dbias = Fresh({kMembers, kD});
    const at::Tensor dtable = Fresh({kMembers, kV, kD});
    ops_->ReluGrad(batch_, h, dh, dhidden);
    ops_->ResidualNormGrad(batch_, dy, da, norm, gamma, dgamma, dbeta, dbias);
    ops_->AttentionGrad(batch_, kHeads, qkv, weights, dropped, Noise({kMembers, kRows, kD}), dqkv);
    ops_->EmbedGrad(batch_, dy, keep, dtable);
    Keep("relu's gradient", dh);
    Keep("hidden bias's gradient", dhidden);
    Keep("residual's gradient", dy);
    Keep("branch's gradient", da);
    Keep("gamma's gradient", dgamma);
    Keep("beta's gradient", dbeta);
    Keep("bias's gradient", dbias);
    Keep("attention's gradient", dqkv);
    Keep("table's gradient", dtable);
  }

  // Member 1's gradient is not finite, so its rows must not change.
  void Update() {
    constexpr int64_t kCount = 2 * 4096 + 100;
    UpdateSettings settings{{1e-2, 3, 100}, 0.9, 0.999, 1e-7, 0.01, 1.0};
    const FlatRows rows{Noise({kMembers, kCount}), Noise({kMembers, kCount}),
                        Noise({kMembers, kCount}), Noise({kMembers, kCount}).abs()};
    rows.gradients[1][17] = std::numeric_limits<double>::quiet_NaN();
    optimizer_->Update(settings, rows, batch_.on_device.pack->state);
    Keep("parameters", rows.parameters);
    Keep("first moments", rows.adam_m);
    Keep("second moments", rows.adam_v);
    // The first update has rate 0. The second one has the rate of the incremented step.
    optimizer_->Update(settings, rows, batch_.on_device.pack->state);
    Keep("parameters of the next step", rows.parameters);
  }

  void ReadTree(const at::Tensor& qkv) {
    PrefixTree tree(kV - 1);
    std::vector<std::vector<int32_t>> chains;
    for (int32_t c = 0; c < 12; ++c) {
      std::vector<int32_t> words;
      for (int32_t i = 0; i < 6; ++i) words.push_back(i < 3 ? c / 4 : c);
      tree.Add(1 + c / 4, words, &chains.emplace_back());
    }
    const at::Tensor part = qkv.narrow(1, 0, tree.rows()).contiguous();
    const at::Tensor context = Fresh({kMembers, tree.rows(), kD});
    std::vector<double> entropy(kMembers * tree.rows()), cosines(kMembers * 12 * 6);
    std::vector<double*> entropy_rows, cosine_rows;
    for (int64_t k = 0; k < kMembers; ++k) {
      entropy_rows.push_back(&entropy[k * tree.rows()]);
      cosine_rows.push_back(&cosines[k * 12 * 6]);
    }
    ops_->TreeAttention(tree, kHeads, part, context, entropy_rows.data());
    std::vector<SpanChain> spans;
    for (int64_t c = 0; c < 12; ++c) spans.push_back({chains[(c + 1) % 12], chains[c], c * 6});
    ops_->SpanCosines(spans, context, Noise({kMembers, tree.rows(), kD}), cosine_rows.data());
    Keep("tree attention", context);
    results_.push_back({"entropy", at::tensor(entropy, at::kDouble)});
    results_.push_back({"cosines", at::tensor(cosines, at::kDouble)});
  }

  const at::Device device_;
  const at::ScalarType dtype_;
  const std::unique_ptr<ModelOps> ops_;
  const std::unique_ptr<PackOptimizer> optimizer_;
  const PackBench bench_{kLengths, kRows, 0.2};
  PackBatch batch_;
  uint32_t salt_ = 1;
  std::vector<Result> results_;
};

void ExpectEqual(const std::vector<Result>& actual, const std::vector<Result>& expected,
                 double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE(expected[i].name);
    const at::Tensor &a = actual[i].value, &e = expected[i].value;
    ASSERT_EQ(a.sizes(), e.sizes());
    if (!e.is_floating_point()) {
      EXPECT_TRUE(a.equal(e));
      continue;
    }
    EXPECT_TRUE(at::allclose(a, e, tolerance, tolerance, /*equal_nan=*/true))
        << "differs by up to " << (a - e).abs().max().item<double>();
  }
}

class CudaDeviceTest : public DeviceTest {};

TEST_P(CudaDeviceTest, EachOperationOfATrainingStepIsThatOfTheHost) {
  const auto host = MakeStackedHost();
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    ExpectEqual(Operations(device_.get(), dtype).TrainingStep(),
                Operations(host.get(), dtype).TrainingStep(), dtype == at::kFloat ? 2e-5 : 1e-11);
  }
}

TEST_P(CudaDeviceTest, EachOperationOfEvaluationAndProbesIsThatOfTheHost) {
  const auto host = MakeStackedHost();
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    ExpectEqual(Operations(device_.get(), dtype).Reading(), Operations(host.get(), dtype).Reading(),
                dtype == at::kFloat ? 2e-5 : 1e-11);
  }
}

TEST_P(CudaDeviceTest, TheSameWorkGivesTheSameBits) {
  const auto first = Operations(device_.get(), at::kFloat).TrainingStep();
  const auto second = Operations(device_.get(), at::kFloat).TrainingStep();
  ExpectEqual(first, second, 0);
}

// The comparison must detect small differences.
TEST(CudaDeviceComparisonTest, SeesADifference) {
  const auto host = MakeStackedHost();
  const auto expected = Operations(host.get(), at::kFloat).TrainingStep();
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!expected[i].value.is_floating_point()) continue;
    EXPECT_FALSE(at::allclose(expected[i].value * 1.001, expected[i].value, 2e-5, 2e-5, true))
        << expected[i].name;
  }
}

INSTANTIATE_TEST_SUITE_P(On, CudaDeviceTest, BothDevices(), DeviceName);

}  // namespace
}  // namespace coppice::trainer
