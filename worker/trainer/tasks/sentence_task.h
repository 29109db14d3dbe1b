// The common part of the question and tense tasks: kinds of examples, each with its type
// frequencies, and the unique sentences of the splits.
#ifndef COPPICE_WORKER_TRAINER_TASKS_SENTENCE_TASK_H_
#define COPPICE_WORKER_TRAINER_TASKS_SENTENCE_TASK_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/trainer/tasks/dataset.h"
#include "worker/trainer/tasks/grammar.h"

namespace coppice::trainer {

// Per mille, as counted in the released sets. Indexed by PhraseType; a subject is never kNone.
struct TypeShares {
  std::array<int, kPhraseTypes> subject;
  std::array<int, kPhraseTypes> object;              // for subjects that are not plain
  std::array<int, kPhraseTypes> object_after_plain;  // for plain subjects
};

// The change from the input sentence to the output.
enum class Transform : int8_t {
  kCopy,
  kFrontAuxiliary,  // the main auxiliary moves to the front, `?` ends the output
  kPresent,         // every verb into the present, agreeing with its own subject
};

struct Kind {
  absl::string_view task_word;
  Transform transform;
  int share;  // relative to the other kind's share
  TypeShares types;
  // Selects the sentences of these types that belong to the kind; nullptr: all.
  bool (*takes)(const Lexicon&, const Sentence&);
};

struct SentenceTask {
  Task task;
  std::array<Kind, 2> train;
  std::array<Kind, 2> in_domain;  // val and test
  Kind generalization;
};

const SentenceTask& QuestionTask();  // question.cc
const SentenceTask& TenseTask();     // tense.cc
// `task` is kQuestion or kTense.
const SentenceTask& SentenceTaskOf(Task task);

// Makes the whole example: sentence, `.`, task word, output.
Example MakeExample(const Lexicon& lexicon, const Sentence& sentence, absl::string_view task_word,
                    Transform transform);

// Generates all four splits of a question or tense dataset, without evaluation sets. See
// MakeDataset for the rules.
absl::StatusOr<Dataset> MakeSentenceDataset(const SentenceTask& task,
                                            const DatasetOptions& options);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_SENTENCE_TASK_H_
