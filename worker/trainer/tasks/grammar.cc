#include "worker/trainer/tasks/grammar.h"

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace coppice::trainer {
namespace {

class Drawer {
 public:
  Drawer(const Lexicon& lexicon, Random& random) : lexicon_(lexicon), random_(random) {}

  Sentence Draw(PhraseType subject, PhraseType object) {
    Phrase(subject, &sentence_.subject);
    const bool transitive = object != PhraseType::kNone;
    Verb(sentence_.subject.noun, transitive, &sentence_.aux, &sentence_.verb);
    if (transitive) Phrase(object, &sentence_.object);
    return std::move(sentence_);
  }

 private:
  int Push(int32_t token) {
    sentence_.tokens.push_back(token);
    return static_cast<int>(sentence_.tokens.size()) - 1;
  }

  int DetNoun() {
    Push(lexicon_.Determiner(random_.Below(Lexicon::kDeterminers)));
    const int lemma = random_.Below(Lexicon::kNouns);
    return Push(lexicon_.Noun(lemma, random_.Coin()));
  }

  void Verb(int subject_noun, bool transitive, int* aux, int* verb) {
    if (lexicon_.has_auxiliaries()) {
      const bool plural = lexicon_.Info(sentence_.tokens[subject_noun]).plural;
      *aux = Push(lexicon_.Auxiliary(plural, random_.Coin()));
    }
    *verb = Push(lexicon_.Verb(transitive ? WordClass::kTransitive : WordClass::kIntransitive,
                               random_.Below(Lexicon::kVerbs),
                               lexicon_.has_auxiliaries() ? kBase : kPast));
  }

  void Phrase(PhraseType type, NounPhrase* phrase) {
    phrase->type = type;
    phrase->noun = DetNoun();
    if (type == PhraseType::kPlain) return;
    if (type == PhraseType::kPrep) {
      Push(lexicon_.Preposition(random_.Below(Lexicon::kPrepositions)));
      phrase->inner_noun = DetNoun();
      return;
    }
    Push(lexicon_.Relative(random_.Below(Lexicon::kRelatives)));
    if (type == PhraseType::kOrc) phrase->inner_noun = DetNoun();
    Verb(phrase->clause_subject(), type != PhraseType::kSrcI, &phrase->aux, &phrase->verb);
    if (type == PhraseType::kSrcT) phrase->inner_noun = DetNoun();
  }

  const Lexicon& lexicon_;
  Random& random_;
  Sentence sentence_;
};

// Recursive descent with one word of lookahead. After the first error every step does nothing and
// returns position 0, so the grammar's rules below need no error handling.
class Parser {
 public:
  Parser(const Lexicon& lexicon, absl::Span<const int32_t> tokens) : lexicon_(lexicon) {
    sentence_.tokens.assign(tokens.begin(), tokens.end());
  }

  absl::StatusOr<Sentence> Parse() {
    Phrase(&sentence_.subject);
    const bool transitive = Verb(sentence_.subject.noun, &sentence_.aux, &sentence_.verb);
    if (transitive) Phrase(&sentence_.object);
    if (status_.ok() && next_ < Size()) Fail("the end of the sentence");
    if (!status_.ok()) return status_;
    return std::move(sentence_);
  }

 private:
  int Size() const { return static_cast<int>(sentence_.tokens.size()); }

  WordClass Peek() const {
    return next_ < Size() ? lexicon_.Info(sentence_.tokens[next_]).word_class : WordClass::kNone;
  }

  std::string PlaceAt(int position) const {
    return PlaceOf(lexicon_, sentence_.tokens, static_cast<size_t>(position));
  }

  void Fail(absl::string_view expected) {
    if (!status_.ok()) return;
    status_ =
        absl::InvalidArgumentError(absl::StrCat(PlaceAt(next_), ": expected ", expected, ", got ",
                                                next_ < Size() ? Describe(Peek()) : "the end"));
  }

  int Take(WordClass word_class) {
    if (status_.ok() && Peek() != word_class) Fail(Describe(word_class));
    return status_.ok() ? next_++ : 0;
  }

  int DetNoun() {
    Take(WordClass::kDeterminer);
    return Take(WordClass::kNoun);
  }

  // Returns whether the verb is transitive.
  bool Verb(int subject_noun, int* aux, int* verb) {
    if (lexicon_.has_auxiliaries()) {
      *aux = Take(WordClass::kAuxiliary);
      CheckAgreement(subject_noun, *aux);
    }
    const bool transitive = Peek() == WordClass::kTransitive;
    if (status_.ok() && !transitive && Peek() != WordClass::kIntransitive) Fail("a verb");
    *verb = status_.ok() ? next_++ : 0;
    return transitive;
  }

  void CheckAgreement(int noun, int aux) {
    if (!status_.ok()) return;
    const auto& tokens = sentence_.tokens;
    if (lexicon_.Info(tokens[noun]).plural == lexicon_.Info(tokens[aux]).plural) return;
    status_ = absl::InvalidArgumentError(absl::StrCat(
        PlaceAt(aux), ": the auxiliary does not agree with its subject, word ", noun + 1));
  }

  void Phrase(NounPhrase* phrase) {
    phrase->noun = DetNoun();
    phrase->type = PhraseType::kPlain;
    if (Peek() == WordClass::kPreposition) {
      Take(WordClass::kPreposition);
      phrase->inner_noun = DetNoun();
      phrase->type = PhraseType::kPrep;
    } else if (Peek() == WordClass::kRelative) {
      Take(WordClass::kRelative);
      RelativeClause(phrase);
    }
  }

  void RelativeClause(NounPhrase* phrase) {
    if (Peek() == WordClass::kDeterminer) {
      phrase->type = PhraseType::kOrc;
      phrase->inner_noun = DetNoun();
      const bool transitive = Verb(phrase->inner_noun, &phrase->aux, &phrase->verb);
      if (!transitive && status_.ok()) {
        next_ = phrase->verb;
        Fail(Describe(WordClass::kTransitive));
      }
      return;
    }
    const bool transitive = Verb(phrase->noun, &phrase->aux, &phrase->verb);
    phrase->type = transitive ? PhraseType::kSrcT : PhraseType::kSrcI;
    if (transitive) phrase->inner_noun = DetNoun();
  }

  const Lexicon& lexicon_;
  Sentence sentence_;
  int next_ = 0;
  absl::Status status_;
};

}  // namespace

Sentence DrawSentence(const Lexicon& lexicon, PhraseType subject, PhraseType object,
                      Random& random) {
  return Drawer(lexicon, random).Draw(subject, object);
}

std::string PlaceOf(const Lexicon& lexicon, absl::Span<const int32_t> tokens, size_t number) {
  size_t column = 1;
  for (size_t i = 0; i < number; ++i) column += lexicon.vocabulary().Word(tokens[i]).size() + 1;
  return absl::StrCat("column ", column, ", word ", number + 1);
}

absl::StatusOr<Sentence> ParseSentence(const Lexicon& lexicon, absl::Span<const int32_t> tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= 1 && tokens[i] <= lexicon.vocabulary().word_count()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("word ", i + 1, ": ", tokens[i], " is not the id of a word"));
  }
  return Parser(lexicon, tokens).Parse();
}

}  // namespace coppice::trainer
