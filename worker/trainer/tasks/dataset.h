// The three tasks as data: vocabularies, splits and evaluation sets, free of LibTorch.
// Source of grammars and splits: Murty et al., "Grokking of Hierarchical Structure in Vanilla
// Transformers" (ACL 2023), section 3 and its released data; see docs/science.md.
#ifndef COPPICE_WORKER_TRAINER_TASKS_DATASET_H_
#define COPPICE_WORKER_TRAINER_TASKS_DATASET_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice::trainer {

enum class Task { kQuestion, kTense, kDyck };

// Parses "question", "tense" or "dyck"; nullopt for anything else.
std::optional<Task> ParseTask(absl::string_view name);
absl::string_view TaskName(Task task);

// Maps words to ids and back. Id 0 is <pad>; words follow in sorted (byte) order from id 1, then
// EOS, then SOS. Immutable after construction.
class Vocabulary {
 public:
  explicit Vocabulary(std::vector<std::string> words);  // sorts and removes duplicates

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
  std::vector<std::string> words_;  // sorted
};

// One string for the language model, without SOS and EOS (the model adds both; dyck's END is EOS).
struct Example {
  std::vector<int32_t> tokens;
  // The number of tokens up to and including the task word (`quest`, `PAST`, ...); 0 for dyck.
  int32_t prefix = 0;
};

// "Which of these tokens comes next": tokens[0..position) of an example are the input,
// tokens[position] is the target. The most probable of `candidates` must be `answer`.
struct ChoiceItem {
  int32_t example = 0;
  int32_t position = 0;
  int32_t answer = 0;
};
struct ChoiceSet {
  std::vector<int32_t> candidates;
  std::vector<ChoiceItem> items;
};

// Greedy decoding after the task word. The output, up to EOS, is right if it has the target's
// part-of-speech sequence and its word at `main_verb`. That is an index into the output, so into
// tokens[prefix..].
struct DecodeItem {
  int32_t example = 0;
  int32_t main_verb = 0;
};
struct DecodeSet {
  std::vector<DecodeItem> items;
  std::vector<int8_t> part_of_speech;  // by token id; EOS, SOS, <pad>: own classes
};

// One split and its evaluation items. A scored split has items in exactly one of `choices`
// (question, dyck) and `decodes` (tense). Train has none.
struct Split {
  std::vector<Example> examples;
  ChoiceSet choices;
  DecodeSet decodes;
};

// File names of a dataset's splits. An empty one means the default name in directory.h. A relative
// path is relative to the folder.
struct SplitFiles {
  std::string train;
  std::string val;
  std::string test;
  std::string gen;
  bool any() const { return !train.empty() || !val.empty() || !test.empty() || !gen.empty(); }
  bool operator==(const SplitFiles&) const = default;
};

struct DatasetOptions {
  Task task = Task::kQuestion;
  uint64_t seed = 0;
  int32_t train = 100000;
  int32_t val = 1000;
  int32_t test = 10000;
  int32_t gen = 10000;
  std::string directory;            // if set, read question.train, ... of this folder instead
  SplitFiles files;                 // if set, read these instead
  int32_t decode_sentences = 2000;  // tense: decode at most this many per split, chosen by `seed`
  int32_t dyck_prefixes = 5000;     // dyck: score this many first closing positions per split
  // dyck: strings with more brackets are drawn again; 0: no limit, as in the released sampler. Its
  // val strings have 13 brackets on average and at most 80. Its train strings have 50 on average,
  // its gen strings 116, and the longest of both more than 1,000.
  int32_t dyck_max_brackets = 0;
  const std::atomic<bool>* stop = nullptr;  // if not null: give up when it becomes true

  bool from_files() const { return !directory.empty() || files.any(); }
};

// The largest size of a split. Memory bounds it; the grammars could give more.
inline constexpr int32_t kLargestSplit = 20'000'000;

// A pure function of DatasetOptions: the same on every machine, compiler and thread count.
struct Dataset {
  Vocabulary vocabulary;
  Split train;
  Split val;   // in-domain
  Split test;  // in-domain
  Split gen;   // generalization
  // For the log: the file of each split; empty when the splits were generated.
  std::vector<std::string> sources;
};

// All words of a task, also those that a dataset does not use.
const Vocabulary& VocabularyOf(Task task);

// The version of the generator's output for the same options: 2 for tense, since its training set
// has the frequencies of the released training set; 1 for the other tasks. A run never goes on with
// data of another version.
int32_t GeneratorVersion(Task task);

// Generates a dataset, or reads it if options name a folder or files (directory.h describes their
// format).
//
// question, tense. A sentence is the input without full stop and task word: `my yak does eat . decl
// ...` and `my yak does eat . quest ...` are the same sentence. Each sentence occurs at most once
// in the four splits together. By a fair coin the seed assigns every sentence of the grammar either
// to train or to the other three. Train is drawn from the one half; val, test and gen, in that
// order, from the other. So train depends only on the seed and its own size, and a larger train or
// val begins with the smaller one. Test and gen depend on the sizes before them only because they
// must not repeat their sentences. Subject and object types have the released sets' frequencies,
// which are kept closely, not by independent draws. (The training set of tense has those of the
// released training set, which differ from those of val and test.) Words are uniform. When a
// combination of types has no new sentence left, the other objects of that subject take its share.
// This happens to the shortest sentences of the tense grammar (`my yak slept`, 1,404 in all), of
// which a train set of 100,000 would need 4,800. Val and test at their default sizes keep the
// frequencies.
//
// dyck. Train strings are independent draws and repeat, as in the released set (a fifth of them
// have 4 brackets, and only 800 such strings exist). A path is the shape, without types, of a
// string between two returns to the empty stack. All paths of val and test strings occur in train;
// a gen string has at least one path that does not. None of these strings is in train, and none
// occurs twice. Train depends only on the seed and its own size; the others also depend on the
// splits before them, in the same order.
//
// INVALID_ARGUMENT: a size is not positive, larger than kLargestSplit, or larger than the grammar
// allows (names the split, the size and the largest possible size; for dyck: further draws give
// almost nothing new). For files: NOT_FOUND or INVALID_ARGUMENT. The message names file, line and
// column but quotes nothing, because its reader may not be allowed to read the file. CANCELLED:
// `stop` became true. RESOURCE_EXHAUSTED: no memory for so many examples.
absl::StatusOr<Dataset> MakeDataset(const DatasetOptions& options);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_DATASET_H_
