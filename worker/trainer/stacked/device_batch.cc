#include "worker/trainer/stacked/device_batch.h"

#include <algorithm>

namespace coppice::trainer {
namespace {

// The arrays in order. Each begins at the end of the previous one.
struct Arrays {
  int64_t* row_counts;
  RowPlace* places;
  int32_t* tokens;
  int32_t* targets;
};

static_assert(sizeof(RowPlace) % alignof(RowPlace) == 0 && alignof(RowPlace) <= alignof(int64_t));

Arrays ArraysAt(void* base, int64_t members, int64_t rows) {
  auto* counts = static_cast<int64_t*>(base);
  auto* places = reinterpret_cast<RowPlace*>(counts + members);
  auto* tokens = reinterpret_cast<int32_t*>(places + members * rows);
  return {counts, places, tokens, tokens + members * rows};
}

void LayOutMember(const MemberBatch& batch, int64_t heads, int64_t rows, RowPlace* places,
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

}  // namespace

int64_t BatchBytes(int64_t members, int64_t rows) {
  return members * (static_cast<int64_t>(sizeof(int64_t)) +
                    rows * static_cast<int64_t>(sizeof(RowPlace) + 2 * sizeof(int32_t)));
}

DeviceBatch BatchAt(void* base, int64_t members, int64_t rows) {
  const Arrays arrays = ArraysAt(base, members, rows);
  return {rows, arrays.row_counts, arrays.places, arrays.tokens, arrays.targets};
}

void LayOut(const std::vector<const MemberBatch*>& members, int64_t heads, int64_t rows,
            void* base) {
  const Arrays arrays = ArraysAt(base, static_cast<int64_t>(members.size()), rows);
  for (size_t k = 0; k < members.size(); ++k) {
    arrays.row_counts[k] = members[k]->rows();
    const int64_t first = static_cast<int64_t>(k) * rows;
    LayOutMember(*members[k], heads, rows, arrays.places + first, arrays.tokens + first,
                 arrays.targets + first);
  }
}

}  // namespace coppice::trainer
