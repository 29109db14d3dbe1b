#include "worker/trainer/tasks/gold_parser.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "worker/trainer/tasks/grammar.h"

namespace coppice::trainer {
namespace {

class TreeBuilder {
 public:
  GoldTree Build(const Sentence& sentence) {
    const int subject = Phrase(sentence.subject);
    const int object = sentence.object.type == PhraseType::kNone ? -1 : Phrase(sentence.object);
    Join(subject, VerbPhrase(sentence.aux, sentence.verb, object));
    return std::move(tree_);
  }

 private:
  int Leaf(int word) { return Add({{word, word}, -1, -1}); }

  int Join(int left, int right) {
    return Add({{tree_.nodes[left].span.first, tree_.nodes[right].span.last}, left, right});
  }

  int Add(const GoldTree::Node& node) {
    tree_.nodes.push_back(node);
    return static_cast<int>(tree_.nodes.size()) - 1;
  }

  int DetNoun(int noun) {
    const int determiner = Leaf(noun - 1);
    return Join(determiner, Leaf(noun));
  }

  // `object` is a node, `aux` a word; -1: none.
  int VerbPhrase(int aux, int verb, int object) {
    int node = Leaf(verb);
    if (object >= 0) node = Join(node, object);
    return aux < 0 ? node : Join(Leaf(aux), node);
  }

  int Phrase(const NounPhrase& phrase) {
    const int head = DetNoun(phrase.noun);
    if (phrase.type == PhraseType::kPlain) return head;
    const int link = Leaf(phrase.noun + 1);  // the preposition or relative pronoun
    const int inner = phrase.inner_noun < 0 ? -1 : DetNoun(phrase.inner_noun);
    if (phrase.type == PhraseType::kPrep) return Join(head, Join(link, inner));
    const int clause = phrase.type == PhraseType::kOrc
                           ? Join(inner, VerbPhrase(phrase.aux, phrase.verb, -1))
                           : VerbPhrase(phrase.aux, phrase.verb, inner);
    return Join(head, Join(link, clause));
  }

  GoldTree tree_;
};

void Append(const GoldTree& tree, int node, absl::Span<const absl::string_view> words,
            std::string* out) {
  const GoldTree::Node& n = tree.nodes[node];
  if (n.left < 0) {
    absl::StrAppend(out, words[n.span.first]);
    return;
  }
  out->push_back('(');
  Append(tree, n.left, words, out);
  out->push_back(' ');
  Append(tree, n.right, words, out);
  out->push_back(')');
}

}  // namespace

std::vector<Bracket> GoldTree::Brackets() const {
  std::vector<Bracket> brackets;
  for (const Node& node : nodes) {
    if (node.left >= 0) brackets.push_back(node.span);
  }
  std::sort(brackets.begin(), brackets.end());
  return brackets;
}

std::string GoldTree::ToString(absl::Span<const absl::string_view> words) const {
  std::string out;
  if (!nodes.empty()) Append(*this, static_cast<int>(nodes.size()) - 1, words, &out);
  return out;
}

absl::StatusOr<GoldTree> GoldParse(Task task, absl::Span<const int32_t> tokens) {
  if (task == Task::kDyck) {
    return absl::InvalidArgumentError("dyck strings have no gold parse");
  }
  COPPICE_ASSIGN_OR_RETURN(const Sentence sentence, ParseSentence(Lexicon::For(task), tokens));
  return TreeBuilder().Build(sentence);
}

absl::StatusOr<GoldTree> GoldParse(Task task, absl::string_view sentence) {
  if (task == Task::kDyck) {
    return absl::InvalidArgumentError("dyck strings have no gold parse");
  }
  std::vector<int32_t> tokens;
  for (const absl::string_view word : absl::StrSplit(sentence, ' ')) {
    tokens.push_back(Lexicon::For(task).Token(word));
    if (tokens.back() >= 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "word ", tokens.size(), ": '", word, "' is not a word of the ", TaskName(task), " task"));
  }
  return GoldParse(task, tokens);
}

absl::Span<const int32_t> DeclarativePart(const Example& example) {
  if (example.prefix < 2) return {};
  return absl::MakeConstSpan(example.tokens).subspan(0, static_cast<size_t>(example.prefix - 2));
}

std::vector<Bracket> RightBranching(int words) {
  std::vector<Bracket> brackets;
  for (int first = 0; first + 1 < words; ++first) brackets.push_back({first, words - 1});
  return brackets;
}

void BracketScore::Add(absl::Span<const Bracket> predicted_brackets,
                       absl::Span<const Bracket> gold_brackets) {
  predicted += static_cast<int64_t>(predicted_brackets.size());
  gold += static_cast<int64_t>(gold_brackets.size());
  auto p = predicted_brackets.begin();
  auto g = gold_brackets.begin();
  while (p != predicted_brackets.end() && g != gold_brackets.end()) {
    if (*p == *g) ++matched;
    const bool step_p = *p <= *g;
    const bool step_g = *g <= *p;
    if (step_p) ++p;
    if (step_g) ++g;
  }
}

double BracketScore::F1() const {
  const int64_t total = predicted + gold;
  return total == 0 ? 0.0 : 2.0 * static_cast<double>(matched) / static_cast<double>(total);
}

}  // namespace coppice::trainer
