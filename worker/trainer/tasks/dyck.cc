#include "worker/trainer/tasks/dyck.h"

#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/trainer/tasks/random.h"
#include "worker/trainer/tasks/streams.h"

namespace coppice::trainer {
namespace {

// One character per bracket: type i opens as i and closes as i + kDyckTypes. This form is short and
// hashes well.
using Brackets = std::string;

bool IsClosing(char bracket) { return bracket >= kDyckTypes; }

std::string TokenText(int bracket) {
  const char letter = static_cast<char>('a' + bracket % kDyckTypes);
  return IsClosing(static_cast<char>(bracket)) ? absl::StrCat(std::string(1, letter), ")")
                                               : absl::StrCat("(", std::string(1, letter));
}

struct Tokens {
  Vocabulary vocabulary;
  std::vector<int32_t> ids;      // by bracket character
  std::vector<int8_t> brackets;  // by id; -1: not a bracket
  std::vector<int32_t> closers;
};

Tokens MakeTokens() {
  std::vector<std::string> words;
  for (int bracket = 0; bracket < 2 * kDyckTypes; ++bracket) words.push_back(TokenText(bracket));
  Tokens tokens{Vocabulary(words), {}, {}, {}};
  tokens.brackets.assign(static_cast<size_t>(tokens.vocabulary.size()), -1);
  for (int bracket = 0; bracket < 2 * kDyckTypes; ++bracket) {
    const int32_t id = tokens.vocabulary.Id(words[bracket]);
    tokens.ids.push_back(id);
    tokens.brackets[id] = static_cast<int8_t>(bracket);
    if (bracket >= kDyckTypes) tokens.closers.push_back(id);
  }
  return tokens;
}

const Tokens& TheTokens() {
  static const Tokens* const tokens = new Tokens(MakeTokens());
  return *tokens;
}

// The random walk. At the empty stack, END and opening are equally likely; between, closing and
// opening; at full depth it only closes. An END that comes too early is drawn again. Returns false
// for a string with more than `limit` brackets (0: no limit).
bool DrawString(Random& random, size_t limit, Brackets* out) {
  out->clear();
  char stack[kDyckDepth];
  int depth = 0;
  for (;;) {
    if (depth == 0) {
      if (random.Coin()) {
        if (out->size() >= kDyckShortest) return true;
        continue;
      }
    } else if (depth == kDyckDepth || random.Coin()) {
      out->push_back(static_cast<char>(stack[--depth] + kDyckTypes));
      continue;
    }
    if (limit > 0 && out->size() + static_cast<size_t>(depth) + 2 > limit) return false;
    stack[depth++] = static_cast<char>(random.Below(kDyckTypes));
    out->push_back(stack[depth - 1]);
  }
}

// Calls `use` with each path of the string: the shape, without types, of a part between two returns
// to the empty stack.
template <typename Use>
void ForEachPath(const Brackets& brackets, Use use) {
  std::string path;
  int depth = 0;
  for (const char bracket : brackets) {
    path.push_back(IsClosing(bracket) ? ')' : '(');
    depth += IsClosing(bracket) ? -1 : 1;
    if (depth == 0) {
      use(path);
      path.clear();
    }
  }
}

Example ToExample(const Brackets& brackets) {
  Example example;
  example.tokens.reserve(brackets.size());
  for (const char bracket : brackets) example.tokens.push_back(TheTokens().ids[bracket]);
  return example;
}

class Generator {
 public:
  explicit Generator(const DatasetOptions& options)
      : seed_(options.seed),
        limit_(static_cast<size_t>(options.dyck_max_brackets)),
        stop_(options.stop) {}

  absl::Status Train(int32_t size, Split* split) {
    Random random(seed_, StreamOf(Task::kDyck, SplitName::kTrain, Purpose::kExamples));
    Brackets brackets;
    while (split->examples.size() < static_cast<size_t>(size)) {
      COPPICE_RETURN_IF_ERROR(CheckStop(stop_));
      if (!DrawString(random, limit_, &brackets)) continue;
      ForEachPath(brackets, [this](const std::string& path) { seen_paths_.insert(path); });
      used_.insert(brackets);
      split->examples.push_back(ToExample(brackets));
    }
    return absl::OkStatus();
  }

