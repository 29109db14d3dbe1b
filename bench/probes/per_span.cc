#include "bench/probes/per_span.h"

#include <cmath>
#include <utility>

#include "absl/types/span.h"
#include "worker/trainer/model/prefix_tree.h"
#include "worker/trainer/probes/tree_projection.h"

namespace coppice::bench {
namespace {

constexpr int64_t kBatchRows = 1024;  // as in probes/plan.cc

// A reading of words first..last of a sentence, with its rows in the batch.
struct Reading {
  size_t sentence = 0;
  int64_t first = 0, last = 0;
  std::vector<int32_t> rows;
};

// Readings side by side below one SOS. No two of them share a word.
struct Batch {
  explicit Batch(int32_t sos) : tree(sos) {}

  void Add(const std::vector<std::vector<int32_t>>& sentences, Reading reading) {
    std::vector<int32_t> none;
    tree.Add(0, {}, &none);  // ends the last reading, so that its beginning is not found again
    tree.Add(static_cast<int32_t>(reading.first) + 1,
             absl::MakeConstSpan(sentences[reading.sentence])
                 .subspan(reading.first, reading.last - reading.first + 1),
             &reading.rows);
    readings.push_back(std::move(reading));
  }
  bool full() const { return tree.rows() >= kBatchRows; }

  trainer::PrefixTree tree;
  std::vector<Reading> readings;
};

template <typename T>
std::vector<double> SumOf(const T* states, int64_t d, absl::Span<const int32_t> rows) {
  std::vector<double> sum(d, 0.0);
  for (const int32_t row : rows) {
    for (int64_t i = 0; i < d; ++i) sum[i] += static_cast<double>(states[row * d + i]);
  }
  return sum;
}

double Cosine(const std::vector<double>& a, const std::vector<double>& b) {
  double product = 0, square_a = 0, square_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    product += a[i] * b[i];
    square_a += a[i] * a[i];
    square_b += b[i] * b[i];
  }
  return product / std::sqrt(square_a * square_b);
}

template <typename T>
class Reader {
 public:
  Reader(const std::vector<std::vector<int32_t>>& sentences, int32_t sos,
         const trainer::Weights& weights, trainer::Transformer* model)
      : sentences_(sentences), sos_(sos), weights_(weights), model_(model) {
    int64_t values = 0;
    for (const std::vector<int32_t>& sentence : sentences) {
      first_value_.push_back(values);
      values += trainer::SpanCount(static_cast<int64_t>(sentence.size()));
    }
    readings_.charts.resize(values);
  }

  trainer::ProbeReadings Read() {
    Batch batch(sos_);
    for (size_t s = 0; s < sentences_.size(); ++s) {
      batch.Add(sentences_, {s, 0, static_cast<int64_t>(sentences_[s].size()) - 1, {}});
      if (!batch.full() && s + 1 < sentences_.size()) continue;
      ReadInContext(batch);
      ReadSpans(batch);
      batch = Batch(sos_);
    }
    return std::move(readings_);
  }

 private:
  void ReadInContext(const Batch& batch) {
    std::vector<double> entropy(batch.tree.rows());
    double* const rows = entropy.data();
    context_ = model_->EncodeTree(weights_, batch.tree, &rows).clone();
    for (const Reading& reading : batch.readings) {
      readings_.entropy_sum += entropy[0];  // of SOS
      for (const int32_t row : reading.rows) readings_.entropy_sum += entropy[row];
    }
  }

  void ReadSpans(const Batch& in_context) {
    Batch batch(sos_);
    for (size_t r = 0; r < in_context.readings.size(); ++r) {
      const Reading& whole = in_context.readings[r];
      for (int64_t first = 0; first <= whole.last; ++first) {
        for (int64_t last = first; last <= whole.last; ++last) {
          batch.Add(sentences_, {whole.sentence, first, last, {}});
          if (batch.full()) Flush(in_context, &batch);
        }
      }
    }
    Flush(in_context, &batch);
  }

  void Flush(const Batch& in_context, Batch* batch) {
    const at::Tensor states = model_->EncodeTree(weights_, batch->tree);
    const int64_t d = states.size(-1);
    for (const Reading& span : batch->readings) {
      const size_t first_sentence = in_context.readings[0].sentence;
      const auto whole =
          absl::MakeConstSpan(in_context.readings[span.sentence - first_sentence].rows);
      const auto words = static_cast<int64_t>(whole.size());
      const int64_t length = span.last - span.first + 1;
      readings_
          .charts[first_value_[span.sentence] + trainer::SpanIndex(words, span.first, span.last)] =
          Cosine(SumOf(context_.data_ptr<T>(), d, whole.subspan(span.first, length)),
                 SumOf(states.data_ptr<T>(), d, span.rows));
    }
    *batch = Batch(sos_);
  }

  const std::vector<std::vector<int32_t>>& sentences_;
  const int32_t sos_;
  const trainer::Weights& weights_;
  trainer::Transformer* const model_;
  std::vector<int64_t> first_value_;
  trainer::ProbeReadings readings_;
  at::Tensor context_;
};

}  // namespace

template <typename T>
trainer::ProbeReadings ReadPerSpan(const std::vector<std::vector<int32_t>>& sentences, int32_t sos,
                                   const trainer::Weights& weights, trainer::Transformer* model) {
  return Reader<T>(sentences, sos, weights, model).Read();
}
template trainer::ProbeReadings ReadPerSpan<float>(const std::vector<std::vector<int32_t>>&,
                                                   int32_t, const trainer::Weights&,
                                                   trainer::Transformer*);
template trainer::ProbeReadings ReadPerSpan<double>(const std::vector<std::vector<int32_t>>&,
                                                    int32_t, const trainer::Weights&,
                                                    trainer::Transformer*);

int64_t RowsPerSpan(int64_t words) {
  int64_t rows = words;
  for (int64_t length = 1; length <= words; ++length) rows += (words - length + 1) * length;
  return rows;
}

int64_t RowsPerFirstWord(int64_t words) { return words * (words + 1) / 2; }

int64_t Sum(int64_t (*rows)(int64_t words), const std::vector<std::vector<int32_t>>& sentences) {
  int64_t sum = 0;
  for (const std::vector<int32_t>& sentence : sentences)
    sum += rows(static_cast<int64_t>(sentence.size()));
  return sum;
}

}  // namespace coppice::bench
