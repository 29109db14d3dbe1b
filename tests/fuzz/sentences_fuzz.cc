// A line of a dataset's file, and the gold parse of its sentence. First byte: the task.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "tests/fuzz/fuzz.h"
#include "worker/trainer/tasks/dataset.h"
#include "worker/trainer/tasks/directory.h"
#include "worker/trainer/tasks/dyck.h"
#include "worker/trainer/tasks/gold_parser.h"
#include "worker/trainer/tasks/lexicon.h"

namespace coppice::trainer {
namespace {

// A binary tree over all words has one bracket fewer than words.
void CheckTree(const GoldTree& tree, size_t words) {
  FUZZ_CHECK(tree.nodes.size() == 2 * words - 1, "");
  FUZZ_CHECK(tree.Brackets().size() == words - 1, "");
  const Bracket all = {0, static_cast<int>(words) - 1};
  FUZZ_CHECK(tree.nodes.back().span == all, "the root is not the sentence");
  for (const GoldTree::Node& node : tree.nodes) {
    FUZZ_CHECK((node.left < 0) == (node.right < 0), "one child");
    if (node.left < 0) continue;
    const Bracket left = tree.nodes.at(static_cast<size_t>(node.left)).span;
    const Bracket right = tree.nodes.at(static_cast<size_t>(node.right)).span;
    FUZZ_CHECK(left.first == node.span.first && left.last + 1 == right.first &&
                   right.last == node.span.last,
               "the children do not fill their parent");
  }
}

void CheckLine(Task task, absl::string_view line) {
  const auto example = ParseExample(task, line);
  if (!example.ok()) {
    FUZZ_CHECK(example.status().code() == absl::StatusCode::kInvalidArgument,
               example.status().ToString());
    FUZZ_CHECK(!example.status().message().empty(), "an error that says nothing");
    return;
  }
  const std::string printed = FormatExample(task, VocabularyOf(task), *example);
  FUZZ_CHECK(printed == absl::StripTrailingAsciiWhitespace(line), printed);
  if (task == Task::kDyck) return;
  const absl::Span<const int32_t> sentence = DeclarativePart(*example);
  const auto tree = GoldParse(task, sentence);
  FUZZ_CHECK(tree.ok(), tree.status().message());
  CheckTree(*tree, sentence.size());
}

}  // namespace
}  // namespace coppice::trainer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using coppice::trainer::Task;
  if (size == 0) return 0;
  const Task task = static_cast<Task>(data[0] % 3);
  const absl::string_view line = coppice::fuzz::Text(data + 1, size - 1);
  coppice::trainer::CheckLine(task, line);
  if (task != Task::kDyck) {
    const auto tree = coppice::trainer::GoldParse(task, line);
    if (tree.ok()) {
      const size_t words = 1 + static_cast<size_t>(std::count(line.begin(), line.end(), ' '));
      coppice::trainer::CheckTree(*tree, words);
    }
  }
  return 0;
}
