#include "common/base/names.h"

#include <gtest/gtest.h>

#include <string>

#include "common/base/limits.h"
#include "common/base/paths.h"

namespace coppice {
namespace {

TEST(Names, APlainNameIsAFoldersToo) {
  for (const char* good : {"a", "7", "a.b_c-d", "Z9"}) EXPECT_TRUE(IsPlainName(good, 10)) << good;
  for (const char* bad : {"", ".", "..", "-a", "_a", "a b", "a/b", "\xC3\xA4", "a\n"}) {
    EXPECT_FALSE(IsPlainName(bad, 10)) << bad;
  }
  EXPECT_TRUE(IsPlainName(std::string(10, 'a'), 10));
  EXPECT_FALSE(IsPlainName(std::string(11, 'a'), 10));
}

TEST(Names, AMetricNameIsVisibleAscii) {
  for (const char* good : {"train_loss", "probe/tree(1)", "~"}) EXPECT_TRUE(IsMetricName(good));
  for (const char* bad : {"", "a b", "a\t", "\x7F", "\xC3\xA4"}) EXPECT_FALSE(IsMetricName(bad));
  EXPECT_TRUE(IsMetricName(std::string(kMaxMetricNameBytes, 'x')));
  EXPECT_FALSE(IsMetricName(std::string(kMaxMetricNameBytes + 1, 'x')));
}

TEST(Paths, EveryPathHasAFolder) {
  EXPECT_EQ(FolderOf("a/b/c"), "a/b");
  EXPECT_EQ(FolderOf("/a/b"), "/a");
  EXPECT_EQ(FolderOf("/a"), "/");
  EXPECT_EQ(FolderOf("a"), ".");
}

}  // namespace
}  // namespace coppice
