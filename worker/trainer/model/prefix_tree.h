// Word sequences as a tree of their common beginnings, so that no beginning is computed twice. Free
// of LibTorch.
#ifndef COPPICE_WORKER_TRAINER_MODEL_PREFIX_TREE_H_
#define COPPICE_WORKER_TRAINER_MODEL_PREFIX_TREE_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace coppice::trainer {

// Row 0 is SOS at position 0, every other row is a word. A row attends to its ancestors and itself.
// A causal model gives a row the state that it has in the sequence SOS, ancestors, word, because
// nothing behind it can reach it.
class PrefixTree {
 public:
  explicit PrefixTree(int32_t sos) : tokens_{sos}, positions_{0}, parents_{-1} {}

  // Adds the sequence SOS, words and writes the words' rows to `rows`. SOS is at position 0 and the
  // first word at `first_position`; positions between them are unseen. Only the beginning that is
  // shared with the previous call is reused, so sequences should come sorted by (first_position,
  // words).
  void Add(int32_t first_position, absl::Span<const int32_t> words, std::vector<int32_t>* rows);

  int64_t rows() const { return static_cast<int64_t>(tokens_.size()); }
  const std::vector<int32_t>& tokens() const { return tokens_; }        // [R]
  const std::vector<int32_t>& positions() const { return positions_; }  // [R]
  const std::vector<int32_t>& parents() const { return parents_; }      // [R], -1 for row 0
  // Rows on the longest path, SOS included.
  int64_t longest() const { return longest_; }

 private:
  std::vector<int32_t> tokens_;
  std::vector<int32_t> positions_;
  std::vector<int32_t> parents_;
  std::vector<int32_t> last_path_;  // rows of the last added sequence
  int64_t longest_ = 1;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_PREFIX_TREE_H_
