// The probes on real samples: batched readings against plain ones, and early stops.
#include "worker/trainer/probes/probes.h"

#include <cmath>

#include "ATen/ops/zeros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/trainer/pack_runner.h"
#include "worker/trainer/probes/tree_projection.h"

namespace coppice::trainer {
namespace {

const std::atomic<bool> kNoStop{false};

class ProbesTest : public testing::Test {
 protected:
  void MakeModel(const Vocabulary& vocabulary) {
    layout_.emplace(ModelShape{vocabulary.size(), 16, 2, 24, 3});
    parameters_ = at::zeros({1, layout_->row_size()}, at::kFloat);
    InitializeParameters(*layout_, 5, parameters_.data_ptr<float>());
    weights_ = Weights::View(parameters_, *layout_);
    model_.emplace(*layout_, 100, at::kFloat, MakeCpuOps(at::kFloat));
  }

  Probes Draw(Task task, const Dataset& dataset) {
    Probes probes;
    probes.sample = *DrawProbeSample(task, dataset, 0, 1000);
    probes.plan = ProbePlan(probes.sample.sentences, dataset.vocabulary.sos());
    return probes;
  }

  // The final states of SOS and `words`, by the pass that training uses.
  at::Tensor States(const Vocabulary& vocabulary, const std::vector<int32_t>& words) {
    MemberBatch batch;
    batch.Append(words.data(), static_cast<int32_t>(words.size()), vocabulary.sos());
    return model_->Encode(weights_, batch).clone();
  }

