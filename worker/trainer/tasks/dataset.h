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
  std::vector<std::string> words_;  // sorted
};

// One string for the language model, without SOS and EOS (the model adds both; dyck's END is EOS).
struct Example {
  std::vector<int32_t> tokens;
  // Number of tokens up to and including the task word (`quest`, `PAST`, ...); 0 for dyck.
  int32_t prefix = 0;
};

// "Which of these tokens comes next": at `position` of an example (tokens[0..position) are read,
// tokens[position] is the target) the most probable of `candidates` must be `answer`.
struct ChoiceItem {
  int32_t example = 0;
  int32_t position = 0;
  int32_t answer = 0;
};
struct ChoiceSet {
  std::vector<int32_t> candidates;
  std::vector<ChoiceItem> items;
};

// Greedy decoding after the task word: right if the output, up to EOS, has the target's
// part-of-speech sequence and its word at `main_verb` (an index into the output, that is into
// tokens[prefix..]).
struct DecodeItem {
  int32_t example = 0;
  int32_t main_verb = 0;
};
struct DecodeSet {
  std::vector<DecodeItem> items;
  std::vector<int8_t> part_of_speech;  // by token id; EOS, SOS and <pad> have classes of their own
};

// One split with what is evaluated on it. Exactly one of `choices` and `decodes` has items for a
// split that is scored (question and dyck: choices; tense: decodes); both are empty for train.
struct Split {
  std::vector<Example> examples;
  ChoiceSet choices;
  DecodeSet decodes;
};

// Files of a dataset that have names of their own; an empty one has the name that directory.h says.
// A relative path is one below the folder.
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
  std::string
      directory;     // not empty: read question.train, question.val, ... of this folder instead
  SplitFiles files;  // given: read these instead
  int32_t decode_sentences =
      2000;  // tense: at most so many sentences decoded per split, chosen by `seed`
  int32_t dyck_prefixes = 5000;  // dyck: the first so many closing positions of a split are scored
  // dyck: strings with more brackets are drawn again; 0: no limit, as in the released sampler. Of
  // its strings val has 13 brackets on average and 80 at the most, but train 50 and above 1,000,
  // and gen 116 and above 1,000.
  int32_t dyck_max_brackets = 0;
  const std::atomic<bool>* stop = nullptr;  // not null: give up when it becomes true

  bool from_files() const { return !directory.empty() || files.any(); }
};

// Largest size of a split: what fits into memory, not what the grammars could give.
inline constexpr int32_t kLargestSplit = 20'000'000;

// A pure function of DatasetOptions: the same on every machine, compiler and thread count.
struct Dataset {
  Vocabulary vocabulary;
  Split train;
  Split val;   // in-domain
  Split test;  // in-domain
  Split gen;   // generalization
  // For the log: which file each split was read from; empty when they were generated.
  std::vector<std::string> sources;
};

// The words of a task, whatever part of them a dataset happens to use.
const Vocabulary& VocabularyOf(Task task);

// Of what the generator makes of the same options: 2 for tense, whose training set has had the
// frequencies of the released training set since then; 1 for the other tasks. A run never goes on
// with data of another version.
int32_t GeneratorVersion(Task task);

// Generates a dataset, or reads it where `directory` is given (directory.h has the form of the
// files).
//
// question, tense. A sentence is the input without full stop and task word: `my yak does eat . decl
// ...` and `my yak does eat . quest ...` are the same sentence, and each occurs at most once in the
// four splits together. The seed deals every sentence of the grammar to train or to the other three
// by a fair coin; train is then drawn from the one half, and val, test and gen, in that order, from
// the other. So train depends on the seed and its own size only, a larger train or val begins with
// the smaller one, and test and gen depend on the sizes before them only in what they must not
// repeat. Subject and object types have the released sets' frequencies (kept closely, not by
// independent draws; the training set of tense has those of the released training set, which differ
// from those of val and test), words are uniform. Where a combination of types has no new sentence
// left, the other objects of that subject take its share: this happens to the shortest sentences of
// the tense grammar (`my yak slept`, 1,404 in all), of which a train set of 100,000 would need
// 4,800; val and test at their default sizes keep the frequencies.
//
// dyck. Train strings are independent draws and repeat, as in the released set (a fifth of them
// have 4 brackets, and only 800 such strings exist). A path is the shape, types erased, of a string
// between two returns to the empty stack. Val and test hold strings all of whose paths occur in
// train, gen strings with at least one path that does not; none of these is in train, and none
// occurs twice. Train depends on the seed and its own size only; the others, in the same order, on
// what came before them.
//
// INVALID_ARGUMENT: a size is not positive, larger than kLargestSplit, or larger than what the
// grammar can give (names the split, the size and the largest possible one; for dyck: when drawing
// on gives next to nothing new). For files: NOT_FOUND or INVALID_ARGUMENT, naming file, line and
// column and quoting nothing: whoever reads the message may not be whom the file is for.
// CANCELLED: `stop` became true. RESOURCE_EXHAUSTED: no memory for so many examples.
absl::StatusOr<Dataset> MakeDataset(const DatasetOptions& options);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_DATASET_H_
