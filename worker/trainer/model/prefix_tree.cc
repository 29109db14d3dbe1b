#include "worker/trainer/model/prefix_tree.h"

#include <algorithm>

namespace coppice::trainer {

void PrefixTree::Add(int32_t first_position, absl::Span<const int32_t> words,
                     std::vector<int32_t>* rows) {
  size_t shared = 0;
  while (shared < words.size() && shared < last_path_.size() &&
         tokens_[last_path_[shared]] == words[shared] &&
         positions_[last_path_[shared]] == first_position + static_cast<int32_t>(shared)) {
    ++shared;
  }
  last_path_.resize(shared);
  for (size_t i = shared; i < words.size(); ++i) {
    parents_.push_back(i == 0 ? 0 : last_path_.back());
    last_path_.push_back(static_cast<int32_t>(tokens_.size()));
    tokens_.push_back(words[i]);
    positions_.push_back(first_position + static_cast<int32_t>(i));
  }
  longest_ = std::max(longest_, static_cast<int64_t>(words.size()) + 1);
  *rows = last_path_;
}

}  // namespace coppice::trainer
