#include "worker/trainer/probes/probes.h"

#include <algorithm>

#include "ATen/ops/empty.h"
#include "worker/trainer/base/activity.h"
#include "worker/trainer/probes/tree_projection.h"

namespace coppice::trainer {
namespace {

// Reads one plan for all members of a pack. Their results lie side by side.
class Reader {
 public:
  Reader(const ProbePlan& plan, const Weights& weights, Transformer* model,
         const std::atomic<bool>& stop)
      : plan_(plan),
        weights_(weights),
        model_(model),
        stop_(stop),
        pack_(PackWidth(weights.embedding)),
        readings_(pack_) {
    for (ProbeReadings& reading : readings_) {
      reading.charts.resize(plan.values());
      charts_.push_back(reading.charts.data());
    }
  }

  std::optional<std::vector<ProbeReadings>> Read() {
    for (const ProbePlan::Group& group : plan_.groups()) {
      if (!ReadInContext(group) || !ReadSuffixes(group)) return std::nullopt;
    }
    return std::move(readings_);
  }

 private:
  // Stores the states in context [K, C, d] and each sentence's rows in them.
  bool ReadInContext(const ProbePlan::Group& group) {
    const int64_t d = weights_.embedding.size(-1);
    std::vector<int64_t> shape = {group.context_rows, d};
    if (weights_.embedding.dim() == 3) shape.insert(shape.begin(), pack_);
    context_ = at::empty(shape, weights_.embedding.options());
    context_rows_.assign(plan_.sentences(), {});
    int64_t first_row = 0;
    for (const ProbeBatch& batch : group.in_context) {
      if (stop_.load(std::memory_order_relaxed)) return false;
      CountActivity();
      const int64_t rows = batch.tree.rows();
      std::vector<std::vector<double>> entropy(pack_, std::vector<double>(rows));
      std::vector<double*> entropy_rows;
      for (std::vector<double>& member : entropy) entropy_rows.push_back(member.data());
      context_.narrow(-2, first_row, rows)
          .copy_(model_->EncodeTree(weights_, batch.tree, entropy_rows.data()));
      for (const ProbeChain& chain : batch.chains) {
        for (int64_t k = 0; k < pack_; ++k) {
          readings_[k].entropy_sum += entropy[k][0];  // row of SOS
          for (const int32_t row : chain.rows) readings_[k].entropy_sum += entropy[k][row];
        }
        std::vector<int32_t>& kept = context_rows_[chain.sentence];
        for (const int32_t row : chain.rows) kept.push_back(static_cast<int32_t>(first_row) + row);
        FillWholeBeginnings(chain);
      }
      first_row += rows;
    }
    return true;
  }

  // Nothing precedes a span from the first word, so both readings are the same.
  void FillWholeBeginnings(const ProbeChain& chain) {
    const int64_t first = plan_.first_value(chain.sentence);
    for (double* charts : charts_) std::fill_n(charts + first, plan_.words(chain.sentence), 1.0);
  }

  bool ReadSuffixes(const ProbePlan::Group& group) {
    for (const ProbeBatch& batch : group.suffixes) {
      if (stop_.load(std::memory_order_relaxed)) return false;
      CountActivity();
      const at::Tensor states = model_->EncodeTree(weights_, batch.tree);
      std::vector<SpanChain> chains;
      for (const ProbeChain& chain : batch.chains) {
        const auto in_context = absl::MakeConstSpan(context_rows_[chain.sentence]);
        chains.push_back({in_context.subspan(chain.first), chain.rows,
                          plan_.first_value(chain.sentence) +
                              SpanIndex(plan_.words(chain.sentence), chain.first, chain.first)});
      }
      model_->SpanCosines(chains, context_, states, charts_.data());
    }
    return true;
  }

  const ProbePlan& plan_;
  const Weights& weights_;
  Transformer* const model_;
  const std::atomic<bool>& stop_;
  const int64_t pack_;
  std::vector<ProbeReadings> readings_;
  std::vector<double*> charts_;  // readings_[k].charts
  at::Tensor context_;
  std::vector<std::vector<int32_t>> context_rows_;  // by sentence
};

void AppendValues(const Probes& probes, const ProbeReadings& reading, MetricValues* values) {
  const auto sentences = static_cast<double>(probes.plan.sentences());
  double score = 0;
  BracketScore brackets;
  for (size_t s = 0; s < probes.plan.sentences(); ++s) {
    const int64_t words = probes.plan.words(s);
    TreeProjection projection = ProjectTree(
        words,
        absl::MakeConstSpan(reading.charts.data() + probes.plan.first_value(s), SpanCount(words)));
    score += projection.normalized_score;
    if (!probes.sample.has_gold()) continue;
    std::sort(projection.brackets.begin(), projection.brackets.end());
    brackets.Add(projection.brackets, probes.sample.gold[s]);
  }
  values->emplace_back("attention_sparsity", -reading.entropy_sum / sentences);
  values->emplace_back("t_score", score / sentences);
  if (probes.sample.has_gold()) {
    values->emplace_back("t_parseval", brackets.F1());
    values->emplace_back("right_branching_f1", probes.sample.right_branching_f1);
  }
}

}  // namespace

std::optional<std::vector<ProbeReadings>> ReadProbes(const ProbePlan& plan, const Weights& weights,
                                                     Transformer* model,
                                                     const std::atomic<bool>& stop) {
  return Reader(plan, weights, model, stop).Read();
}

bool MeasureProbesOfPack(const Probes& probes, const Weights& weights, Transformer* model,
                         const std::atomic<bool>& stop, std::vector<MetricValues>* values) {
  const auto readings = ReadProbes(probes.plan, weights, model, stop);
  if (!readings.has_value()) return false;
  values->resize(readings->size());
  for (size_t k = 0; k < readings->size(); ++k) AppendValues(probes, (*readings)[k], &(*values)[k]);
  return true;
}

bool MeasureProbes(const Probes& probes, const Weights& weights, Transformer* model,
                   const std::atomic<bool>& stop, MetricValues* values) {
  std::vector<MetricValues> pack(1);
  if (!MeasureProbesOfPack(probes, weights, model, stop, &pack)) return false;
  values->insert(values->end(), pack[0].begin(), pack[0].end());
  return true;
}

}  // namespace coppice::trainer
