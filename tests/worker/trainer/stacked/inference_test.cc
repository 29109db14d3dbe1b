// Evaluation and probes of a stacked pack by the device's operations, run on the host, against the
// CPU's kernels for each single member.
#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "ATen/ops/index_select.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "tests/worker/trainer/pack_runner.h"
#include "worker/trainer/base/random.h"
#include "worker/trainer/probes/probes.h"
#include "worker/trainer/stacked/stacked_device.h"
#include "worker/trainer/train/evaluator.h"

namespace coppice::trainer {
namespace {

constexpr int64_t kMembers = 3, kLongest = 200;
const std::atomic<bool> kNoStop{false};

// The members' weights, with a model on the stacked operations and one on the CPU's kernels.
struct Models {
  Models(const Vocabulary& vocabulary, at::ScalarType dtype)
      : layout({vocabulary.size(), 16, 2, 24, 2}),
        parameters(at::zeros({kMembers, layout.row_size()}, dtype)),
        stacked(layout, kLongest, dtype, MakeStackedHost()->MakeOps(dtype)),
        cpu(layout, kLongest, dtype, MakeCpuOps(dtype)) {
    for (int64_t k = 0; k < kMembers; ++k) {
      const at::Tensor row = at::zeros({layout.row_size()}, at::kFloat);
      InitializeParameters(layout, 50 + k, row.data_ptr<float>());
      parameters[k].copy_(row);
    }
  }
  // The members first .. first + count.
  Weights Of(int64_t first, int64_t count) const {
    return Weights::View(parameters.narrow(0, first, count), layout);
  }

