#include <algorithm>
#include <utility>

#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

Vocabulary::Vocabulary(std::vector<std::string> words) : words_(std::move(words)) {
  std::sort(words_.begin(), words_.end());
  words_.erase(std::unique(words_.begin(), words_.end()), words_.end());
}

int32_t Vocabulary::Id(absl::string_view word) const {
  const auto it = std::lower_bound(
      words_.begin(), words_.end(), word,
      [](const std::string& a, absl::string_view b) { return absl::string_view(a) < b; });
  if (it == words_.end() || *it != word) return -1;
  return static_cast<int32_t>(it - words_.begin()) + 1;
}

absl::string_view Vocabulary::Word(int32_t id) const {
  if (id == eos()) return "<eos>";
  if (id == sos()) return "<sos>";
  if (id <= kPad || id > word_count()) return "<pad>";
  return words_[static_cast<size_t>(id - 1)];
}

}  // namespace coppice::trainer
