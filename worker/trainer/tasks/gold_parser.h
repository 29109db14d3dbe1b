// Gold parses of question and tense sentences, and the score of brackets against them.
#ifndef COPPICE_WORKER_TRAINER_TASKS_GOLD_PARSER_H_
#define COPPICE_WORKER_TRAINER_TASKS_GOLD_PARSER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

// Words first..last of a sentence, both included.
struct Bracket {
  int first = 0;
  int last = 0;
  friend bool operator==(const Bracket&, const Bracket&) = default;
  friend auto operator<=>(const Bracket&, const Bracket&) = default;
};

// A binary tree over the words 0..n-1. Leaves have no children (-1); the root is the last node.
struct GoldTree {
  struct Node {
    Bracket span;
    int left = -1;
    int right = -1;
  };
  std::vector<Node> nodes;

  // The spans of all inner nodes, sorted: n-1 of them, the whole sentence included.
  std::vector<Bracket> Brackets() const;
  // Formats as "((my yak) (does eat))"; `words` are those of the sentence.
  std::string ToString(absl::Span<const absl::string_view> words) const;
};

// [[subject NP] [VP]]; NP = [[Det N] PP] or [[Det N] RC]; PP = [Prep [Det N]]; VP = [Aux [V NP]] or
// [Aux V] (tense: without Aux); RC = [Rel VP], or [Rel [[Det N] [Aux V]]] when the noun is the
// clause's object.
//
// `sentence` is the declarative part without its final full stop, words separated by single spaces.
// `task` is kQuestion or kTense. INVALID_ARGUMENT: names a word that is unknown or not allowed in
// its place, and what the grammar allows there.
absl::StatusOr<GoldTree> GoldParse(Task task, absl::string_view sentence);
// The same for token ids of the task's vocabulary.
absl::StatusOr<GoldTree> GoldParse(Task task, absl::Span<const int32_t> tokens);

// The part of a question or tense example that has a gold parse: its input without full stop and
// task word.
absl::Span<const int32_t> DeclarativePart(const Example& example);

// The tree in which every left child is a word. It is the baseline of t_parseval.
std::vector<Bracket> RightBranching(int words);

// Corpus F1 of brackets: counts are summed over all sentences and divided once.
struct BracketScore {
  int64_t matched = 0;
  int64_t predicted = 0;
  int64_t gold = 0;

  // Both sorted and without repetitions.
  void Add(absl::Span<const Bracket> predicted_brackets, absl::Span<const Bracket> gold_brackets);
  // 0 when nothing was added.
  double F1() const;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_GOLD_PARSER_H_
