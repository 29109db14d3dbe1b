#ifndef COPPICE_CLI_SUGGEST_H_
#define COPPICE_CLI_SUGGEST_H_

#include <string>
#include <vector>

namespace coppice::cli {

// The candidate that a misspelling most likely means: the fewest insertions, deletions,
// replacements and swaps of neighbours, at most a third of the word. Empty when none is near.
std::string Nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SUGGEST_H_