  // Draws new strings. If `seen`, all their paths occur in train; otherwise at least one does not.
  absl::Status Held(SplitName name, int32_t size, bool seen, Split* split) {
    Random random(seed_, StreamOf(Task::kDyck, name, Purpose::kExamples));
    Brackets brackets;
    // Bounds the draws. A small train set may leave almost no new string with only seen paths, and
    // a low limit almost none with an unseen path.
    int64_t draws_left = 1'000'000 + int64_t{1000} * size;
    while (split->examples.size() < static_cast<size_t>(size)) {
      COPPICE_RETURN_IF_ERROR(CheckStop(stop_));
      if (draws_left-- == 0) {
        return TooLarge(name, size, static_cast<int32_t>(split->examples.size()));
      }
      if (!DrawString(random, limit_, &brackets)) continue;
      if (AllPathsSeen(brackets) != seen || !used_.insert(brackets).second) continue;
      split->examples.push_back(ToExample(brackets));
    }
    return absl::OkStatus();
  }

 private:
  bool AllPathsSeen(const Brackets& brackets) const {
    bool all = true;
    ForEachPath(brackets,
                [&](const std::string& path) { all = all && seen_paths_.contains(path); });
    return all;
  }

  const uint64_t seed_;
  const size_t limit_;
  const std::atomic<bool>* const stop_;
  absl::flat_hash_set<std::string> seen_paths_;
  absl::flat_hash_set<Brackets> used_;
};

absl::Status Broken(size_t position, absl::string_view expected, absl::string_view got) {
  return absl::InvalidArgumentError(absl::StrCat("column ", 3 * position + 1, ", bracket ",
                                                 position + 1, ": expected ", expected, ", got ",
                                                 got));
}

}  // namespace

const Vocabulary& DyckVocabulary() { return TheTokens().vocabulary; }

const std::vector<int32_t>& DyckClosers() { return TheTokens().closers; }

absl::Status CheckDyckString(absl::Span<const int32_t> tokens) {
  std::vector<int> stack;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int bracket = TheTokens().brackets[tokens[i]];
    const absl::string_view got = bracket < kDyckTypes ? "an opening bracket" : "a closing bracket";
    if (bracket < kDyckTypes) {
      if (stack.size() == kDyckDepth) {
        return Broken(i, absl::StrCat("a closing bracket at depth ", kDyckDepth), got);
      }
      stack.push_back(bracket);
    } else if (stack.empty()) {
      return Broken(i, "an opening bracket or END", got);
    } else if (stack.back() + kDyckTypes != bracket) {
      return Broken(i, "the bracket that closes the last one, or an opening one", "another");
    } else {
      stack.pop_back();
    }
  }
  if (!stack.empty()) {
    return Broken(tokens.size(), "the bracket that closes the last one", "END");
  }
  if (tokens.size() < kDyckShortest) {
    return Broken(tokens.size(), absl::StrCat("at least ", kDyckShortest, " brackets"), "END");
  }
  return absl::OkStatus();
}

absl::StatusOr<Dataset> MakeDyckDataset(const DatasetOptions& options) {
  Dataset dataset{DyckVocabulary(), {}, {}, {}, {}, {}};
  Generator generator(options);
  COPPICE_RETURN_IF_ERROR(generator.Train(options.train, &dataset.train));
  COPPICE_RETURN_IF_ERROR(generator.Held(SplitName::kVal, options.val, true, &dataset.val));
  COPPICE_RETURN_IF_ERROR(generator.Held(SplitName::kTest, options.test, true, &dataset.test));
  COPPICE_RETURN_IF_ERROR(generator.Held(SplitName::kGen, options.gen, false, &dataset.gen));
  return dataset;
}

}  // namespace coppice::trainer
