// The documentation of the settings must agree with the table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/files.h"
#include "common/settings/markdown.h"

namespace coppice::settings {
namespace {

using ::testing::HasSubstr;

std::string Document(const std::string& name) {
  const auto text = ReadFile(absl::StrCat(COPPICE_DOCS_DIR, "/", name));
  EXPECT_TRUE(text.ok()) << text.status();
  return text.value_or("");
}

TEST(SweepSpecDocument, HoldsTheTableOfSettings) {
  const std::string document = Document("sweep-spec.md");
  const auto wanted = WithTable(document, MarkdownTable(RunSettings()));
  ASSERT_TRUE(wanted.ok()) << wanted.status();
  EXPECT_EQ(LineDifference(document, *wanted), "")
      << "to write the table anew: " << COPPICE_SETTINGS_TABLE << " docs/sweep-spec.md";
}

// The protocol's run spec is that of question with all defaults.
TEST(TrainerProtocolDocument, ShowsTheDefaults) {
  const std::string document = Document("trainer-protocol.md");
  const size_t begin = document.find("```json\n{\n  \"run\"");
  ASSERT_NE(begin, std::string::npos);
  const size_t text = begin + std::string("```json\n").size();
  const auto spec = nlohmann::json::parse(document.substr(text, document.find("```", text) - text),
                                          nullptr, false);
  ASSERT_FALSE(spec.is_discarded());
  nlohmann::json shown = spec["run"].flatten();
  const Values defaults = RunSettings().Defaults("question");
  for (const auto& [path, value] : defaults.all()) {
    const std::string pointer = absl::StrCat("/", absl::StrReplaceAll(path, {{".", "/"}}));
    ASSERT_TRUE(shown.contains(pointer)) << path << " is not shown";
    std::visit([&](const auto& v) { EXPECT_EQ(shown[pointer], nlohmann::json(v)) << pointer; },
               value);
    shown.erase(pointer);
  }
  EXPECT_EQ(shown, nlohmann::json::parse(R"({"/task": "question", "/depth": 2})"));
}

TEST(WithTable, ReplacesWhatStandsBetweenTheMarks) {
  const std::string begin = "<!-- run settings: made by coppice-settings-table, do not edit -->\n";
  const std::string end = "<!-- end of run settings -->\n";
  EXPECT_EQ(WithTable("a\n" + begin + "old\n" + end + "b\n", "new\n").value(),
            "a\n" + begin + "\nnew\n\n" + end + "b\n");
  EXPECT_EQ(WithTable("a\nb\n", "new\n").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(WithTable(end + begin, "new\n").ok());
}

TEST(LineDifference, NamesEachLineThatIsGoneOrNew) {
  EXPECT_EQ(LineDifference("a\nb\nc\n", "a\nb\nc\n"), "");
  EXPECT_EQ(LineDifference("a\nb\nc\nd\n", "a\nx\nc\ny\nd\n"), "-b\n+x\n+y\n");
  EXPECT_EQ(LineDifference("a\n", "a\nb\n"), "+b\n");
  EXPECT_EQ(LineDifference("a\nb\n", "b\n"), "-a\n");
}

}  // namespace
}  // namespace coppice::settings