  std::optional<ParameterLayout> layout_;
  at::Tensor parameters_;
  Weights weights_;
  std::optional<Transformer> model_;
};

// EncodeTree computes attention differently; in context its results must be those of Encode.
TEST_F(ProbesTest, StatesInContextAreThoseOfTheTrainingPass) {
  const Dataset dataset = SmallDataset(Task::kQuestion);
  MakeModel(dataset.vocabulary);
  const Probes probes = Draw(Task::kQuestion, dataset);
  for (const ProbeBatch& batch : probes.plan.groups()[0].in_context) {
    const at::Tensor states = model_->EncodeTree(weights_, batch.tree).clone();
    for (const ProbeChain& chain : batch.chains) {
      const at::Tensor expected =
          States(dataset.vocabulary, probes.sample.sentences[chain.sentence]);
      for (size_t w = 0; w < chain.rows.size(); ++w) {
        for (int64_t i = 0; i < 16; ++i) {
          ASSERT_NEAR(states.data_ptr<float>()[chain.rows[w] * 16 + i],
                      expected.data_ptr<float>()[(static_cast<int64_t>(w) + 1) * 16 + i], 1e-5);
        }
      }
    }
  }
}

TEST_F(ProbesTest, ASentenceReadsTheSameAloneAndAmongOthers) {
  const Dataset dataset = SmallDataset(Task::kTense);
  MakeModel(dataset.vocabulary);
  const Probes probes = Draw(Task::kTense, dataset);
  const auto all = ReadProbes(probes.plan, weights_, &*model_, kNoStop);
  ASSERT_TRUE(all.has_value());
  double entropy = 0;
  for (size_t s = 0; s < probes.plan.sentences(); ++s) {
    const ProbePlan alone({probes.sample.sentences[s]}, dataset.vocabulary.sos());
    const auto reading = ReadProbes(alone, weights_, &*model_, kNoStop);
    entropy += (*reading)[0].entropy_sum;
    for (int64_t i = 0; i < alone.values(); ++i) {
      ASSERT_NEAR((*reading)[0].charts[i], (*all)[0].charts[probes.plan.first_value(s) + i], 1e-5);
    }
  }
  EXPECT_NEAR((*all)[0].entropy_sum, entropy, 1e-4 * entropy);
}

TEST_F(ProbesTest, EverySpanFromTheFirstWordIsItselfAndNoCosineLeavesItsRange) {
  const Dataset dataset = SmallDataset(Task::kDyck);
  MakeModel(dataset.vocabulary);
  const Probes probes = Draw(Task::kDyck, dataset);
  const auto readings = ReadProbes(probes.plan, weights_, &*model_, kNoStop);
  ASSERT_TRUE(readings.has_value());
  for (size_t s = 0; s < probes.plan.sentences(); ++s) {
    const int64_t words = probes.plan.words(s);
    const double* chart = (*readings)[0].charts.data() + probes.plan.first_value(s);
    for (int64_t last = 0; last < words; ++last) EXPECT_EQ(chart[SpanIndex(words, 0, last)], 1.0);
    for (int64_t i = 0; i < SpanCount(words); ++i) {
      ASSERT_LE(std::abs(chart[i]), 1 + 1e-6);
      ASSERT_NE(chart[i], 0) << "a value that nobody wrote";
    }
  }
}

TEST_F(ProbesTest, AStopAbandonsThem) {
  const Dataset dataset = SmallDataset(Task::kQuestion);
  MakeModel(dataset.vocabulary);
  const std::atomic<bool> stop{true};
  MetricValues values;
  EXPECT_FALSE(MeasureProbes(Draw(Task::kQuestion, dataset), weights_, &*model_, stop, &values));
}

TEST_F(ProbesTest, ANotANumberInTheWeightsShowsInTheMetrics) {
  const Dataset dataset = SmallDataset(Task::kQuestion);
  MakeModel(dataset.vocabulary);
  parameters_.data_ptr<float>()[layout_->layers()[1].linear1] = std::nanf("");
  MetricValues values;
  ASSERT_TRUE(MeasureProbes(Draw(Task::kQuestion, dataset), weights_, &*model_, kNoStop, &values));
  for (const auto& [name, value] : values) {
    if (name == "t_score") {
      EXPECT_TRUE(std::isnan(value)) << value;
    }
  }
}

std::vector<MemberSpec> OneMember(const TestDirectory& directory) {
  return {{0, directory / "seed-0", ""}};
}

TEST(ProbesInARun, AreReportedForEveryTaskThatHasThem) {
  for (const Task task : {Task::kQuestion, Task::kTense, Task::kDyck}) {
    TestDirectory directory;
    const PackResult result = RunPack(SmallDataset(task), {SmallRun(task), OneMember(directory)});
    for (const auto& [step, values] : result.Metrics(0)) {
      for (const char* name : {"attention_sparsity", "t_score", "weight_norm_per_layer"})
        EXPECT_TRUE(values.contains(name)) << TaskName(task) << " " << name;
      for (const char* name : {"t_parseval", "right_branching_f1"})
        EXPECT_EQ(values.contains(name), task != Task::kDyck) << TaskName(task) << " " << name;
      EXPECT_LT(values["attention_sparsity"].get<double>(), 0);
      EXPECT_GE(values["t_score"].get<double>(), 0);
      EXPECT_DOUBLE_EQ(values["weight_norm_per_layer"].get<double>() * 2,
                       values["weight_norm"].get<double>());
    }
  }
}

TEST(ProbesInARun, ComeAtEveryNthReportAndAtTheLastStepOrNotAtAll) {
  const Dataset dataset = SmallDataset(Task::kQuestion);
  RunConfig run = SmallRun(Task::kQuestion);  // reports at 7, 14, 21, 28, 30
  const auto steps_with_probes = [&] {
    TestDirectory directory;
    std::vector<int64_t> steps;
    for (const auto& [step, values] : RunPack(dataset, {run, OneMember(directory)}).Metrics(0)) {
      if (values.contains("t_score")) steps.push_back(step);
    }
    return steps;
  };
  run.report.probe_every = 2;
  EXPECT_THAT(steps_with_probes(), testing::ElementsAre(14, 28, 30));
  run.report.probe_sentences = 0;
  EXPECT_THAT(steps_with_probes(), testing::ElementsAre());
}

}  // namespace
}  // namespace coppice::trainer
