#include "worker/trainer/tasks/directory.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "common/base/files.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"
#include "worker/trainer/tasks/dyck.h"
#include "worker/trainer/tasks/grammar.h"
#include "worker/trainer/tasks/sentence_task.h"
#include "worker/trainer/tasks/streams.h"

namespace coppice::trainer {
namespace {

constexpr absl::string_view kEnd = "END";
// No file with more than this is read: it is enough for kLargestSplit examples.
constexpr uint64_t kMaxFileBytes = uint64_t{2} << 30;
constexpr size_t kMaxLineBytes = 1 << 17;

std::string Join(const Vocabulary& vocabulary, absl::Span<const int32_t> tokens) {
  std::string text;
  for (const int32_t token : tokens) {
    absl::StrAppend(&text, text.empty() ? "" : " ", vocabulary.Word(token));
  }
  return text;
}

// "column 12, word 3", both counted from 1. Columns count bytes, as editors do.
std::string Place(absl::string_view line, absl::string_view word, size_t number) {
  return absl::StrCat("column ", word.data() - line.data() + 1, ", word ", number);
}

// The ids of the words of `text`, a part of `line` whose first word has the number `first`.
absl::StatusOr<std::vector<int32_t>> Lookup(Task task, absl::string_view line,
                                            absl::string_view text, size_t first = 1) {
  const Vocabulary& vocabulary = VocabularyOf(task);
  std::vector<int32_t> tokens;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    tokens.push_back(vocabulary.Id(word));
    if (tokens.back() >= 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(Place(line, word, first + tokens.size() - 1), ": expected a word of the ",
                     TaskName(task), " task, separated by single spaces; it is none"));
  }
  return tokens;
}

// The index of the first word in which the two differ.
size_t FirstDifference(absl::Span<const int32_t> a, absl::Span<const int32_t> b) {
  size_t i = 0;
  while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
  return i;
}

absl::Status WrongOutput(absl::string_view line, absl::string_view output, size_t word) {
  size_t at = 0;
  for (size_t i = 0; i < word && at != absl::string_view::npos; ++i) {
    at = output.find(' ', at);
    if (at != absl::string_view::npos) ++at;
  }
  const absl::string_view place =
      at == absl::string_view::npos ? output.substr(output.size()) : output.substr(at);
  return absl::InvalidArgumentError(
      absl::StrCat("column ", place.data() - line.data() + 1, ", word ", word + 1,
                   " of the output: it is not the output that the task word asks for"));
}

absl::Status CheckPast(const Lexicon& lexicon, const Sentence& sentence) {
  for (const int verb : {sentence.subject.verb, sentence.verb, sentence.object.verb}) {
    if (verb < 0 || (lexicon.Info(sentence.tokens[verb]).forms & kPast) != 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(PlaceOf(lexicon, sentence.tokens, static_cast<size_t>(verb)),
                     ": expected a verb in the past tense, got another form"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Transform> TransformOf(const SentenceTask& task, absl::string_view task_word,
                                      const std::string& place) {
  for (const Kind& kind : task.in_domain) {
    if (kind.task_word == task_word) return kind.transform;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      place, ": expected '", task.in_domain[0].task_word, "' or '", task.in_domain[1].task_word,
      "' as the last word before the tab, got another word"));
}

absl::StatusOr<Example> ParseSentenceLine(Task task, absl::string_view line) {
  const std::vector<absl::string_view> halves = absl::StrSplit(line, '\t');
  if (halves.size() != 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected input and output with one tab between them, got ", halves.size() - 1, " tabs"));
  }
  const Lexicon& lexicon = Lexicon::For(task);
  COPPICE_ASSIGN_OR_RETURN(const std::vector<int32_t> input, Lookup(task, line, halves[0]));
  if (input.size() < 2 || input[input.size() - 2] != lexicon.Token(".")) {
    return absl::InvalidArgumentError("expected the input to end with a full stop and a task word");
  }
  const absl::string_view task_word = lexicon.vocabulary().Word(input.back());
  COPPICE_ASSIGN_OR_RETURN(
      const Transform transform,
      TransformOf(SentenceTaskOf(task), task_word, PlaceOf(lexicon, input, input.size() - 1)));
  COPPICE_ASSIGN_OR_RETURN(
      const Sentence sentence,
      ParseSentence(lexicon, absl::MakeConstSpan(input).subspan(0, input.size() - 2)));
  if (task == Task::kTense) COPPICE_RETURN_IF_ERROR(CheckPast(lexicon, sentence));
  Example example = MakeExample(lexicon, sentence, task_word, transform);
  const auto wanted = absl::MakeConstSpan(example.tokens).subspan(example.prefix);
  COPPICE_ASSIGN_OR_RETURN(const std::vector<int32_t> output,
                           Lookup(task, line, halves[1], input.size() + 1));
  if (wanted != absl::MakeConstSpan(output)) {
    return WrongOutput(line, halves[1], FirstDifference(wanted, output));
  }
  return example;
}

absl::StatusOr<Example> ParseDyckLine(absl::string_view line) {
  const absl::string_view whole = line;
  if (!absl::ConsumeSuffix(&line, absl::StrCat(" ", kEnd))) {
    return absl::InvalidArgumentError("expected brackets and END at the end of the line");
  }
  Example example;
  COPPICE_ASSIGN_OR_RETURN(example.tokens, Lookup(Task::kDyck, whole, line));
  COPPICE_RETURN_IF_ERROR(CheckDyckString(example.tokens));
  return example;
}

// True if an example belongs to the generalization set of its task.
bool IsGeneralization(Task task, const Example& example) {
  const Lexicon& lexicon = Lexicon::For(task);
  const Kind& kind = SentenceTaskOf(task).generalization;
  const auto tokens = absl::MakeConstSpan(example.tokens);
  const auto prefix = static_cast<size_t>(example.prefix);
  if (lexicon.vocabulary().Word(tokens[prefix - 1]) != kind.task_word) return false;
  const auto sentence = ParseSentence(lexicon, tokens.subspan(0, prefix - 2));
  return sentence.ok() && kind.types.subject[static_cast<size_t>(sentence->subject.type)] > 0 &&
         (kind.takes == nullptr || kind.takes(lexicon, *sentence));
}

// The file of a split, and facts about it.
struct Source {
  std::string path;
  std::string remark;                   // for the log
  bool must_be_generalization = false;  // the file's name does not imply it
};

class Reader {
 public:
  explicit Reader(const DatasetOptions& options) : options_(options) {}

  absl::StatusOr<Dataset> Read() {
    Dataset dataset{VocabularyOf(options_.task), {}, {}, {}, {}, {}};
    COPPICE_ASSIGN_OR_RETURN(const Source train, SourceOf(SplitName::kTrain));
    COPPICE_ASSIGN_OR_RETURN(const Source val, SourceOf(SplitName::kVal));
    COPPICE_ASSIGN_OR_RETURN(const Source gen, SourceOf(SplitName::kGen));
    COPPICE_RETURN_IF_ERROR(ReadSplit(train, "train", &dataset, &dataset.train));
    COPPICE_RETURN_IF_ERROR(ReadSplit(val, "val", &dataset, &dataset.val));
    // `test` may be missing: no training or report uses it.
    const absl::StatusOr<Source> test = SourceOf(SplitName::kTest);
    if (test.ok() && test->path != gen.path) {
      const absl::Status read = ReadSplit(*test, "test", &dataset, &dataset.test);
      if (!read.ok() && !(absl::IsNotFound(read) && options_.files.test.empty())) return read;
    }
    COPPICE_RETURN_IF_ERROR(ReadSplit(gen, "gen", &dataset, &dataset.gen));
    return dataset;
  }

 private:
  absl::StatusOr<Source> SourceOf(SplitName name) const {
    const std::string& given = Given(name);
    if (!given.empty()) {
      if (given.front() != '/' && options_.directory.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("data.files.", ToString(name),
                         " is a relative path, but data.directory names no folder"));
      }
      return Source{given.front() == '/' ? given : JoinPath(options_.directory, given), ""};
    }
    if (options_.directory.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("data.files names no file for ", ToString(name), "; give data.files.",
                       ToString(name), ", or the folder of the others with data.directory"));
    }
    const std::string path = PathOf(ToString(name));
    if (FileExists(path)) return Source{path, ""};
    if (name == SplitName::kVal && FileExists(PathOf("dev"))) return Source{PathOf("dev"), ""};
    if (name == SplitName::kGen && options_.task != Task::kDyck && options_.files.test.empty() &&
        FileExists(PathOf("test"))) {
      return Source{PathOf("test"),
                    absl::StrCat(" (there is no ", TaskName(options_.task),
                                 ".gen; every sentence of this file is one of the generalization "
                                 "set)"),
                    true};
    }
    return Source{path, ""};
  }

  std::string PathOf(absl::string_view ending) const {
    return SplitPath(options_.directory, options_.task, ending);
  }

  const std::string& Given(SplitName name) const {
    switch (name) {
      case SplitName::kTrain:
        return options_.files.train;
      case SplitName::kVal:
        return options_.files.val;
      case SplitName::kTest:
        return options_.files.test;
      case SplitName::kGen:
        break;
    }
    return options_.files.gen;
  }

  absl::Status ReadSplit(const Source& source, absl::string_view name, Dataset* dataset,
                         Split* split) const {
    absl::StatusOr<RegularFileLines> lines =
        RegularFileLines::Open(source.path, {kMaxFileBytes, kMaxLineBytes}, options_.stop);
    if (absl::IsNotFound(lines.status())) {
      return absl::NotFoundError(
          absl::StrCat(lines.status().message(), "; give the file's name with data.files.", name));
    }
    COPPICE_RETURN_IF_ERROR(lines.status());
    COPPICE_RETURN_IF_ERROR(ReadLines(source, &*lines, split));
    dataset->sources.push_back(absl::StrCat(name, " from ", source.path, ", ",
                                            split->examples.size(), " lines", source.remark));
    return absl::OkStatus();
  }

  absl::Status ReadLines(const Source& source, RegularFileLines* lines, Split* split) const {
    int64_t blank = 0;  // number of the first blank line; only the last lines may be blank
    for (absl::string_view line;;) {
      COPPICE_ASSIGN_OR_RETURN(const bool more, lines->Next(&line));
      if (!more) break;
      const auto fail = [&](int64_t number, absl::string_view message) {
        return absl::InvalidArgumentError(absl::StrCat(source.path, ":", number, ": ", message));
      };
      if (absl::StripTrailingAsciiWhitespace(line).empty()) {
        if (blank == 0) blank = lines->number();
        continue;
      }
      if (blank != 0) return fail(blank, "the line is blank, and others follow");
      absl::StatusOr<Example> example = ParseExample(options_.task, line);
      if (!example.ok()) return fail(lines->number(), example.status().message());
      if (source.must_be_generalization && !IsGeneralization(options_.task, *example)) {
        return fail(lines->number(),
                    absl::StrCat("this sentence is not one of the generalization set, and there is "
                                 "no ",
                                 TaskName(options_.task),
                                 ".gen; name that file with "
                                 "data.files.gen"));
      }
      if (split->examples.size() == static_cast<size_t>(kLargestSplit)) {
        return fail(lines->number(), absl::StrCat("more than ", kLargestSplit, " examples"));
      }
      split->examples.push_back(*std::move(example));
    }
    if (!split->examples.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(source.path, ": expected at least one line"));
  }

  const DatasetOptions& options_;
};

}  // namespace

std::string FormatExample(Task task, const Vocabulary& vocabulary, const Example& example) {
  const auto tokens = absl::MakeConstSpan(example.tokens);
  if (task == Task::kDyck) return absl::StrCat(Join(vocabulary, tokens), " ", kEnd);
  const auto prefix = static_cast<size_t>(example.prefix);
  return absl::StrCat(Join(vocabulary, tokens.subspan(0, prefix)), "\t",
                      Join(vocabulary, tokens.subspan(prefix)));
}

absl::StatusOr<Example> ParseExample(Task task, absl::string_view line) {
  line = absl::StripTrailingAsciiWhitespace(line);
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

absl::StatusOr<Dataset> ReadFiles(const DatasetOptions& options) { return Reader(options).Read(); }

}  // namespace coppice::trainer
