#include "worker/trainer/tasks/sentence_task.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/trainer/tasks/random.h"
#include "worker/trainer/tasks/streams.h"

namespace coppice::trainer {
namespace {

// A sentence as a number: at most 16 words of 7 bits (both vocabularies have fewer than 128 words).
// The coding is exact, so two sentences never have the same key.
using Key = std::pair<uint64_t, uint64_t>;

Key KeyOf(const Sentence& sentence) {
  Key key{0, 0};
  for (const int32_t token : sentence.tokens) {
    key.first = (key.first << 7) | (key.second >> 57);
    key.second = (key.second << 7) | static_cast<uint64_t>(token);
  }
  return key;
}

// SplitMix64's finalizer: every bit of the input reaches every bit of the output.
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// By a fair coin a dataset's seed assigns every sentence of the grammar to train or to the other
// three splits. So train is a function of its size and the seed alone, and no sentence is in train
// and in another split. And train, which is drawn first, cannot use up the few short sentences
// (1,404 of the shortest in the tense grammar) before the other sets get theirs.
bool IsHeldOut(const Key& key, uint64_t seed) {
  return (Mix(key.first ^ Mix(key.second ^ Mix(seed + 0x9e3779b97f4a7c15ULL))) & 1) != 0;
}

// A combination of subject and object type counts as used up after this many draws in a row without
// a new sentence. A quarter of all draws is in the right half of the sentences and passes a kind's
// filter, so about 1 % of the sentences may remain.
constexpr int kDrawsUntilExhausted = 2000;

// Draws indices at random in given proportions, but keeps the counts close to them, like cards from
// a deck. Independent draws would miss the proportions, known from 1,500 sentences, by more than a
// point.
class Dealer {
 public:
  using Weights = std::array<int, kPhraseTypes>;

  Dealer() = default;
  explicit Dealer(const Weights& weights) : weights_(weights) {}

  // Draws an index with a weight of what its share of the picks so far and the next kAhead leaves
  // it. -1: all weights are 0.
  int Pick(Random& random) {
    int64_t total = 0;
    for (const int weight : weights_) total += weight;
    if (total == 0) return -1;
    std::array<int64_t, kPhraseTypes> room{};
    int64_t sum = 0;
    for (int i = 0; i < kPhraseTypes; ++i) {
      room[i] = std::max<int64_t>(0, weights_[i] * (picks_ + kAhead) - counts_[i] * total);
      sum += room[i];
    }
    int64_t left = random.Below(static_cast<uint32_t>(sum));
    int index = 0;
    while (left >= room[index]) left -= room[index++];
    ++counts_[index];
    ++picks_;
    return index;
  }

  // From now on the other indices share the weight of `index`.
  void Remove(int index) {
    weights_[index] = 0;
    counts_.fill(0);
    picks_ = 0;
  }

 private:
  static constexpr int64_t kAhead = 20;

  Weights weights_{};
  std::array<int64_t, kPhraseTypes> counts_{};
  int64_t picks_ = 0;
};

// Draws the examples of one kind for one split.
class KindSampler {
 public:
  KindSampler(const Lexicon& lexicon, const Kind& kind, uint64_t seed, bool held_out,
              absl::flat_hash_set<Key>* used)
      : lexicon_(lexicon),
        kind_(kind),
        seed_(seed),
        held_out_(held_out),
        used_(used),
        subjects_(kind.types.subject) {
    objects_.fill(Dealer(kind.types.object));
    objects_[static_cast<size_t>(PhraseType::kPlain)] = Dealer(kind.types.object_after_plain);
  }

  // False when every combination of types is used up.
  bool Next(Random& random, Example* example) {
    for (;;) {
      const int subject = subjects_.Pick(random);
      if (subject < 0) return false;
      if (NextWith(subject, random, example)) return true;
      subjects_.Remove(subject);
    }
  }

 private:
  bool NextWith(int subject, Random& random, Example* example) {
    for (;;) {
      const int object = objects_[subject].Pick(random);
      if (object < 0) return false;
      for (int draw = 0; draw < kDrawsUntilExhausted; ++draw) {
        const Sentence sentence = DrawSentence(lexicon_, static_cast<PhraseType>(subject),
                                               static_cast<PhraseType>(object), random);
        if (!Accept(sentence)) continue;
        *example = MakeExample(lexicon_, sentence, kind_.task_word, kind_.transform);
        return true;
      }
      objects_[subject].Remove(object);
    }
  }

  bool Accept(const Sentence& sentence) {
    if (kind_.takes != nullptr && !kind_.takes(lexicon_, sentence)) return false;
    const Key key = KeyOf(sentence);
    return IsHeldOut(key, seed_) == held_out_ && used_->insert(key).second;
  }

