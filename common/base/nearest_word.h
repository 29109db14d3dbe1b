// Suggestions for misspelled words.
#ifndef COPPICE_COMMON_BASE_NEAREST_WORD_H_
#define COPPICE_COMMON_BASE_NEAREST_WORD_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace coppice {

// The first candidate that begins with the word, if the word has at least three letters. Otherwise
// the candidate with the fewest insertions, deletions, replacements and swaps of neighbors, at most
// about a third of the word's length. Empty when no candidate is near.
std::string NearestWord(absl::string_view word, const std::vector<std::string>& candidates);

// " did you mean 'question'?", or "" when none is near.
std::string DidYouMean(absl::string_view word, const std::vector<std::string>& candidates);

// ";" and the question, to end a message with; "" for an empty question.
std::string AfterSemicolon(const std::string& question);

// DidYouMean for the names of the tasks.
std::string DidYouMeanTask(absl::string_view word);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_NEAREST_WORD_H_
