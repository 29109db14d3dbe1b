// The examples of docs/python.md, run unchanged on files that the programs wrote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/safetensors.h"
#include "tests/cli/fake_sweep_service.h"
#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {
namespace {

using ::coppice::testing::ReadAll;
using ::coppice::testing::RunProcess;
using ::coppice::testing::RunResult;

// Returns the only example that contains `part`.
std::string Example(const std::string& part) {
  const std::string docs = ReadAll(COPPICE_PYTHON_DOCS);
  const std::string fence = "```python\n";
  std::string found;
  for (size_t at = docs.find(fence); at != std::string::npos; at = docs.find(fence, at + 1)) {
    const size_t begin = at + fence.size();
    const std::string text = docs.substr(begin, docs.find("```", begin) - begin);
    if (!absl::StrContains(text, part)) continue;
    EXPECT_EQ(found, "") << "'" << part << "' is in two examples";
    found = text;
  }
  EXPECT_NE(found, "") << "no example holds '" << part << "'";
  return found;
}

class PythonDocs : public ::testing::Test {
 protected:
  // Runs an example in the folder of the test's files and returns its output.
  std::string Run(const std::string& python, const std::string& example) {
    const std::string script = dir_.Join("example.py");
    std::ofstream(script) << "import os\nos.chdir('" << dir_.path() << "')\n" << example;
    const RunResult result = RunProcess({python, script});
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  }
  // Returns a Python with numpy, or "".
  static std::string WithNumpy() {
    for (const char* python : {COPPICE_PYTHON, "/usr/bin/python3"}) {
      if (RunProcess({python, "-c", "import numpy"}).code == 0) return python;
    }
    return "";
  }
  void Export(const std::string& format) {
    const CliResult result = RunCommand(
        coordinator_.address(),
        {"export", "demo", "--format", format, "-o", dir_.Join(absl::StrCat("demo.", format))});
    EXPECT_EQ(result.code, 0) << result.err;
  }

  testing::TempDir dir_;
  FakeCoordinator coordinator_;
};

TEST_F(PythonDocs, TheCheckpointReaderReadsWhatTheTrainersWriterWrites) {
  const std::string python = WithNumpy();
  if (python.empty()) GTEST_SKIP() << "no numpy here";
  const float numbers[6] = {0, 1, 2, 3, 4, 0.1f};
  const int64_t steps = 17;
  ASSERT_TRUE(WriteSafetensors(dir_.Join("question.safetensors"),
                               {{"report.loss_steps", DType::kI64, {1}, &steps},
                                {"model.w", DType::kF32, {2, 3}, numbers}},
                               {{"seed", "7"}, {"step", "300"}, {"run", R"({"task":"tense"})"}})
                  .ok());
  EXPECT_EQ(Run(python, absl::StrCat(Example("def read_checkpoint"),
                                     "print(tensors['model.w'].tolist())\n"
                                     "print(tensors['report.loss_steps'][0])\n")),
            "tense 7 300\n6 parameters\n"
            "[[0.0, 1.0, 2.0], [3.0, 4.0, 0.10000000149011612]]\n17\n");
}

TEST_F(PythonDocs, TheTablesAreReadWithTheStandardLibrary) {
  Export("csv");
  EXPECT_EQ(Run(COPPICE_PYTHON, Example("csv.DictReader")),
            "dyck 1 1 300 0.31\nquestion 1 0 300 0.31\n");
  Export("jsonl");
  EXPECT_EQ(Run(COPPICE_PYTHON, Example("demo.jsonl")),
            "question 1 0 150 None\nquestion 1 0 300 0.31\n"
            "dyck 1 1 150 None\ndyck 1 1 300 0.31\n");
}

}  // namespace
}  // namespace coppice::cli
