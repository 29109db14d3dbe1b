// The rows that each row attends to where attention follows lists of rows (path_attention.h).
#ifndef COPPICE_WORKER_TRAINER_STACKED_PATH_LISTS_H_
#define COPPICE_WORKER_TRAINER_STACKED_PATH_LISTS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "worker/trainer/model/prefix_tree.h"

namespace coppice::trainer {

// In host memory; the same for all members of a pack.
struct PathLists {
  int64_t longest = 0;
  std::vector<int32_t> seen;     // [R, longest]
  std::vector<int32_t> lengths;  // [R]
};

// Each row's ancestors and itself, root first.
inline PathLists TreePaths(const PrefixTree& tree) {
  PathLists lists;
  lists.longest = tree.longest();
  lists.seen.resize(tree.rows() * lists.longest);
  lists.lengths.resize(tree.rows());
  for (int64_t r = 0; r < tree.rows(); ++r) {
    int32_t* const path = &lists.seen[r * lists.longest];
    const int32_t parent = tree.parents()[r];
    // A parent precedes its children, so its path is already complete.
    const int32_t above = parent < 0 ? 0 : lists.lengths[parent];
    if (parent >= 0) std::copy_n(&lists.seen[parent * lists.longest], above, path);
    path[above] = static_cast<int32_t>(r);
    lists.lengths[r] = above + 1;
  }
  return lists;
}

// For decoding: row r attends to lengths[r] rows of a cache, from first_rows[r] on.
inline PathLists CachePaths(const std::vector<int64_t>& first_rows,
                            const std::vector<int32_t>& lengths) {
  PathLists lists;
  lists.longest = *std::max_element(lengths.begin(), lengths.end());
  lists.lengths = lengths;
  lists.seen.resize(lengths.size() * lists.longest);
  for (size_t r = 0; r < lengths.size(); ++r) {
    for (int32_t j = 0; j < lengths[r]; ++j)
      lists.seen[r * lists.longest + j] = static_cast<int32_t>(first_rows[r] + j);
  }
  return lists;
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_PATH_LISTS_H_
