// Datasets as text: one example per line, one file per split, named `<task>.train`, `.val` (or
// `.dev`), `.test`, `.gen`. Files of two older conventions can be read unchanged. That of
// rnn-hierarchical-biases has `.dev` instead of `.val`. That of structural-grokking has no `.gen`;
// its `.test` is the generalization set.
//
//   question   my walrus doesn't eat . quest<TAB>doesn't my walrus eat ?
//   tense      my walrus ate . PRESENT<TAB>my walrus eats .
//   dyck       (a (b b) a) END
#ifndef COPPICE_WORKER_TRAINER_TASKS_DIRECTORY_H_
#define COPPICE_WORKER_TRAINER_TASKS_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

// Formats an example's line, without the newline. `vocabulary` is that of its dataset.
std::string FormatExample(Task task, const Vocabulary& vocabulary, const Example& example);

// The inverse of FormatExample. The line must follow the task's rules: known words, a sentence of
// the grammar, a task word, and the output that the task word asks for. White space at the end of
// the line is ignored. INVALID_ARGUMENT: the message says what was expected in which column and
// word, and quotes nothing of the line.
absl::StatusOr<Example> ParseExample(Task task, absl::string_view line);

// `<directory>/<task>.<split>`; `split` is "train", "val", "test" or "gen".
std::string SplitPath(absl::string_view directory, Task task, absl::string_view split);

// Formats a split's whole file.
std::string FormatSplit(Task task, const Vocabulary& vocabulary, const Split& split);

// Writes a split's file atomically. The folder must exist. Codes of common/base/files.h.
absl::Status WriteSplit(absl::string_view directory, Task task, absl::string_view split_name,
                        const Vocabulary& vocabulary, const Split& split);

// Reads the files of options.directory and options.files, without evaluation sets. `test` may be
// missing; it is then empty. For question and tense, `<task>.test` replaces a missing `<task>.gen`,
// provided that every sentence in it belongs to the generalization set; `sources` says so. Blank
// lines at the end of a file are ignored. Lines are not compared with each other: their writer
// answers for frequencies, repetitions and overlaps. NOT_FOUND: names the missing file.
// INVALID_ARGUMENT: a file is empty or not a regular file, or ParseExample refuses a line; names
// file, line and column. CANCELLED: options.stop is set. Otherwise codes of common/base/files.h.
absl::StatusOr<Dataset> ReadFiles(const DatasetOptions& options);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_DIRECTORY_H_
