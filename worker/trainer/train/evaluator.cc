#include "worker/trainer/train/evaluator.h"

#include <algorithm>
#include <utility>

#include "ATen/ops/from_blob.h"
#include "ATen/ops/index_select.h"
#include "worker/trainer/base/activity.h"

namespace coppice::trainer {
namespace {

// Large enough for efficient matrix products, small enough for the cache and for a prompt reaction
// to SIGTERM.
constexpr int64_t kBatchRows = 1024;
constexpr size_t kBatchDecodings = 64;

struct Score {
  double loss_sum = 0;
  int64_t loss_rows = 0;
  int64_t correct = 0;
  int64_t items = 0;
};

// One score per member of the pack. Members read the same sentences side by side.
using Scores = std::vector<Score>;

void ReadBatch(const EvaluationPlan::SplitPlan& plan, const EvaluationPlan::ReadingBatch& readings,
               const Vocabulary& vocabulary, const Weights& weights, Transformer* model,
               Scores* scores) {
  MemberBatch batch;
  std::vector<int64_t> rows;
  std::vector<int32_t> answers;
  for (const auto& reading : readings.readings) {
    batch.Append(reading.example->tokens.data(), reading.words, vocabulary.sos(),
                 plan.loss ? vocabulary.eos() : -1);
    for (const ChoiceItem& item : reading.choices) {
      // After tokens[0 .. position), the model's last row is that of SOS plus `position` words.
      rows.push_back(batch.sequences.back().first_row + item.position);
      answers.push_back(item.answer);
    }
  }
  const at::Tensor states = model->Encode(weights, batch);
  if (!rows.empty()) {
    const TokenIds best =
        model->BestCandidates(weights, states, rows, plan.split->choices.candidates);
    for (size_t k = 0; k < scores->size(); ++k) {
      for (size_t i = 0; i < answers.size(); ++i)
        (*scores)[k].correct += best[k][i] == answers[i] ? 1 : 0;
      (*scores)[k].items += static_cast<int64_t>(answers.size());
    }
  }
  if (!plan.loss) return;
  std::vector<double> sums(scores->size());
  model->CrossEntropySums(weights, batch, states, sums.data());
  for (size_t k = 0; k < scores->size(); ++k) {
    (*scores)[k].loss_sum += sums[k];
    (*scores)[k].loss_rows += batch.rows();
  }
}

enum class Verdict { kGoOn, kRight, kWrong };

// Judges word number `index` of the output.
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

// Greedy decoding of all sentences side by side. A sentence leaves once it is decided, right or
// wrong, for every member. Until then the words of members that have finished it are ignored.
void DecodeBatch(const std::vector<int8_t>& part_of_speech,
                 const EvaluationPlan::DecodingBatch& decodings, const Vocabulary& vocabulary,
                 const Weights& weights, Transformer* model, KeyValueCache* cache, Scores* scores) {
  MemberBatch batch;
  std::vector<int64_t> last_rows;
  std::vector<int32_t> slots;
  for (size_t i = 0; i < decodings.decodings.size(); ++i) {
    const Example& example = *decodings.decodings[i].example;
    batch.Append(example.tokens.data(), example.prefix, vocabulary.sos());
    last_rows.push_back(batch.rows() - 1);
    slots.push_back(static_cast<int32_t>(i));
  }
  for (Score& score : *scores) score.items += static_cast<int64_t>(slots.size());
  std::vector<std::vector<bool>> open(scores->size(), std::vector<bool>(slots.size(), true));
  const at::Tensor encoded = model->Encode(weights, batch, cache);
  const at::Tensor index =
      at::from_blob(last_rows.data(), {static_cast<int64_t>(last_rows.size())}, at::kLong)
          .to(encoded.device());
  at::Tensor states = at::index_select(encoded, -2, index);
  for (int32_t output = 0; !slots.empty(); ++output) {
    const TokenIds words = model->MostProbable(weights, states);
    TokenIds next_words(scores->size());
    std::vector<int32_t> next_positions, next_slots;
    for (size_t i = 0; i < slots.size(); ++i) {
      const auto& decoding = decodings.decodings[slots[i]];
      bool goes_on = false;
      for (size_t k = 0; k < scores->size(); ++k) {
        if (!open[k][slots[i]]) continue;
        const Verdict verdict =
            Judge(decoding, part_of_speech, vocabulary.eos(), output, words[k][i]);
        (*scores)[k].correct += verdict == Verdict::kRight ? 1 : 0;
        open[k][slots[i]] = verdict == Verdict::kGoOn;
        goes_on |= verdict == Verdict::kGoOn;
      }
      if (!goes_on) continue;
      for (size_t k = 0; k < scores->size(); ++k) next_words[k].push_back(words[k][i]);
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
                  Scores* scores) {
  for (const auto& batch : plan.readings) {
    if (stop.load(std::memory_order_relaxed)) return false;
    ReadBatch(plan, batch, vocabulary, weights, model, scores);
    CountActivity();
  }
  if (plan.decodings.empty()) return true;
  KeyValueCache cache = model->MakeCache(weights, static_cast<int64_t>(kBatchDecodings));
  for (const auto& batch : plan.decodings) {
    if (stop.load(std::memory_order_relaxed)) return false;
    DecodeBatch(plan.split->decodes.part_of_speech, batch, vocabulary, weights, model, &cache,
                scores);
    CountActivity();
  }
  return true;
}

void AppendValues(const Score& val, const Score& gen, MetricValues* values) {
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

bool EvaluatePack(const EvaluationPlan& plan, const Weights& weights, Transformer* model,
                  const std::atomic<bool>& stop, std::vector<MetricValues>* values) {
  Scores val(PackWidth(weights.embedding));
  Scores gen(val.size());
  const Vocabulary& vocabulary = plan.dataset().vocabulary;
  if (!MeasureSplit(plan.val(), vocabulary, weights, model, stop, &val)) return false;
  if (!MeasureSplit(plan.gen(), vocabulary, weights, model, stop, &gen)) return false;
  values->resize(val.size());
  for (size_t k = 0; k < val.size(); ++k) AppendValues(val[k], gen[k], &(*values)[k]);
  return true;
}

bool Evaluate(const EvaluationPlan& plan, const Weights& weights, Transformer* model,
              const std::atomic<bool>& stop, MetricValues* values) {
  std::vector<MetricValues> pack(1);
  if (!EvaluatePack(plan, weights, model, stop, &pack)) return false;
  values->insert(values->end(), pack[0].begin(), pack[0].end());
  return true;
}

}  // namespace coppice::trainer
