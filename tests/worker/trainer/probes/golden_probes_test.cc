// The probes against numbers of the reference implementation (tests/golden, or the folder
// COPPICE_GOLDEN_DIR): attention entropies, every chart value, trees and scores; alone and as the
// same model in each row of a pack.
#include "tests/worker/trainer/golden.h"
#include "worker/trainer/probes/probes.h"
#include "worker/trainer/probes/tree_projection.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;

const std::atomic<bool> kNoStop{false};

// Appends the brackets of a nested list of words, from the top down. Returns the number of words.
int BracketsOf(const json& tree, int first, std::vector<Bracket>* brackets) {
  if (!tree.is_array()) return 1;
  const size_t at = brackets->size();
  brackets->push_back({first, 0});
  const int left = BracketsOf(tree[0], first, brackets);
  const int words = left + BracketsOf(tree[1], first + left, brackets);
  (*brackets)[at].last = first + words - 1;
  return words;
}

template <typename T>
class GoldenProbes : public GoldenModel<T> {
 public:
  explicit GoldenProbes(const std::string& file, int64_t pack = 1) : GoldenModel<T>(file, pack) {}

  void CheckEntropies(double tolerance) {
    const std::vector<std::vector<int32_t>> sentences = this->golden["batch"]["sequences"];
    const auto count = static_cast<double>(sentences.size());
    const ProbePlan plan(sentences, this->sos());
    const auto readings = ReadProbes(plan, this->weights, this->model.get(), kNoStop);
    ASSERT_TRUE(readings.has_value());
    ASSERT_EQ(readings->size(), static_cast<size_t>(this->pack));
    for (const ProbeReadings& reading : *readings) {
      ExpectClose("entropy of the propagated states", this->golden["attention_entropy_propagated"],
                  reading.entropy_sum / count, tolerance);
    }
    for (const double sum : EmbeddingEntropies(plan)) {
      ExpectClose("entropy as the released code reads it",
                  this->golden["attention_entropy_published_code"], sum / count, tolerance);
    }
  }

  void CheckTrees(double tolerance) {
    std::vector<std::vector<int32_t>> sentences;
    for (const json& sentence : this->golden["tree_projections"])
      sentences.push_back(sentence["tokens"]);
    const ProbePlan plan(sentences, this->sos());
    const auto readings = ReadProbes(plan, this->weights, this->model.get(), kNoStop);
    ASSERT_TRUE(readings.has_value());
    for (const ProbeReadings& reading : *readings) {
      for (size_t s = 0; s < sentences.size(); ++s) {
        CheckTree(this->golden["tree_projections"][s], plan.words(s),
                  reading.charts.data() + plan.first_value(s), tolerance);
      }
    }
  }

 private:
  std::vector<double> EmbeddingEntropies(const ProbePlan& plan) {
    std::vector<double> sums(this->pack, 0.0);
    for (const ProbeBatch& batch : plan.groups()[0].in_context) {
      std::vector<std::vector<double>> entropy(this->pack, std::vector<double>(batch.tree.rows()));
      std::vector<double*> rows;
      for (auto& member : entropy) rows.push_back(member.data());
      this->model->EmbeddingAttentionEntropy(this->weights, batch.tree, rows.data());
      for (int64_t k = 0; k < this->pack; ++k) {
        for (const ProbeChain& chain : batch.chains) {
          sums[k] += entropy[k][0];
          for (const int32_t row : chain.rows) sums[k] += entropy[k][row];
        }
      }
    }
    return sums;
  }

  void CheckTree(const json& expected, int64_t words, const double* chart, double tolerance) {
    ASSERT_EQ(expected["sci_chart"].size(), static_cast<size_t>(SpanCount(words)));
    for (const json& entry : expected["sci_chart"]) {
      EXPECT_NEAR(chart[SpanIndex(words, entry[0], entry[1])], entry[2].get<double>(), tolerance)
          << "words " << entry[0] << " to " << entry[1] << " of " << expected["tokens"];
    }
    const TreeProjection tree = ProjectTree(words, absl::MakeConstSpan(chart, SpanCount(words)));
    std::vector<Bracket> brackets;
    BracketsOf(expected["greedy_parse"], 0, &brackets);
    EXPECT_EQ(tree.brackets, brackets) << expected["tokens"];
    ExpectClose("greedy score", expected["greedy_score"], tree.greedy_score, tolerance);
    ExpectClose("normalized score", expected["expected_normalized_score"], tree.normalized_score,
                tolerance);
  }
};

class GoldenProbesTest : public testing::TestWithParam<std::string> {};

TEST_P(GoldenProbesTest, BothAttentionEntropiesInFloat64) {
  GoldenProbes<double>(GetParam()).CheckEntropies(kFloat64Tolerance);
}
TEST_P(GoldenProbesTest, EveryChartValueTreeAndScoreInFloat64) {
  GoldenProbes<double>(GetParam()).CheckTrees(kFloat64Tolerance);
}
TEST_P(GoldenProbesTest, EveryRowOfAPackInFloat64) {
  GoldenProbes<double> golden(GetParam(), 3);
  golden.CheckEntropies(kFloat64Tolerance);
  golden.CheckTrees(kFloat64Tolerance);
}
TEST_P(GoldenProbesTest, AllOfItInFloat32) {
  GoldenProbes<float> golden(GetParam());
  golden.CheckEntropies(1e-4);
  golden.CheckTrees(1e-4);
}
TEST_P(GoldenProbesTest, EveryRowOfAPackInFloat32) {
  GoldenProbes<float> golden(GetParam(), 3);
  golden.CheckEntropies(1e-4);
  golden.CheckTrees(1e-4);
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenProbesTest, testing::ValuesIn(GoldenFiles("_lm.json")),
                         GoldenName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenProbesTest);

}  // namespace
}  // namespace coppice::trainer
