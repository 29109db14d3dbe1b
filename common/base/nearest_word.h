// What a misspelt word most likely was.
#ifndef COPPICE_COMMON_BASE_NEAREST_WORD_H_
#define COPPICE_COMMON_BASE_NEAREST_WORD_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace coppice {

// The first candidate that the word is the beginning of (from three letters on), otherwise the one
// with the fewest insertions, deletions, replacements and swaps of neighbors, at most a third of
// the word. Empty when none is near.
std::string NearestWord(absl::string_view word, const std::vector<std::string>& candidates);

// " did you mean 'question'?", or "" when none is near.
std::string DidYouMean(absl::string_view word, const std::vector<std::string>& candidates);

// ";" and the question, or "" where there is none: for the end of a message.
std::string AfterSemicolon(const std::string& question);

// DidYouMean for the names of the tasks.
std::string DidYouMeanTask(absl::string_view word);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_NEAREST_WORD_H_
