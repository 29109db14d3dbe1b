#include "cli/format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/nearest_word.h"

namespace coppice::cli {
namespace {

TEST(FormatExact, ReadsBackAsTheSameDouble) {
  for (const double value :
       {0.0, -0.0, 0.1, 1.0 / 3, 1e-7, 5e-324, 1.7976931348623157e308, 123456789.0, 1e22}) {
    EXPECT_EQ(std::strtod(FormatExact(value).c_str(), nullptr), value);
  }
  EXPECT_EQ(FormatExact(0.1), "0.1");
  EXPECT_EQ(FormatExact(1e-7), "1e-07");
  EXPECT_EQ(FormatExact(3), "3");
  EXPECT_EQ(FormatExact(std::numeric_limits<double>::quiet_NaN()), "nan");
  EXPECT_EQ(FormatExact(-std::numeric_limits<double>::infinity()), "-inf");
}

TEST(FormatSteps, IsShortAndNeverRoundsUp) {
  EXPECT_EQ(FormatSteps(0), "0");
  EXPECT_EQ(FormatSteps(999), "999");
  EXPECT_EQ(FormatSteps(1'000), "1k");
  EXPECT_EQ(FormatSteps(1'550), "1.5k");
  EXPECT_EQ(FormatSteps(300'000), "300k");
  EXPECT_EQ(FormatSteps(999'999), "999k");
  EXPECT_EQ(FormatSteps(1'250'000), "1.2M");
  EXPECT_EQ(FormatSteps(45'000'000), "45M");
  EXPECT_EQ(FormatSteps(2'000'000'000), "2G");
}

TEST(FormatCount, GroupsThousands) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1'000), "1,000");
  EXPECT_EQ(FormatCount(12'345'678), "12,345,678");
}

TEST(FormatDuration, UsesTheTwoLargestUnits) {
  EXPECT_EQ(FormatDuration(-1), "unknown");
  EXPECT_EQ(FormatDuration(std::nan("")), "unknown");
  EXPECT_EQ(FormatDuration(0.4), "0s");
  EXPECT_EQ(FormatDuration(59.6), "1m 00s");
  EXPECT_EQ(FormatDuration(125), "2m 05s");
  EXPECT_EQ(FormatDuration(3 * 3600 + 10 * 60 + 59), "3h 10m");
  EXPECT_EQ(FormatDuration(2 * 86400 + 4 * 3600), "2d 04h");
  EXPECT_EQ(FormatDuration(1e30), "over a century");
}

TEST(FormatBytes, PicksTheUnit) {
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(uint64_t{3} << 30), "3.0 GiB");
}

TEST(CsvCell, QuotesWhatWouldBreakALine) {
  EXPECT_EQ(CsvCell("plain text"), "plain text");
  EXPECT_EQ(CsvCell("a,b"), "\"a,b\"");
  EXPECT_EQ(CsvCell("say \"hi\"\nthere"), "\"say \"\"hi\"\"\nthere\"");
}

TEST(DisplayWidth, CountsCharactersWithoutColours) {
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("\x1b[32m✓ ok\x1b[0m"), 4);
}

TEST(Truncate, KeepsWholeCharactersAndEndsColours) {
  EXPECT_EQ(Truncate("abcdef", 6), "abcdef");
  EXPECT_EQ(Truncate("abcdef", 4), "abc~");
  EXPECT_EQ(Truncate("✓✓✓✓", 3), "✓✓~");
  EXPECT_EQ(Truncate("\x1b[31mabcdef", 3), "\x1b[31mab~\x1b[0m");
  EXPECT_EQ(DisplayWidth(Truncate("✓ a long line", 5)), 5);
}

TEST(CsvCell, QuotesWhatASpreadsheetWouldCompute) {
  EXPECT_EQ(CsvCell("=HYPERLINK(\"http://x\")"), "\"'=HYPERLINK(\"\"http://x\"\")\"");
  for (const char* text :
       {"=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "-", "+", "=", "-a"}) {
    EXPECT_EQ(CsvCell(text), absl::StrCat("\"'", text, "\"")) << text;
  }
}

TEST(CsvCell, NumbersStayNumbers) {
  for (const char* text : {"-1", "-0.5", "+3", "-1e-07", "-inf", "nan", "12"}) {
    EXPECT_EQ(CsvCell(text), text);
  }
}

TEST(Nearest, FindsMisspellingsAndNothingFarAway) {
  const std::vector<std::string> words = {"status", "submit", "metrics", "steps", "seeds"};
  EXPECT_EQ(NearestWord("stauts", words), "status");
  EXPECT_EQ(NearestWord("stesp", words), "steps");
  EXPECT_EQ(NearestWord("metric", words), "metrics");
  EXPECT_EQ(NearestWord("frobnicate", words), "");
  EXPECT_EQ(NearestWord(std::string(10'000, 's'), words), "");
  EXPECT_EQ(NearestWord("", words), "");
}

TEST(Format, AnAccuracyThatIsNoneKeepsItsCellNarrow) {
  EXPECT_EQ(FormatAccuracy(0.984, true), "0.98");
  EXPECT_EQ(FormatAccuracy(0.984, false), "-");
  EXPECT_EQ(FormatAccuracy(-12.5, true), "-12.50");
  EXPECT_EQ(FormatAccuracy(1.7e308, true), "1.7e+308");
}

}  // namespace
}  // namespace coppice::cli
