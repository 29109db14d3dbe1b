// Datasets as text: one example a line, one file a split, named `<task>.train`, `.val` (or `.dev`),
// `.test`, `.gen`. Two older conventions load as they come: that of rnn-hierarchical-biases has
// `.dev` for `.val`; that of structural-grokking has no `.gen`, and its `.test` holds the
// generalization set.
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

// An example's line, without the newline. `vocabulary` is the one of its dataset.
std::string FormatExample(Task task, const Vocabulary& vocabulary, const Example& example);

// The inverse. The line must be what the task makes of its input: known words, a sentence of the
// grammar, a task word, and the output that the task word asks for. White space at the end of the
// line does not count. INVALID_ARGUMENT: says in which column and word what was expected, and
// quotes nothing of the line.
absl::StatusOr<Example> ParseExample(Task task, absl::string_view line);

// `<directory>/<task>.<split>`; `split` is "train", "val", "test" or "gen".
std::string SplitPath(absl::string_view directory, Task task, absl::string_view split);

// A split's whole file.
std::string FormatSplit(Task task, const Vocabulary& vocabulary, const Split& split);

// Writes a split's file (atomically; the folder exists). Codes as in common/base/files.h.
absl::Status WriteSplit(absl::string_view directory, Task task, absl::string_view split_name,
                        const Vocabulary& vocabulary, const Split& split);

// The files of options.directory and options.files, without evaluation sets; `test` may be missing
// and is empty then. Where `<task>.gen` is not there, `<task>.test` is taken for it, if every
// sentence in it is one of the generalization set; `sources` says so. Blank lines at the end of a
// file do not count. What the lines hold together is taken as it is: frequencies, repetitions and
// overlaps are the writer's affair. NOT_FOUND: names the missing file. INVALID_ARGUMENT: an empty
// file, what is no regular file, or a line that ParseExample refuses; names file, line and column.
// CANCELLED: options.stop. Otherwise as in common/base/files.h.
absl::StatusOr<Dataset> ReadFiles(const DatasetOptions& options);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_DIRECTORY_H_