  const Lexicon& lexicon_;
  const Kind& kind_;
  const uint64_t seed_;
  const bool held_out_;
  absl::flat_hash_set<Key>* const used_;
  Dealer subjects_;
  std::array<Dealer, kPhraseTypes> objects_;
};

class Generator {
 public:
  Generator(const SentenceTask& task, const DatasetOptions& options)
      : task_(task), lexicon_(Lexicon::For(task.task)), seed_(options.seed), stop_(options.stop) {}

  absl::Status InDomain(SplitName name, int32_t size, Split* split) {
    Random random(seed_, StreamOf(task_.task, name, Purpose::kExamples));
    const bool held_out = name != SplitName::kTrain;
    const std::array<Kind, 2>& both = held_out ? task_.in_domain : task_.train;
    KindSampler first(lexicon_, both[0], seed_, held_out, &used_);
    KindSampler second(lexicon_, both[1], seed_, held_out, &used_);
    Dealer kinds({both[0].share, both[1].share});
    split->examples.resize(static_cast<size_t>(size));
    for (int32_t i = 0; i < size; ++i) {
      COPPICE_RETURN_IF_ERROR(CheckStop(stop_));
      KindSampler& sampler = kinds.Pick(random) == 0 ? first : second;
      if (!sampler.Next(random, &split->examples[i])) {
        return TooLarge(name, size, i);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Generalization(int32_t size, Split* split) {
    Random random(seed_, StreamOf(task_.task, SplitName::kGen, Purpose::kExamples));
    KindSampler sampler(lexicon_, task_.generalization, seed_, true, &used_);
    split->examples.resize(static_cast<size_t>(size));
    for (int32_t i = 0; i < size; ++i) {
      COPPICE_RETURN_IF_ERROR(CheckStop(stop_));
      if (!sampler.Next(random, &split->examples[i])) return TooLarge(SplitName::kGen, size, i);
    }
    return absl::OkStatus();
  }

 private:
  const SentenceTask& task_;
  const Lexicon& lexicon_;
  const uint64_t seed_;
  const std::atomic<bool>* const stop_;
  absl::flat_hash_set<Key> used_;
};

void AppendOutput(const Lexicon& lexicon, const Sentence& sentence, Transform transform,
                  std::vector<int32_t>* out) {
  const auto& tokens = sentence.tokens;
  switch (transform) {
    case Transform::kCopy:
      out->insert(out->end(), tokens.begin(), tokens.end());
      break;
    case Transform::kFrontAuxiliary:
      out->push_back(tokens[sentence.aux]);
      out->insert(out->end(), tokens.begin(), tokens.begin() + sentence.aux);
      out->insert(out->end(), tokens.begin() + sentence.aux + 1, tokens.end());
      break;
    case Transform::kPresent: {
      const size_t start = out->size();
      out->insert(out->end(), tokens.begin(), tokens.end());
      const auto inflect = [&](int verb, int noun) {
        if (verb < 0) return;
        (*out)[start + static_cast<size_t>(verb)] =
            lexicon.Present(tokens[verb], lexicon.Info(tokens[noun]).plural);
      };
      inflect(sentence.verb, sentence.subject.noun);
      inflect(sentence.subject.verb, sentence.subject.clause_subject());
      inflect(sentence.object.verb, sentence.object.clause_subject());
      break;
    }
  }
  out->push_back(lexicon.Token(transform == Transform::kFrontAuxiliary ? "?" : "."));
}

}  // namespace

const SentenceTask& SentenceTaskOf(Task task) {
  return task == Task::kTense ? TenseTask() : QuestionTask();
}

Example MakeExample(const Lexicon& lexicon, const Sentence& sentence, absl::string_view task_word,
                    Transform transform) {
  Example example;
  example.tokens.reserve(2 * sentence.tokens.size() + 3);
  example.tokens.assign(sentence.tokens.begin(), sentence.tokens.end());
  example.tokens.push_back(lexicon.Token("."));
  example.tokens.push_back(lexicon.Token(task_word));
  example.prefix = static_cast<int32_t>(example.tokens.size());
  AppendOutput(lexicon, sentence, transform, &example.tokens);
  return example;
}

absl::StatusOr<Dataset> MakeSentenceDataset(const SentenceTask& task,
                                            const DatasetOptions& options) {
  Dataset dataset{Lexicon::For(task.task).vocabulary(), {}, {}, {}, {}, {}};
  Generator generator(task, options);
  COPPICE_RETURN_IF_ERROR(generator.InDomain(SplitName::kTrain, options.train, &dataset.train));
  COPPICE_RETURN_IF_ERROR(generator.InDomain(SplitName::kVal, options.val, &dataset.val));
  COPPICE_RETURN_IF_ERROR(generator.InDomain(SplitName::kTest, options.test, &dataset.test));
  COPPICE_RETURN_IF_ERROR(generator.Generalization(options.gen, &dataset.gen));
  return dataset;
}

}  // namespace coppice::trainer