  const ParameterLayout layout;
  const at::Tensor parameters;
  Transformer stacked, cpu;
};

void ExpectEqual(const MetricValues& actual, const MetricValues& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(actual[i].first, expected[i].first);
    EXPECT_NEAR(actual[i].second, expected[i].second, tolerance) << expected[i].first;
  }
}

double ValueOf(const MetricValues& values, const std::string& name) {
  for (const auto& [key, value] : values) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "no " << name;
  return 0;
}

TEST(CudaInferenceTest, APacksEvaluationIsThatOfItsMembers) {
  for (const Task task : {Task::kQuestion, Task::kTense, Task::kDyck}) {
    const Dataset dataset = SmallDataset(task);
    const EvaluationPlan plan(&dataset);
    Models models(dataset.vocabulary, at::kFloat);
    std::vector<MetricValues> pack;
    ASSERT_TRUE(EvaluatePack(plan, models.Of(0, kMembers), &models.stacked, kNoStop, &pack));
    ASSERT_EQ(pack.size(), static_cast<size_t>(kMembers));
    for (int64_t k = 0; k < kMembers; ++k) {
      MetricValues alone, by_itself;
      ASSERT_TRUE(Evaluate(plan, models.Of(k, 1), &models.cpu, kNoStop, &alone));
      ASSERT_TRUE(Evaluate(plan, models.Of(k, 1), &models.stacked, kNoStop, &by_itself));
      ExpectEqual(pack[k], alone, 1e-5);
      ExpectEqual(by_itself, alone, 1e-5);
    }
    // A control: the members differ from each other.
    EXPECT_GT(std::abs(ValueOf(pack[0], "val_loss") - ValueOf(pack[1], "val_loss")), 1e-4);
  }
}

TEST(CudaInferenceTest, APacksEvaluationByTheCpusKernelsIsThatOfItsMembers) {
  const Dataset dataset = SmallDataset(Task::kTense);
  const EvaluationPlan plan(&dataset);
  Models models(dataset.vocabulary, at::kFloat);
  std::vector<MetricValues> pack;
  ASSERT_TRUE(EvaluatePack(plan, models.Of(0, kMembers), &models.cpu, kNoStop, &pack));
  for (int64_t k = 0; k < kMembers; ++k) {
    MetricValues alone;
    ASSERT_TRUE(Evaluate(plan, models.Of(k, 1), &models.cpu, kNoStop, &alone));
    EXPECT_EQ(pack[k], alone);
  }
}

// Words of a vocabulary of ten, for which a random model's output is partly right and partly wrong.
// A sentence goes on for some members after it has ended for others.
TEST(CudaInferenceTest, MembersThatDecodeUnlikeWordsDoNotDisturbEachOther) {
  Dataset dataset{Vocabulary({"a", "b", "c", "d", "e", "f", "g"}), {}, {}, {}, {}, {}};
  Models models(dataset.vocabulary, at::kFloat);
  PhiloxStream random({1, 2}, 3, 4);
  for (int32_t i = 0; i < 200; ++i) {
    Example example;
    example.prefix = static_cast<int32_t>(1 + random.Below(5));
    for (uint32_t j = 0, n = example.prefix + 1 + random.Below(9); j < n; ++j)
      example.tokens.push_back(static_cast<int32_t>(1 + random.Below(7)));
    dataset.gen.examples.push_back(example);
    dataset.gen.decodes.items.push_back({i, -1});
  }
  // All words have one class: a sentence ends where the model says so, or at its length.
  dataset.gen.decodes.part_of_speech.assign(dataset.vocabulary.size(), 0);
  dataset.gen.decodes.part_of_speech[dataset.vocabulary.eos()] = 1;
  const EvaluationPlan plan(&dataset);
  std::vector<MetricValues> pack;
  ASSERT_TRUE(EvaluatePack(plan, models.Of(0, kMembers), &models.stacked, kNoStop, &pack));
  for (int64_t k = 0; k < kMembers; ++k) {
    MetricValues alone;
    ASSERT_TRUE(Evaluate(plan, models.Of(k, 1), &models.cpu, kNoStop, &alone));
    ExpectEqual(pack[k], alone, 0);
  }
}

template <typename T>
class CudaProbesTest : public ::testing::Test {
 protected:
  static constexpr at::ScalarType kType = std::is_same_v<T, float> ? at::kFloat : at::kDouble;
  static constexpr double kTolerance = std::is_same_v<T, float> ? 1e-4 : 1e-11;
};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(CudaProbesTest, Types);

TYPED_TEST(CudaProbesTest, APacksReadingsAreThoseOfItsMembers) {
  const Dataset dataset = SmallDataset(Task::kQuestion);
  const auto sample = DrawProbeSample(Task::kQuestion, dataset, 0, 30);
  ASSERT_TRUE(sample.ok()) << sample.status();
  const ProbePlan plan(sample->sentences, dataset.vocabulary.sos());
  Models models(dataset.vocabulary, this->kType);
  const auto pack = ReadProbes(plan, models.Of(0, kMembers), &models.stacked, kNoStop);
  ASSERT_TRUE(pack.has_value());
  ASSERT_EQ(pack->size(), static_cast<size_t>(kMembers));
  for (int64_t k = 0; k < kMembers; ++k) {
    for (Transformer* model : {&models.cpu, &models.stacked}) {
      const auto alone = ReadProbes(plan, models.Of(k, 1), model, kNoStop);
      ASSERT_TRUE(alone.has_value());
      const ProbeReadings &actual = (*pack)[k], &expected = alone->front();
      EXPECT_NEAR(actual.entropy_sum, expected.entropy_sum, 30 * this->kTolerance);
      ASSERT_EQ(actual.charts.size(), expected.charts.size());
      for (size_t i = 0; i < expected.charts.size(); ++i)
        ASSERT_NEAR(actual.charts[i], expected.charts[i], this->kTolerance) << i;
    }
  }
  EXPECT_NE((*pack)[0].entropy_sum, (*pack)[1].entropy_sum);
}

TYPED_TEST(CudaProbesTest, TheReleasedCodesEntropyIsThatOfTheCpu) {
  const Dataset dataset = SmallDataset(Task::kQuestion);
  Models models(dataset.vocabulary, this->kType);
  PrefixTree tree(dataset.vocabulary.sos());
  std::vector<int32_t> rows;
  for (int i = 0; i < 5; ++i) tree.Add(1 + i, dataset.train.examples[i].tokens, &rows);
  const auto entropies = [&](Transformer* model) {
    std::vector<std::vector<double>> values(kMembers, std::vector<double>(tree.rows()));
    std::vector<double*> pointers;
    for (std::vector<double>& member : values) pointers.push_back(member.data());
    model->EmbeddingAttentionEntropy(models.Of(0, kMembers), tree, pointers.data());
    return values;
  };
  const auto actual = entropies(&models.stacked), expected = entropies(&models.cpu);
  for (int64_t k = 0; k < kMembers; ++k) {
    for (int64_t r = 0; r < tree.rows(); ++r)
      ASSERT_NEAR(actual[k][r], expected[k][r], this->kTolerance) << k << " " << r;
  }
}

}  // namespace
}  // namespace coppice::trainer
