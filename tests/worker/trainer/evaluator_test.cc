// The batched, cached evaluation against the plain definition, which recomputes everything for one
// sentence at a time.
#include "worker/trainer/train/evaluator.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "tests/worker/trainer/pack_runner.h"
#include "worker/trainer/base/random.h"

namespace coppice::trainer {
namespace {

constexpr int kWords = 6;

class EvaluatorTest : public testing::Test {
 protected:
  // A random model with weights large enough that its choices vary.
  void MakeModel(const Vocabulary& vocabulary, int64_t max_length) {
    layout_.emplace(ModelShape{vocabulary.size(), 16, 2, 24, 2});
    parameters_ = at::zeros({1, layout_->row_size()}, at::kFloat);
    InitializeParameters(*layout_, 5, parameters_.data_ptr<float>());
    weights_ = Weights::View(parameters_, *layout_);
    model_.emplace(*layout_, max_length, at::kFloat, MakeCpuOps(at::kFloat));
  }

  // The logits after SOS and `words`.
  std::vector<double> NextLogits(const Vocabulary& vocabulary, const std::vector<int32_t>& words) {
    MemberBatch batch;
    batch.Append(words.data(), static_cast<int32_t>(words.size()), vocabulary.sos());
    const at::Tensor logits = model_->LogitsWithoutBias(weights_, model_->Encode(weights_, batch));
    std::vector<double> row(vocabulary.size());
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = static_cast<double>(logits.data_ptr<float>()[(batch.rows() - 1) * vocabulary.size() +
                                                            static_cast<int64_t>(i)]) +
               weights_.output_bias.data_ptr<float>()[i];
    }
    return row;
  }

  double Choices(const Dataset& dataset, const Split& split) {
    double correct = 0;
    for (const ChoiceItem& item : split.choices.items) {
      const std::vector<int32_t>& tokens = split.examples[item.example].tokens;
      const std::vector<double> logits = NextLogits(
          dataset.vocabulary, std::vector<int32_t>(tokens.begin(), tokens.begin() + item.position));
      int32_t best = split.choices.candidates[0];
      for (const int32_t candidate : split.choices.candidates) {
        if (logits[candidate] > logits[best]) best = candidate;
      }
      correct += best == item.answer ? 1 : 0;
    }
    return correct / static_cast<double>(split.choices.items.size());
  }

  double Loss(const Dataset& dataset) {
    double sum = 0;
    int64_t count = 0;
    for (const Example& example : dataset.val.examples) {
      for (size_t t = 0; t <= example.tokens.size(); ++t, ++count) {
        const std::vector<double> logits =
            NextLogits(dataset.vocabulary,
                       std::vector<int32_t>(example.tokens.begin(), example.tokens.begin() + t));
        double total = 0;
        for (const double logit : logits) total += std::exp(logit);
        const int32_t target =
            t < example.tokens.size() ? example.tokens[t] : dataset.vocabulary.eos();
        sum += std::log(total) - logits[target];
      }
    }
    return sum / static_cast<double>(count);
  }

  std::map<std::string, double> Measure(const Dataset& dataset) {
    const EvaluationPlan plan(&dataset);
    MetricValues values;
    const std::atomic<bool> stop{false};
    EXPECT_TRUE(Evaluate(plan, weights_, &*model_, stop, &values));
    return {values.begin(), values.end()};
  }

  std::optional<ParameterLayout> layout_;
  at::Tensor parameters_;
  Weights weights_;
  std::optional<Transformer> model_;
};

TEST_F(EvaluatorTest, LossAndChoicesEqualThePlainDefinition) {
  for (const Task task : {Task::kQuestion, Task::kDyck}) {
    const Dataset dataset = SmallDataset(task);
    MakeModel(dataset.vocabulary, 200);
    const std::map<std::string, double> values = Measure(dataset);
    EXPECT_NEAR(values.at("val_loss"), Loss(dataset), 1e-5);
    EXPECT_DOUBLE_EQ(values.at("id_accuracy"), Choices(dataset, dataset.val));
    EXPECT_DOUBLE_EQ(values.at("gen_accuracy"), Choices(dataset, dataset.gen));
  }
}

TEST_F(EvaluatorTest, DecodingWithTheCacheEqualsDecodingFromScratch) {
  Dataset dataset{Vocabulary({"a", "b", "c", "d", "e", "f"}), {}, {}, {}, {}, {}};
  const Vocabulary& vocabulary = dataset.vocabulary;
  MakeModel(vocabulary, 40);
  // Sentences whose targets are the model's own output, decoded word by word without a cache.
  PhiloxStream random({1, 2}, 3, 4);
  for (int i = 0; i < 600; ++i) {
    Example example;
    for (uint32_t j = 0, n = 1 + random.Below(8); j < n; ++j) {
      example.tokens.push_back(static_cast<int32_t>(1 + random.Below(kWords)));
    }
    example.prefix = static_cast<int32_t>(example.tokens.size());
    for (;;) {
      const std::vector<double> logits = NextLogits(vocabulary, example.tokens);
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      const size_t output = example.tokens.size() - example.prefix;
      if (best == vocabulary.eos() && output > 0) dataset.gen.examples.push_back(example);
      if (best == vocabulary.eos() || output > 12) break;
      example.tokens.push_back(static_cast<int32_t>(best));
    }
  }
  const int32_t count = static_cast<int32_t>(dataset.gen.examples.size());
  ASSERT_GT(count, 70) << "more than one batch is needed for this test to say much";
  for (int32_t i = 0; i < count; ++i) dataset.gen.decodes.items.push_back({i, 0});
  for (int8_t i = 0; i < vocabulary.size(); ++i) dataset.gen.decodes.part_of_speech.push_back(i);
  EXPECT_EQ(Measure(dataset).at("gen_accuracy"), 1.0);

  // A longer, shorter or different target is wrong. A different word of the same class is right,
  // except at the main verb.
  std::vector<Example>& examples = dataset.gen.examples;
  examples[0].tokens.push_back(1);
  examples[1].tokens.back() = examples[1].tokens.back() % kWords + 1;
  EXPECT_DOUBLE_EQ(Measure(dataset).at("gen_accuracy"), 1.0 - 2.0 / count);
  std::fill_n(dataset.gen.decodes.part_of_speech.begin() + 1, kWords, 1);
  dataset.gen.decodes.items[1].main_verb =
      static_cast<int32_t>(examples[1].tokens.size()) - examples[1].prefix - 1;
  EXPECT_DOUBLE_EQ(Measure(dataset).at("gen_accuracy"), 1.0 - 2.0 / count);
  dataset.gen.decodes.items[1].main_verb = -1;
  EXPECT_DOUBLE_EQ(Measure(dataset).at("gen_accuracy"), 1.0 - 1.0 / count);
}

TEST_F(EvaluatorTest, AStopAbandonsTheEvaluation) {
  const Dataset dataset = SmallDataset(Task::kTense);
  MakeModel(dataset.vocabulary, 200);
  const EvaluationPlan plan(&dataset);
  MetricValues values;
  const std::atomic<bool> stop{true};
  EXPECT_FALSE(Evaluate(plan, weights_, &*model_, stop, &values));
}

}  // namespace
}  // namespace coppice::trainer
