// The document of the sweep spec shows specs that the reader takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/spec_reader.h"
#include "common/base/files.h"

namespace coppice::cli {
namespace {

// Some show only what they speak of.
std::string Completed(std::string snippet) {
  const bool axes = absl::StrContains(snippet, "axes:");
  for (const auto& [key, line] : std::vector<std::pair<std::string, std::string>>{
           {"name:", "name: snippet\n"},
           {axes ? "task:" : "tasks:", "tasks: question\n"},
           {axes ? "depth:" : "depths:", "depths: 2\n"},
           {axes ? "seed:" : "seeds:", "seeds: 0\n"}}) {
    if (!absl::StrContains(snippet, key)) snippet = line + snippet;
  }
  return snippet;
}

TEST(SweepSpecDocument, EachYamlSnippetIsASpec) {
  const auto document = ReadFile(COPPICE_SWEEP_SPEC_DOC);
  ASSERT_TRUE(document.ok()) << document.status();
  const std::string begin = "```yaml\n";
  int snippets = 0;
  for (size_t at = document->find(begin); at != std::string::npos;
       at = document->find(begin, at + 1)) {
    const size_t first = at + begin.size();
    const size_t end = document->find("```", first);
    ASSERT_NE(end, std::string::npos);
    const std::string text = Completed(document->substr(first, end - first));
    EXPECT_TRUE(ParseSpec(text, "snippet").ok()) << ParseSpec(text, "snippet").status() << "\n"
                                                 << text;
    ++snippets;
  }
  EXPECT_GE(snippets, 3);
}

}  // namespace
}  // namespace coppice::cli
