#include "bench/report/markdown.h"

#include "gtest/gtest.h"

namespace coppice::bench {
namespace {

TEST(MarkdownTest, NumbersShowThreeDigitsThatCount) {
  EXPECT_EQ(Number(0.4512), "0.45");
  EXPECT_EQ(Number(-3.14159), "-3.14");
  EXPECT_EQ(Number(12.345), "12.3");
  EXPECT_EQ(Number(123.4), "123");
  EXPECT_EQ(Number(1234567), "1,234,567");
  EXPECT_EQ(Number(-1234), "-1,234");
}

TEST(MarkdownTest, ColumnsLineUpAndNameTheirSide) {
  EXPECT_EQ(MarkdownTable({{"what", "figure"}, {"a longer row", "1"}, {"b", "1,000"}}, "lr"),
            "| what         | figure |\n"
            "|--------------|-------:|\n"
            "| a longer row |      1 |\n"
            "| b            |  1,000 |\n");
}

}  // namespace
}  // namespace coppice::bench
