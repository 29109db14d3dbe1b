// Conversion of logs and messages to protobuf strings, and their bounds.
#include "common/base/utf8.h"

#include <gtest/gtest.h>

namespace coppice {
namespace {

TEST(Utf8Test, ValidTextIsUntouched) {
  const std::string text = "a\n\xC3\xA4\xE2\x82\xAC\xF0\x9F\x8C\xB3";
  EXPECT_EQ(ToValidUtf8(text), text);
}

TEST(Utf8Test, WhatIsNoUtf8IsReplaced) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(ToValidUtf8("a\xFF"
                        "b"),
            "a" + bad + "b");
  EXPECT_EQ(ToValidUtf8("\xC3"), bad);                                // truncated
  EXPECT_EQ(ToValidUtf8("\xC0\x80"), bad + bad);                      // overlong
  EXPECT_EQ(ToValidUtf8("\xED\xA0\x80"), bad + bad + bad);            // surrogate
  EXPECT_EQ(ToValidUtf8("\xF4\x90\x80\x80"), bad + bad + bad + bad);  // past the last
}

TEST(Utf8Test, FindsAnIncompleteEnd) {
  EXPECT_EQ(IncompleteUtf8Tail("ab"), 0u);
  EXPECT_EQ(IncompleteUtf8Tail("a\xC3"), 1u);
  EXPECT_EQ(IncompleteUtf8Tail("a\xF0\x9F\x8C"), 3u);
  EXPECT_EQ(IncompleteUtf8Tail("a\xC3\xA4"), 0u);
  EXPECT_EQ(IncompleteUtf8Tail("\x80\x80\x80\x80"), 0u);
}

TEST(Utf8Test, HeadsAndTailsKeepTheirBoundAndWholeCharacters) {
  EXPECT_EQ(Utf8Tail("abc", 3), "abc");
  EXPECT_EQ(Utf8Tail("abcd", 3), "bcd");
  EXPECT_EQ(Utf8Tail("\xC3\xA4"
                     "bc",
                     3),
            "bc");
  EXPECT_EQ(Utf8Head("abc", 3), "abc");
  EXPECT_EQ(Utf8Head("abcdefgh", 6), "abc...");
  EXPECT_EQ(Utf8Head("ab\xC3\xA4"
                     "efgh",
                     6),
            "ab...");
  EXPECT_LE(Utf8Tail(std::string(100, '\xff'), 50).size(), 50u);
  EXPECT_LE(Utf8Head(std::string(100, '\xff'), 50).size(), 50u);
}

TEST(Utf8Test, PrefixesAndSuffixesHaveWholeCharacters) {
  const std::string text = "a\xC3\xA4\xE2\x82\xAC";  // of 1, 2 and 3 bytes
  EXPECT_EQ(Utf8Prefix(text, 6), text);
  EXPECT_EQ(Utf8Prefix(text, 100), text);
  EXPECT_EQ(Utf8Prefix(text, 5), "a\xC3\xA4");
  EXPECT_EQ(Utf8Prefix(text, 2), "a");
  EXPECT_EQ(Utf8Prefix(text, 0), "");
  EXPECT_EQ(Utf8Suffix(text, 6), text);
  EXPECT_EQ(Utf8Suffix(text, 100), text);
  EXPECT_EQ(Utf8Suffix(text, 4), "\xE2\x82\xAC");
  EXPECT_EQ(Utf8Suffix(text, 2), "");
  EXPECT_EQ(Utf8Suffix(text, 0), "");
}

}  // namespace
}  // namespace coppice
