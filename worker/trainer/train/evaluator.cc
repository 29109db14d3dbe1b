#include "worker/trainer/train/evaluator.h"

#include <algorithm>
#include <utility>

#include "ATen/ops/from_blob.h"
#include "ATen/ops/index_select.h"
#include "worker/trainer/model/kernels.h"

namespace coppice::trainer {
namespace {

// Large enough for efficient matrix products, small enough for the cache and for a prompt answer to
// SIGTERM.
constexpr int64_t kBatchRows = 1024;
constexpr size_t kBatchDecodings = 64;

struct Score {
  double loss_sum = 0;
  int64_t loss_rows = 0;
  int64_t correct = 0;
  int64_t items = 0;
};

// The candidate with the largest logit; the first of equals.
int32_t BestCandidate(const std::vector<int32_t>& candidates, const float* state,
                      const float* output, const float* bias, int64_t d) {
  int32_t best = -1;
  double best_logit = 0;
  for (const int32_t candidate : candidates) {
    double logit = bias[candidate];
    const float* row = output + candidate * d;
    for (int64_t i = 0; i < d; ++i)
      logit += static_cast<double>(state[i]) * static_cast<double>(row[i]);
    if (best < 0 || logit > best_logit) {
      best = candidate;
      best_logit = logit;
    }
  }
  return best;
}

void ReadBatch(const EvaluationPlan::SplitPlan& plan, const EvaluationPlan::ReadingBatch& readings,
               const Vocabulary& vocabulary, const Weights& weights, Transformer* model,
               Score* score) {
  MemberBatch batch;
  for (const auto& reading : readings.readings) {
    batch.Append(reading.example->tokens.data(), reading.words, vocabulary.sos(),
                 plan.loss ? vocabulary.eos() : -1);
  }
  const at::Tensor states = model->Encode(weights, batch);
  const int64_t d = states.size(1);
  for (size_t b = 0; b < readings.readings.size(); ++b) {
    for (const ChoiceItem& item : readings.readings[b].choices) {
      // Having read tokens[0 .. position), the model's last row is that of SOS plus `position`
      // words.
      const float* state =
          states.data_ptr<float>() + (batch.sequences[b].first_row + item.position) * d;
      const int32_t best =
          BestCandidate(plan.split->choices.candidates, state, weights.output.data_ptr<float>(),
                        weights.output_bias.data_ptr<float>(), d);
      score->correct += best == item.answer ? 1 : 0;
      ++score->items;
    }
  }
  if (!plan.loss) return;
  const at::Tensor logits = model->LogitsWithoutBias(weights, states);
  score->loss_sum += GetKernels<float>().cross_entropy(
      batch.rows(), logits.size(1), weights.output_bias.data_ptr<float>(), batch.targets.data(),
      logits.data_ptr<float>(), false, nullptr);
  score->loss_rows += batch.rows();
}

std::vector<int32_t> MostProbable(const at::Tensor& logits, const float* bias) {
  const int64_t vocabulary = logits.size(1);
  std::vector<int32_t> best(logits.size(0));
  for (size_t r = 0; r < best.size(); ++r) {
    const float* row = logits.data_ptr<float>() + static_cast<int64_t>(r) * vocabulary;
    for (int64_t i = 1; i < vocabulary; ++i) {
      if (row[i] + bias[i] > row[best[r]] + bias[best[r]]) best[r] = static_cast<int32_t>(i);
    }
  }
  return best;
}

enum class Verdict { kGoOn, kRight, kWrong };

// Judges the output's word number `index`.
Verdict Judge(const EvaluationPlan::Decoding& decoding, const std::vector<int8_t>& part_of_speech,
              int32_t eos, int32_t index, int32_t word) {
  const Example& example = *decoding.example;
  const int32_t length = static_cast<int32_t>(example.tokens.size()) - example.prefix;
  if (index == length) return word == eos ? Verdict::kRight : Verdict::kWrong;
  const int32_t target = example.tokens[example.prefix + index];
  if (part_of_speech[word] != part_of_speech[target]) return Verdict::kWrong;
  if (index == decoding.main_verb && word != target) return Verdict::kWrong;
  return Verdict::kGoOn;
}

// Greedy decoding of all sentences side by side; a sentence leaves as soon as it is wrong or done.
void DecodeBatch(const std::vector<int8_t>& part_of_speech,
                 const EvaluationPlan::DecodingBatch& decodings, const Vocabulary& vocabulary,
                 const Weights& weights, Transformer* model, KeyValueCache* cache, Score* score) {
  MemberBatch batch;
  std::vector<int64_t> last_rows;
  std::vector<int32_t> slots;
  for (size_t i = 0; i < decodings.decodings.size(); ++i) {
    const Example& example = *decodings.decodings[i].example;
    batch.Append(example.tokens.data(), example.prefix, vocabulary.sos());
    last_rows.push_back(batch.rows() - 1);
    slots.push_back(static_cast<int32_t>(i));
  }
  score->items += static_cast<int64_t>(slots.size());
  const at::Tensor index =
      at::from_blob(last_rows.data(), {static_cast<int64_t>(last_rows.size())}, at::kLong);
  at::Tensor states = at::index_select(model->Encode(weights, batch, cache), 0, index);
  for (int32_t output = 0; !slots.empty(); ++output) {
    const std::vector<int32_t> words = MostProbable(model->LogitsWithoutBias(weights, states),
                                                    weights.output_bias.data_ptr<float>());
    std::vector<int32_t> next_words, next_positions, next_slots;
    for (size_t i = 0; i < slots.size(); ++i) {
      const auto& decoding = decodings.decodings[slots[i]];
      const Verdict verdict = Judge(decoding, part_of_speech, vocabulary.eos(), output, words[i]);
      score->correct += verdict == Verdict::kRight ? 1 : 0;
      if (verdict != Verdict::kGoOn) continue;
      next_words.push_back(words[i]);
      next_positions.push_back(decoding.example->prefix + 1 + output);
      next_slots.push_back(slots[i]);
    }
    slots = std::move(next_slots);
    if (!slots.empty())
      states = model->EncodeNext(weights, next_words, next_positions, slots, cache);
  }
}

bool MeasureSplit(const EvaluationPlan::SplitPlan& plan, const Vocabulary& vocabulary,
                  const Weights& weights, Transformer* model, const std::atomic<bool>& stop,
                  Score* score) {
  for (const auto& batch : plan.readings) {
    if (stop.load(std::memory_order_relaxed)) return false;
    ReadBatch(plan, batch, vocabulary, weights, model, score);
  }
  if (plan.decodings.empty()) return true;
  KeyValueCache cache = model->MakeCache(static_cast<int64_t>(kBatchDecodings));
  for (const auto& batch : plan.decodings) {
    if (stop.load(std::memory_order_relaxed)) return false;
    DecodeBatch(plan.split->decodes.part_of_speech, batch, vocabulary, weights, model, &cache,
                score);
  }
  return true;
}

}  // namespace

EvaluationPlan::EvaluationPlan(const Dataset* dataset)
    : dataset_(dataset),
      val_(Plan(dataset->val, /*loss=*/true)),
      gen_(Plan(dataset->gen, /*loss=*/false)) {}

EvaluationPlan::SplitPlan EvaluationPlan::Plan(const Split& split, bool loss) const {
  SplitPlan plan;
  plan.loss = loss;
  plan.split = &split;
  std::vector<Reading> readings(split.examples.size());
  for (size_t i = 0; i < readings.size(); ++i) {
    readings[i].example = &split.examples[i];
    if (loss) readings[i].words = static_cast<int32_t>(split.examples[i].tokens.size());
  }
  for (const ChoiceItem& item : split.choices.items) {
    Reading& reading = readings[item.example];
    reading.words = std::max(reading.words, item.position);
    reading.choices.push_back(item);
  }
  std::stable_sort(readings.begin(), readings.end(),
                   [](const Reading& a, const Reading& b) { return a.words < b.words; });
  int64_t rows = 0;
  for (Reading& reading : readings) {
    if (!loss && reading.choices.empty()) continue;
    if (plan.readings.empty() || rows + reading.words + 1 > kBatchRows) {
      plan.readings.emplace_back();
      rows = 0;
    }
    rows += reading.words + 1;
    plan.readings.back().readings.push_back(std::move(reading));
  }

  std::vector<Decoding> decodings;
  for (const DecodeItem& item : split.decodes.items) {
    decodings.push_back({&split.examples[item.example], item.main_verb});
  }
  std::stable_sort(decodings.begin(), decodings.end(), [](const Decoding& a, const Decoding& b) {
    return a.example->prefix < b.example->prefix;
  });
  for (const Decoding& decoding : decodings) {
    if (plan.decodings.empty() || plan.decodings.back().decodings.size() == kBatchDecodings) {
      plan.decodings.emplace_back();
    }
    plan.decodings.back().decodings.push_back(decoding);
  }
  return plan;
}

bool Evaluate(const EvaluationPlan& plan, const Weights& weights, Transformer* model,
              const std::atomic<bool>& stop, MetricValues* values) {
  Score val;
  Score gen;
  const Vocabulary& vocabulary = plan.dataset().vocabulary;
  if (!MeasureSplit(plan.val(), vocabulary, weights, model, stop, &val)) return false;
  if (!MeasureSplit(plan.gen(), vocabulary, weights, model, stop, &gen)) return false;
  if (val.loss_rows > 0)
    values->emplace_back("val_loss", val.loss_sum / static_cast<double>(val.loss_rows));
  if (val.items > 0) {
    values->emplace_back("id_accuracy",
                         static_cast<double>(val.correct) / static_cast<double>(val.items));
  }
  if (gen.items > 0) {
    values->emplace_back("gen_accuracy",
                         static_cast<double>(gen.correct) / static_cast<double>(gen.items));
  }
  return true;
}

}  // namespace coppice::trainer
