#include "worker/trainer/tasks/dataset.h"

#include <initializer_list>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/trainer/tasks/directory.h"
#include "worker/trainer/tasks/dyck.h"
#include "worker/trainer/tasks/evaluation.h"
#include "worker/trainer/tasks/lexicon.h"
#include "worker/trainer/tasks/sentence_task.h"
#include "worker/trainer/tasks/streams.h"

namespace coppice::trainer {
namespace {

absl::Status CheckPositive(absl::string_view name, int32_t value) {
  if (value > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must be positive, got ", value));
}

absl::Status CheckOptions(const DatasetOptions& options) {
  if (options.task == Task::kTense) {
    COPPICE_RETURN_IF_ERROR(CheckPositive("decode_sentences", options.decode_sentences));
  }
  if (options.task == Task::kDyck) {
    COPPICE_RETURN_IF_ERROR(CheckPositive("dyck_prefixes", options.dyck_prefixes));
  }
  if (options.from_files()) return absl::OkStatus();
  if (options.dyck_max_brackets != 0 && options.dyck_max_brackets < kDyckShortest) {
    return absl::InvalidArgumentError(absl::StrCat("dyck_max_brackets must be 0 or at least ",
                                                   kDyckShortest, ", got ",
                                                   options.dyck_max_brackets));
  }
  struct {
    SplitName name;
    int32_t size;
  } const sizes[] = {{SplitName::kTrain, options.train},
                     {SplitName::kVal, options.val},
                     {SplitName::kTest, options.test},
                     {SplitName::kGen, options.gen}};
  for (const auto& [name, size] : sizes) {
    COPPICE_RETURN_IF_ERROR(CheckPositive(absl::StrCat("data.", ToString(name)), size));
    if (size > kLargestSplit) return TooLarge(name, size, kLargestSplit);
  }
  return absl::OkStatus();
}

absl::StatusOr<Dataset> MakeExamples(const DatasetOptions& options) {
  if (options.from_files()) return ReadFiles(options);
  if (options.task == Task::kDyck) return MakeDyckDataset(options);
  return MakeSentenceDataset(SentenceTaskOf(options.task), options);
}

}  // namespace

std::optional<Task> ParseTask(absl::string_view name) {
  for (const Task task : {Task::kQuestion, Task::kTense, Task::kDyck}) {
    if (TaskName(task) == name) return task;
  }
  return std::nullopt;
}

absl::string_view TaskName(Task task) {
  switch (task) {
    case Task::kQuestion:
      return "question";
    case Task::kTense:
      return "tense";
    case Task::kDyck:
      return "dyck";
  }
  return "";
}

absl::string_view ToString(SplitName name) {
  switch (name) {
    case SplitName::kTrain:
      return "train";
    case SplitName::kVal:
      return "val";
    case SplitName::kTest:
      return "test";
    case SplitName::kGen:
      return "gen";
  }
  return "";
}

absl::Status TooLarge(SplitName split, int32_t size, int32_t largest) {
  return absl::InvalidArgumentError(absl::StrCat("data.", ToString(split), " asks for ", size,
                                                 " examples, the largest possible size is ",
                                                 largest));
}

const Vocabulary& VocabularyOf(Task task) {
  return task == Task::kDyck ? DyckVocabulary() : Lexicon::For(task).vocabulary();
}

int32_t GeneratorVersion(Task task) { return task == Task::kTense ? 2 : 1; }

absl::Status CheckStop(const std::atomic<bool>* stop) {
  if (stop == nullptr || !stop->load(std::memory_order_relaxed)) return absl::OkStatus();
  return absl::CancelledError("stopped before the data were there");
}

absl::StatusOr<Dataset> MakeDataset(const DatasetOptions& options) {
  COPPICE_RETURN_IF_ERROR(CheckOptions(options));
  try {
    COPPICE_ASSIGN_OR_RETURN(Dataset dataset, MakeExamples(options));
    AddEvaluationSets(options, &dataset);
    return dataset;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("no memory for the data");
  }
}

}  // namespace coppice::trainer
