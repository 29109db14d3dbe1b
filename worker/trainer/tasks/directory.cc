#include "worker/trainer/tasks/directory.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "worker/trainer/tasks/dyck.h"
#include "worker/trainer/tasks/grammar.h"
#include "worker/trainer/tasks/sentence_task.h"
#include "worker/trainer/tasks/streams.h"

namespace coppice::trainer {
namespace {

constexpr absl::string_view kEnd = "END";

std::string Join(const Vocabulary& vocabulary, absl::Span<const int32_t> tokens) {
  std::string text;
  for (const int32_t token : tokens) {
    absl::StrAppend(&text, text.empty() ? "" : " ", vocabulary.Word(token));
  }
  return text;
}

absl::StatusOr<std::vector<int32_t>> Lookup(Task task, const Vocabulary& vocabulary,
                                            absl::string_view text) {
  std::vector<int32_t> tokens;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    tokens.push_back(vocabulary.Id(word));
    if (tokens.back() >= 0) continue;
    return absl::InvalidArgumentError(absl::StrCat("expected words of the ", TaskName(task),
                                                   " task, separated by single spaces, got '", word,
                                                   "'"));
  }
  return tokens;
}

absl::Status CheckPast(const Lexicon& lexicon, const Sentence& sentence) {
  for (const int verb : {sentence.subject.verb, sentence.verb, sentence.object.verb}) {
    if (verb < 0 || (lexicon.Info(sentence.tokens[verb]).forms & kPast) != 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("word ", verb + 1, ": expected a verb in the past tense, got '",
                     lexicon.vocabulary().Word(sentence.tokens[verb]), "'"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Transform> TransformOf(const SentenceTask& task, absl::string_view task_word) {
  for (const Kind& kind : task.in_domain) {
    if (kind.task_word == task_word) return kind.transform;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("expected '", task.in_domain[0].task_word, "' or '", task.in_domain[1].task_word,
                   "' as the last word before the tab, got '", task_word, "'"));
}

absl::StatusOr<Example> ParseSentenceLine(Task task, absl::string_view line) {
  const std::vector<absl::string_view> halves = absl::StrSplit(line, '\t');
  if (halves.size() != 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected input and output with one tab between them, got ", halves.size() - 1, " tabs"));
  }
  const Lexicon& lexicon = Lexicon::For(task);
  COPPICE_ASSIGN_OR_RETURN(const std::vector<int32_t> input,
                           Lookup(task, lexicon.vocabulary(), halves[0]));
  if (input.size() < 2 || input[input.size() - 2] != lexicon.Token(".")) {
    return absl::InvalidArgumentError("expected the input to end with a full stop and a task word");
  }
  const absl::string_view task_word = lexicon.vocabulary().Word(input.back());
  COPPICE_ASSIGN_OR_RETURN(const Transform transform, TransformOf(SentenceTaskOf(task), task_word));
  COPPICE_ASSIGN_OR_RETURN(
      const Sentence sentence,
      ParseSentence(lexicon, absl::MakeConstSpan(input).subspan(0, input.size() - 2)));
  if (task == Task::kTense) COPPICE_RETURN_IF_ERROR(CheckPast(lexicon, sentence));
  Example example = MakeExample(lexicon, sentence, task_word, transform);
  const std::string output =
      Join(lexicon.vocabulary(), absl::MakeConstSpan(example.tokens).subspan(example.prefix));
  if (output != halves[1]) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected the output '", output, "', got '", halves[1], "'"));
  }
  return example;
}

absl::StatusOr<Example> ParseDyckLine(absl::string_view line) {
  if (!absl::ConsumeSuffix(&line, absl::StrCat(" ", kEnd))) {
    return absl::InvalidArgumentError("expected brackets and END at the end of the line");
  }
  Example example;
  COPPICE_ASSIGN_OR_RETURN(example.tokens, Lookup(Task::kDyck, DyckVocabulary(), line));
  COPPICE_RETURN_IF_ERROR(CheckDyckString(example.tokens));
  return example;
}

absl::Status ReadSplit(absl::string_view directory, Task task, SplitName name, Split* split) {
  const std::string path = SplitPath(directory, task, ToString(name));
  COPPICE_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  absl::string_view text = content;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const absl::string_view line = absl::StripSuffix(text.substr(0, end), "\r");
    text.remove_prefix(std::min(end + 1, text.size()));
    absl::StatusOr<Example> example = ParseExample(task, line);
    if (!example.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, ": ", example.status().message()));
    }
    split->examples.push_back(*std::move(example));
  }
  if (split->examples.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": expected at least one line"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string FormatExample(Task task, const Vocabulary& vocabulary, const Example& example) {
  const auto tokens = absl::MakeConstSpan(example.tokens);
  if (task == Task::kDyck) return absl::StrCat(Join(vocabulary, tokens), " ", kEnd);
  const auto prefix = static_cast<size_t>(example.prefix);
  return absl::StrCat(Join(vocabulary, tokens.subspan(0, prefix)), "\t",
                      Join(vocabulary, tokens.subspan(prefix)));
}

absl::StatusOr<Example> ParseExample(Task task, absl::string_view line) {
  return task == Task::kDyck ? ParseDyckLine(line) : ParseSentenceLine(task, line);
}

std::string SplitPath(absl::string_view directory, Task task, absl::string_view split) {
  return JoinPath(directory, absl::StrCat(TaskName(task), ".", split));
}

std::string FormatSplit(Task task, const Vocabulary& vocabulary, const Split& split) {
  std::string content;
  for (const Example& example : split.examples) {
    absl::StrAppend(&content, FormatExample(task, vocabulary, example), "\n");
  }
  return content;
}

absl::Status WriteSplit(absl::string_view directory, Task task, absl::string_view split_name,
                        const Vocabulary& vocabulary, const Split& split) {
  return WriteFileAtomically(SplitPath(directory, task, split_name),
                             FormatSplit(task, vocabulary, split));
}

absl::StatusOr<Dataset> ReadDirectory(absl::string_view directory, Task task) {
  Dataset dataset{
      task == Task::kDyck ? DyckVocabulary() : Lexicon::For(task).vocabulary(), {}, {}, {}, {}};
  COPPICE_RETURN_IF_ERROR(ReadSplit(directory, task, SplitName::kTrain, &dataset.train));
  COPPICE_RETURN_IF_ERROR(ReadSplit(directory, task, SplitName::kVal, &dataset.val));
  // Nothing is trained or reported on `test`.
  const absl::Status test = ReadSplit(directory, task, SplitName::kTest, &dataset.test);
  if (!test.ok() && !absl::IsNotFound(test)) return test;
  COPPICE_RETURN_IF_ERROR(ReadSplit(directory, task, SplitName::kGen, &dataset.gen));
  return dataset;
}

}  // namespace coppice::trainer
