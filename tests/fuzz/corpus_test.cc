// Runs every file of a target's corpus through the target, in every build: seeds, and earlier
// findings.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/files.h"
#include "tests/fuzz/fuzz.h"

namespace coppice {
namespace {

std::vector<std::string> CorpusFiles() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(COPPICE_CORPUS_DIR)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// A finding ends the process. The last printed name is that of the file.
TEST(FuzzCorpus, EveryFileIsReadWithoutAFinding) {
  const std::vector<std::string> files = CorpusFiles();
  ASSERT_GE(files.size(), 3u) << "no seeds in " << COPPICE_CORPUS_DIR;
  for (const std::string& file : files) {
    std::fprintf(stderr, "%s\n", file.c_str());
    const auto content = ReadFile(file);
    ASSERT_TRUE(content.ok()) << content.status();
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(content->data()), content->size());
  }
}

// Every beginning of a file is also an input.
TEST(FuzzCorpus, EveryBeginningOfASmallFileIsReadWithoutAFinding) {
  for (const std::string& file : CorpusFiles()) {
    const auto content = ReadFile(file);
    ASSERT_TRUE(content.ok()) << content.status();
    if (content->size() > 2000) continue;
    std::fprintf(stderr, "%s\n", file.c_str());
    for (size_t size = 0; size < content->size(); ++size) {
      // A buffer of its own, so that a read past the end is detected.
      const std::vector<uint8_t> beginning(content->begin(), content->begin() + size);
      LLVMFuzzerTestOneInput(beginning.data(), beginning.size());
    }
  }
}

}  // namespace
}  // namespace coppice
