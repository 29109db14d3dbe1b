#include "worker/trainer/cuda/pack.h"

#include <algorithm>

namespace coppice::trainer {

void LayOut(const MemberBatch& batch, int64_t heads, int64_t rows, RowPlace* places,
            int32_t* tokens, int32_t* targets) {
  std::fill(places, places + rows, RowPlace());
  std::fill(tokens, tokens + rows, 0);
  std::fill(targets, targets + rows, 0);
  std::copy(batch.tokens.begin(), batch.tokens.end(), tokens);
  std::copy(batch.targets.begin(), batch.targets.end(), targets);
  int64_t weights = 0;
  for (size_t b = 0; b < batch.sequences.size(); ++b) {
    const Sequence& sequence = batch.sequences[b];
    for (int32_t i = 0; i < sequence.length; ++i) {
      places[sequence.first_row + i] = {static_cast<int32_t>(b), i, sequence.length,
                                        sequence.first_position + i, weights};
    }
    weights += heads * sequence.length * sequence.length;
  }
}

}  // namespace coppice::trainer
