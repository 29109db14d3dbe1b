#include "common/base/nearest_word.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace coppice {
namespace {

// Longer words cannot be misspellings of any candidate, and computing their distance would take
// time.
constexpr size_t kMaxWord = 64;
constexpr size_t kAbbreviation = 3;

size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string NearestWord(absl::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  if (word.size() > kMaxWord) return best;
  for (const std::string& candidate : candidates) {
    if (word.size() >= kAbbreviation && absl::StartsWith(candidate, word)) return candidate;
  }
  size_t best_distance = std::max<size_t>(1, (word.size() + 1) / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = Distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string DidYouMean(absl::string_view word, const std::vector<std::string>& candidates) {
  const std::string nearest = NearestWord(word, candidates);
  return nearest.empty() ? "" : absl::StrCat(" did you mean '", nearest, "'?");
}

std::string AfterSemicolon(const std::string& question) {
  return question.empty() ? "" : ";" + question;
}

std::string DidYouMeanTask(absl::string_view word) {
  return DidYouMean(word, {"question", "tense", "dyck"});
}

}  // namespace coppice
