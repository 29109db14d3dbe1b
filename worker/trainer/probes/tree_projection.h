// Tree projections (Murty, Sharma, Andreas & Manning, "Characterizing Intrinsic Compositionality in
// Transformers with Tree Projections", ICLR 2023) measure how well a tree explains a model's
// computation on a sentence. Free of LibTorch.
#ifndef COPPICE_WORKER_TRAINER_PROBES_TREE_PROJECTION_H_
#define COPPICE_WORKER_TRAINER_PROBES_TREE_PROJECTION_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "worker/trainer/tasks/gold_parser.h"

namespace coppice::trainer {

// A sentence of n words has n (n + 1) / 2 spans. Their values lie row by row: first = 0, 1, .., and
// in each row last = first, first + 1, .., n - 1.
inline int64_t SpanCount(int64_t words) { return words * (words + 1) / 2; }
inline int64_t SpanIndex(int64_t words, int64_t first, int64_t last) {
  return first * words - first * (first - 1) / 2 + (last - first);
}

struct TreeProjection {
  // Inner nodes from the top down, left before right; n - 1 of them.
  std::vector<Bracket> brackets;
  // Sum over the tree's splits of chart(left) + chart(right).
  double greedy_score = 0;
  // The same sum, each term minus its mean over all split points of its span. It is 0 for a model
  // in which every tree is as good as any other. t_score is its mean over sentences.
  double normalized_score = 0;
};

// Splits spans from the whole sentence down, each where chart(left) + chart(right) is highest; the
// first of equals wins. `chart` has SpanCount(words) values in [-1, 1].
TreeProjection ProjectTree(int64_t words, absl::Span<const double> chart);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_PROBES_TREE_PROJECTION_H_
