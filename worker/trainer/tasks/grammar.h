// Sentences of the question and tense grammars: draws one of a given shape, and finds the shape of
// a given one.
//
//   S  -> NP VP             VP -> V_i | V_t NP
//   NP -> Det N | Det N Prep Det N | Det N RC
//   RC -> Rel V_i | Rel V_t Det N | Rel Det N V_t
//
// In the question grammar an auxiliary precedes every verb. In the tense grammar the input is in
// the past tense.
#ifndef COPPICE_WORKER_TRAINER_TASKS_GRAMMAR_H_
#define COPPICE_WORKER_TRAINER_TASKS_GRAMMAR_H_

#include <cstdint>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/trainer/tasks/lexicon.h"
#include "worker/trainer/tasks/random.h"

namespace coppice::trainer {

enum class PhraseType : int8_t {
  kNone,   // no object: the main verb is intransitive
  kPlain,  // Det N
  kPrep,   // Det N Prep Det N
  kOrc,    // object relative clause: Det N Rel Det N V_t
  kSrcI,   // subject relative clause, intransitive: Det N Rel V_i
  kSrcT,   // subject relative clause, transitive: Det N Rel V_t Det N
};
inline constexpr int kPhraseTypes = 6;

// Positions are word indices into the sentence; -1 for parts that the phrase does not have.
struct NounPhrase {
  PhraseType type = PhraseType::kNone;
  int noun = -1;        // the head; its determiner is the word before it
  int inner_noun = -1;  // after the preposition, or inside the relative clause
  int aux = -1;         // the relative clause's auxiliary (question grammar)
  int verb = -1;        // the relative clause's verb

  // The noun that the relative clause's verb agrees with.
  int clause_subject() const { return type == PhraseType::kOrc ? inner_noun : noun; }
};

struct Sentence {
  // Without the final full stop; at most 16 words.
  absl::InlinedVector<int32_t, 16> tokens;
  NounPhrase subject;
  int aux = -1;  // the main auxiliary (question grammar)
  int verb = -1;
  NounPhrase object;
};

// Draws a sentence with these types of subject and object. Determiners, nouns, numbers, verbs and
// polarities are uniform and independent; verbs agree with their own subjects. `subject` is not
// kNone.
Sentence DrawSentence(const Lexicon& lexicon, PhraseType subject, PhraseType object,
                      Random& random);

// "column 12, word 3": the place of a word in a line of these words with single spaces between
// them. `number` counts words from 0.
std::string PlaceOf(const Lexicon& lexicon, absl::Span<const int32_t> tokens, size_t number);

// The shape of a sentence of tokens, without the final full stop. INVALID_ARGUMENT: names the place
// of the first word that the grammar does not allow there, and what it allows; also for an
// auxiliary that does not agree with its subject. The message quotes no word. Verbs of the tense
// grammar may have any form.
absl::StatusOr<Sentence> ParseSentence(const Lexicon& lexicon, absl::Span<const int32_t> tokens);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_GRAMMAR_H_
