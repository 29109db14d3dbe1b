#include "worker/trainer/probes/tree_projection.h"

namespace coppice::trainer {

TreeProjection ProjectTree(int64_t words, absl::Span<const double> chart) {
  TreeProjection projection;
  std::vector<Bracket> open = {{0, static_cast<int>(words) - 1}};
  while (!open.empty()) {
    const Bracket span = open.back();
    open.pop_back();
    if (span.first >= span.last) continue;
    projection.brackets.push_back(span);
    int split = span.first;  // last word of the left part
    double best = 0, sum = 0;
    for (int k = span.first; k < span.last; ++k) {
      const double value =
          chart[SpanIndex(words, span.first, k)] + chart[SpanIndex(words, k + 1, span.last)];
      sum += value;
      if (k > span.first && value <= best) continue;
      best = value;
      split = k;
    }
    projection.greedy_score += best;
    projection.normalized_score += best - sum / (span.last - span.first);
    open.push_back({split + 1, span.last});
    open.push_back({span.first, split});
  }
  return projection;
}

}  // namespace coppice::trainer
