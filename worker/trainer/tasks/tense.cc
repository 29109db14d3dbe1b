// Tense reinflection: the types of sentences and their frequencies. Section 3 of the paper;
// frequencies were counted in its released sets.
#include "worker/trainer/tasks/sentence_task.h"

namespace coppice::trainer {
namespace {

// True if the noun nearest before the main verb has the subject's number. "Agree with the nearest
// noun" and "agree with the subject" then give the same verb.
bool NearestNounAgrees(const Lexicon& lexicon, const Sentence& sentence) {
  const NounPhrase& subject = sentence.subject;
  const int nearest = subject.inner_noun >= 0 ? subject.inner_noun : subject.noun;
  return lexicon.Info(sentence.tokens[nearest]).plural ==
         lexicon.Info(sentence.tokens[subject.noun]).plural;
}

bool NearestNounDisagrees(const Lexicon& lexicon, const Sentence& sentence) {
  return !NearestNounAgrees(lexicon, sentence);
}

}  // namespace

const SentenceTask& TenseTask() {
  // In the order of PhraseType: intransitive, plain, prep, orc, src_i, src_t.
  static const TypeShares past = {
      {0, 302, 353, 118, 112, 115}, {256, 245, 242, 83, 86, 89}, {135, 298, 273, 99, 103, 93}};
  // For the subjects of the released training set only the shares of plain, prep and relative
  // clauses are known. The types of clauses divide their share as in val and test.
  static const SentenceTask task = {
      Task::kTense,
      {Kind{"PAST", Transform::kCopy, 588, past, nullptr},
       Kind{"PRESENT",
            Transform::kPresent,
            412,
            {{0, 396, 263, 80, 179, 82}, {253, 247, 259, 82, 79, 79}, {139, 283, 295, 95, 92, 96}},
            NearestNounAgrees}},
      {Kind{"PAST", Transform::kCopy, 58, past, nullptr},
       Kind{"PRESENT",
            Transform::kPresent,
            42,
            {{0, 425, 248, 77, 171, 79}, {253, 247, 259, 82, 79, 79}, {139, 283, 295, 95, 92, 96}},
            NearestNounAgrees}},
      Kind{"PRESENT",
           Transform::kPresent,
           100,
           {{0, 0, 605, 201, 0, 195}, {253, 253, 246, 79, 81, 86}, {0, 0, 0, 0, 0, 0}},
           NearestNounDisagrees},
  };
  return task;
}

}  // namespace coppice::trainer
