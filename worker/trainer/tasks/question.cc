// Question formation: the types of sentences and their frequencies. Section 3 of the paper;
// frequencies were counted in its released sets.
#include "worker/trainer/tasks/sentence_task.h"

namespace coppice::trainer {
namespace {

// True if a sentence with a relative clause on the subject, and none on the object, has the
// auxiliaries does and doesn't, or do and don't, in either order. Moving the wrong one is then
// visible.
bool AuxiliariesDifferInPolarity(const Lexicon& lexicon, const Sentence& sentence) {
  const int32_t inner = sentence.tokens[sentence.subject.aux];
  const int32_t main = sentence.tokens[sentence.aux];
  return inner != main && lexicon.Info(inner).plural == lexicon.Info(main).plural;
}

}  // namespace

const SentenceTask& QuestionTask() {
  // In the order of PhraseType: intransitive, plain, prep, orc, src_i, src_t.
  static const std::array<Kind, 2> in_domain = {
      {{"decl",
        Transform::kCopy,
        60,
        {{0, 454, 238, 152, 79, 78}, {226, 223, 238, 81, 153, 80}, {12, 286, 302, 102, 195, 104}},
        nullptr},
       {"quest",
        Transform::kFrontAuxiliary,
        40,
        {{0, 660, 340, 0, 0, 0}, {230, 233, 232, 77, 150, 77}, {10, 293, 312, 91, 196, 98}},
        nullptr}}};
  static const SentenceTask task = {
      Task::kQuestion,
      in_domain,
      in_domain,
      Kind{"quest",
           Transform::kFrontAuxiliary,
           100,
           {{0, 0, 0, 333, 320, 346}, {592, 200, 208, 0, 0, 0}, {0, 0, 0, 0, 0, 0}},
           AuxiliariesDifferInPolarity},
  };
  return task;
}

}  // namespace coppice::trainer
