#include "worker/trainer/probes/plan.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "worker/trainer/probes/tree_projection.h"

namespace coppice::trainer {
namespace {

// Bounds the number of stored states in context (some 60,000 rows for the question task).
constexpr size_t kGroupSentences = 10000;
// As in the evaluator: large enough for efficient matrix products, small enough for a prompt
// reaction to SIGTERM.
constexpr int64_t kBatchRows = 1024;

struct Suffix {
  int32_t sentence;
  int32_t first;
  absl::Span<const int32_t> words;
};

bool Before(const Suffix& a, const Suffix& b) {
  if (a.first != b.first) return a.first < b.first;
  if (a.words != b.words)
    return std::lexicographical_compare(a.words.begin(), a.words.end(), b.words.begin(),
                                        b.words.end());
  return a.sentence < b.sentence;
}

std::vector<ProbeBatch> Pack(std::vector<Suffix> suffixes, int32_t sos) {
  std::sort(suffixes.begin(), suffixes.end(), Before);
  std::vector<ProbeBatch> batches;
  for (const Suffix& suffix : suffixes) {
    if (batches.empty() || batches.back().tree.rows() >= kBatchRows)
      batches.push_back({PrefixTree(sos), {}});
    ProbeChain chain{suffix.sentence, suffix.first, {}};
    batches.back().tree.Add(suffix.first + 1, suffix.words, &chain.rows);
    batches.back().chains.push_back(std::move(chain));
  }
  return batches;
}

}  // namespace

ProbePlan::ProbePlan(const std::vector<std::vector<int32_t>>& sentences, int32_t sos) {
  for (const std::vector<int32_t>& sentence : sentences) {
    words_.push_back(static_cast<int64_t>(sentence.size()));
    first_value_.push_back(values_);
    values_ += SpanCount(words_.back());
  }
  for (size_t begin = 0; begin < sentences.size(); begin += kGroupSentences) {
    const size_t end = std::min(begin + kGroupSentences, sentences.size());
    std::vector<Suffix> whole, rest;
    for (size_t s = begin; s < end; ++s) {
      const auto words = absl::MakeConstSpan(sentences[s]);
      for (size_t first = 0; first < words.size(); ++first) {
        (first == 0 ? whole : rest)
            .push_back(
                {static_cast<int32_t>(s), static_cast<int32_t>(first), words.subspan(first)});
      }
    }
    Group group;
    group.in_context = Pack(std::move(whole), sos);
    group.suffixes = Pack(std::move(rest), sos);
    for (const ProbeBatch& batch : group.in_context) group.context_rows += batch.tree.rows();
    groups_.push_back(std::move(group));
  }
}

int64_t ProbePlan::rows() const {
  int64_t rows = 0;
  for (const Group& group : groups_) {
    for (const ProbeBatch& batch : group.in_context) rows += batch.tree.rows();
    for (const ProbeBatch& batch : group.suffixes) rows += batch.tree.rows();
  }
  return rows;
}

}  // namespace coppice::trainer
