// The three tasks as data: vocabularies, splits and evaluation sets, free of LibTorch.
// Source of grammars and splits: Murty et al., "Grokking of Hierarchical Structure in Vanilla Transformers" (ACL 2023),
// section 3 and its released data; see docs/science.md.
#ifndef COPPICE_WORKER_TRAINER_TASKS_DATASET_H_
#define COPPICE_WORKER_TRAINER_TASKS_DATASET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice::trainer {

enum class Task { kQuestion, kTense, kDyck };

// "question", "tense", "dyck"; nullopt for anything else.
std::optional<Task> ParseTask(absl::string_view name);
absl::string_view TaskName(Task task);

// Word <-> id. Id 0 is <pad>, words follow in sorted (byte) order from id 1, then EOS, then SOS.
// Immutable after construction.
class Vocabulary {
 public:
  explicit Vocabulary(std::vector<std::string> words);  // duplicates are merged; sorted here

  static constexpr int32_t kPad = 0;
  int32_t eos() const { return static_cast<int32_t>(words_.size()) + 1; }
  int32_t sos() const { return static_cast<int32_t>(words_.size()) + 2; }
  // Rows of the embedding: pad + words + EOS + SOS.
  int32_t size() const { return static_cast<int32_t>(words_.size()) + 3; }
  int32_t word_count() const { return static_cast<int32_t>(words_.size()); }

  // -1 for an unknown word.
  int32_t Id(absl::string_view word) const;
  // "<pad>", the word, "<eos>" or "<sos>".
  absl::string_view Word(int32_t id) const;

 private:
  std::vector<std::string> words_;
  std::unordered_map<std::string, int32_t> ids_;
};

// One string for the language model, without SOS and EOS (the model adds both; dyck's END is EOS).
struct Example {
  std::vector<int32_t> tokens;
  // Number of tokens up to and including the task word (`quest`, `PAST`, ...); 0 for dyck.
  int32_t prefix = 0;
};

// "Which of these tokens comes next": at `position` of an example (tokens[0..position) are read, tokens[position] is
// the target) the most probable of `candidates` must be `answer`.
struct ChoiceItem {
  int32_t example = 0;
  int32_t position = 0;
  int32_t answer = 0;
};
struct ChoiceSet {
  std::vector<int32_t> candidates;
  std::vector<ChoiceItem> items;
};

// Greedy decoding after the task word: right if the output, up to EOS, has the target's part-of-speech sequence and its word at
// `main_verb` (an index into the output, that is into tokens[prefix..]).
struct DecodeItem {
  int32_t example = 0;
  int32_t main_verb = 0;
};
struct DecodeSet {
  std::vector<DecodeItem> items;
  std::vector<int8_t> part_of_speech;  // by token id; EOS, SOS and <pad> have classes of their own
};

// One split with what is evaluated on it. Exactly one of `choices` and `decodes` has items for a split that is scored
// (question and dyck: choices; tense: decodes); both are empty for train.
struct Split {
  std::vector<Example> examples;
  ChoiceSet choices;
  DecodeSet decodes;
};

struct DatasetOptions {
  Task task = Task::kQuestion;
  uint64_t seed = 0;
  int32_t train = 100000;
  int32_t val = 1000;
  int32_t test = 10000;
  int32_t gen = 10000;
  std::string directory;         // not empty: read question.train, question.val, ... of this folder instead
  int32_t decode_sentences = 2000;  // tense: at most so many sentences decoded per split, chosen by `seed`
  int32_t dyck_prefixes = 5000;     // dyck: the first so many closing positions of a split are scored
};

// A pure function of DatasetOptions: the same on every machine, compiler and thread count.
struct Dataset {
  Vocabulary vocabulary;
  Split train;
  Split val;   // in-domain
  Split test;  // in-domain
  Split gen;   // generalization
};

// INVALID_ARGUMENT: a size is not positive, or larger than the number of distinct sentences the grammar can give (names the split, the size and the largest possible one);
// NOT_FOUND / INVALID_ARGUMENT for a directory: names file and line.
absl::StatusOr<Dataset> MakeDataset(const DatasetOptions& options);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_DATASET_H_
