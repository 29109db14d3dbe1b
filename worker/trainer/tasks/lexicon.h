// The words of the question and tense grammars: the class of each word, and the forms of each
// lemma.
#ifndef COPPICE_WORKER_TRAINER_TASKS_LEXICON_H_
#define COPPICE_WORKER_TRAINER_TASKS_LEXICON_H_

#include <array>
#include <cstdint>
#include <vector>

#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

enum class WordClass : int8_t {
  kNone,  // <pad>, EOS, SOS
  kDeterminer,
  kNoun,
  kIntransitive,
  kTransitive,
  kAuxiliary,
  kPreposition,
  kRelative,
  kTaskWord,
  kPunctuation,
};

// The name of a class in an error message: "a determiner".
absl::string_view Describe(WordClass word_class);

// Bits, because `read` is both the past and the plural present of its lemma.
enum VerbForm : int8_t { kBase = 1, kThirdPerson = 2, kPast = 4 };

struct WordInfo {
  WordClass word_class = WordClass::kNone;
  bool plural = false;  // nouns and auxiliaries
  int8_t lemma = -1;    // nouns and verbs: index into the lemmas of the word's class
  int8_t forms = 0;     // verbs: VerbForm bits
};

// One per task, immutable, alive until the process ends; safe to share between threads. The
// question grammar has base forms and auxiliaries. The tense grammar has base, third person and
// past forms, and no auxiliaries.
class Lexicon {
 public:
  // `task` is kQuestion or kTense.
  static const Lexicon& For(Task task);

  static constexpr int kDeterminers = 6;
  static constexpr int kNouns = 13;  // lemmas; each has a singular and a plural
  static constexpr int kVerbs = 9;   // lemmas of each of the two verb classes
  static constexpr int kPrepositions = 8;
  static constexpr int kRelatives = 2;

  bool has_auxiliaries() const { return has_auxiliaries_; }
  // 68 words for question, 98 for tense, also those that a dataset does not use.
  const Vocabulary& vocabulary() const { return vocabulary_; }
  // `token` is an id of vocabulary().
  const WordInfo& Info(int32_t token) const { return info_[static_cast<size_t>(token)]; }

  int32_t Determiner(int i) const { return determiners_[i]; }
  int32_t Noun(int lemma, bool plural) const { return nouns_[lemma][plural]; }
  int32_t Preposition(int i) const { return prepositions_[i]; }
  int32_t Relative(int i) const { return relatives_[i]; }
  int32_t Auxiliary(bool plural, bool negated) const { return auxiliaries_[plural][negated]; }
  // `word_class` is kIntransitive or kTransitive.
  int32_t Verb(WordClass word_class, int lemma, VerbForm form) const;
  // The present form of a verb (given in any form) that agrees with a singular or plural subject.
  int32_t Present(int32_t verb, bool plural) const;
  int32_t Token(absl::string_view word) const { return vocabulary_.Id(word); }

  // By token id, for DecodeSet. Determiners, nouns, verbs, auxiliaries, prepositions, relative
  // pronouns, task words and each punctuation mark are one class each. Number, tense and
  // transitivity do not matter, as in the published measure: it asks whether the output has the
  // shape of the sentence, and judges the inflection only at the main verb.
  std::vector<int8_t> PartsOfSpeech() const;

 private:
  explicit Lexicon(Task task);
  void AddVerbs(WordClass word_class, bool inflected);
  int32_t Add(absl::string_view word, const WordInfo& info);

  bool has_auxiliaries_;
  Vocabulary vocabulary_;
  std::vector<WordInfo> info_;  // by token id
  std::array<int32_t, kDeterminers> determiners_{};
  std::array<std::array<int32_t, 2>, kNouns> nouns_{};
  std::array<int32_t, kPrepositions> prepositions_{};
  std::array<int32_t, kRelatives> relatives_{};
  std::array<std::array<int32_t, 2>, 2> auxiliaries_{};
  // [transitive][lemma][base, third person, past]
  std::array<std::array<std::array<int32_t, 3>, kVerbs>, 2> verbs_{};
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_LEXICON_H_
