#include "common/base/digest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "common/base/files.h"
#include "tests/testing/temp_dir.h"

namespace coppice {
namespace {

// The published XXH3-128 (seed 0) of empty input. Digests of other builds and machines must agree
// with it.
TEST(Digest, OfNothingIsThePublishedValue) {
  EXPECT_EQ(DigestOf("", 0), "99aa06d3014798d86001c324468d497f");
}

TEST(Digest, DoesNotDependOnThePieces) {
  std::string data;
  for (int i = 0; i < 10'000; ++i) data.push_back(static_cast<char>(i * 31));
  const std::string whole = DigestOf(data.data(), data.size());
  Digest pieces;
  for (size_t at = 0, size = 1; at < data.size(); at += size, size = size * 2 + 1) {
    pieces.Update(data.data() + at, std::min(size, data.size() - at));
  }
  EXPECT_EQ(pieces.Hex(), whole);
  EXPECT_EQ(pieces.Hex(), whole) << "reading the digest must not change it";
  EXPECT_EQ(whole.size(), 32u);
}

TEST(Digest, NoticesOneFlippedBit) {
  std::string data(4096, 'a');
  const std::string before = DigestOf(data.data(), data.size());
  data[2048] ^= 1;
  EXPECT_NE(DigestOf(data.data(), data.size()), before);
}

TEST(DigestOfFile, EqualsTheDigestOfItsBytes) {
  testing::TempDir dir;
  const std::string data(3'000'000, 'q');
  ASSERT_TRUE(WriteFileAtomically(dir.Join("file"), data).ok());
  EXPECT_EQ(DigestOfFile(dir.Join("file")).value(), DigestOf(data.data(), data.size()));
  EXPECT_TRUE(absl::IsNotFound(DigestOfFile(dir.Join("absent")).status()));
}

TEST(Digest, IsKnownByItsForm) {
  EXPECT_TRUE(IsDigest(DigestOf("", 0)));
  EXPECT_FALSE(IsDigest(""));
  EXPECT_FALSE(IsDigest("99aa06d3014798d86001c324468d497"));
  EXPECT_FALSE(IsDigest("99aa06d3014798d86001c324468d497ff"));
  EXPECT_FALSE(IsDigest("99AA06D3014798D86001C324468D497F"));
  EXPECT_FALSE(IsDigest("99aa06d3014798d86001c324468d497g"));
}

}  // namespace
}  // namespace coppice
