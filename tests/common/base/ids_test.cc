#include "common/base/ids.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace coppice {
namespace {

TEST(RandomId, Is32HexDigitsAndNeverTheSame) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = RandomId();
    EXPECT_EQ(id.size(), 32u);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
    EXPECT_TRUE(seen.insert(id).second) << id;
  }
}

TEST(HostName, IsNotEmpty) { EXPECT_FALSE(HostName().empty()); }

}  // namespace
}  // namespace coppice
