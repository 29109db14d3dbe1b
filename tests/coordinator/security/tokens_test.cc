#include "coordinator/security/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/security/crypto.h"

namespace coppice::security {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kThen = absl::FromUnixSeconds(1'700'000'000);

TEST(Crypto, TheHashIsSha256) {
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Crypto, OnlyEqualSecretsAreTheSame) {
  EXPECT_TRUE(SameSecret("abc", "abc"));
  for (const char* other : {"", "ab", "abcd", "abd", "Abc"}) EXPECT_FALSE(SameSecret("abc", other));
}

TEST(Tokens, EachHas256BitsOfItsOwn) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string token = NewToken().value();
    EXPECT_EQ(token.rfind("coppice_", 0), 0u);
    EXPECT_EQ(token.size(), 8u + 43u) << "43 digits of base64 are 256 bits";
    EXPECT_TRUE(seen.insert(token).second);
  }
}

TEST(TokenTable, FindsATokenByItsHashAndNothingNearIt) {
  TokenTable table;
  const std::string a = NewToken().value(), b = NewToken().value();
  ASSERT_TRUE(table.Add("alice", Role::kOperator, kThen, a).ok());
  ASSERT_TRUE(table.Add("bob", Role::kViewer, kThen, b).ok());
  ASSERT_NE(table.Find(a), nullptr);
  EXPECT_EQ(table.Find(a)->name, "alice");
  EXPECT_EQ(table.Find(b)->role, Role::kViewer);
  for (const std::string& wrong : {std::string(), a.substr(0, a.size() - 1), a + "x", " " + a,
                                   a + "\n", Sha256Hex(a), std::string(100'000, 'a')}) {
    EXPECT_EQ(table.Find(wrong), nullptr) << wrong.substr(0, 80);
  }
}

TEST(TokenTable, ItsFileHoldsHashesAndReadsBackTheSame) {
  TokenTable table;
  const std::string token = NewToken().value();
  ASSERT_TRUE(table.Add("alice", Role::kWorker, kThen, token).ok());
  const std::string text = table.Serialize();
  EXPECT_THAT(text, Not(HasSubstr(token)));
  EXPECT_THAT(text, HasSubstr(Sha256Hex(token)));
  const TokenTable again = TokenTable::Parse(text).value();
  EXPECT_EQ(again.Serialize(), text);
  EXPECT_EQ(again.Find(token)->role, Role::kWorker);
}

TEST(TokenTable, ABadLineIsNamedByItsNumberAndNotRepeated) {
  const std::string hash(64, 'a');
  for (const std::string& bad :
       {std::string("alice"), std::string("alice viewer 2026-01-01T00:00:00Z"),
        absl::StrCat("alice root 2026-01-01T00:00:00Z ", hash),
        absl::StrCat("alice viewer yesterday ", hash),
        absl::StrCat("alice viewer 2026-01-01T00:00:00Z ", std::string(63, 'a')),
        absl::StrCat("alice viewer 2026-01-01T00:00:00Z ", std::string(64, 'A')),
        absl::StrCat("../alice viewer 2026-01-01T00:00:00Z ", hash)}) {
    const absl::Status status = TokenTable::Parse("# a comment\n" + bad + "\n").status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("line 2")) << bad;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("alice"))) << "it may be a secret";
  }
  const std::string line = absl::StrCat("alice viewer 2026-01-01T00:00:00Z ", hash, "\n");
  EXPECT_FALSE(TokenTable::Parse(line + line).ok());
}

TEST(TokenTable, NamesAreUniqueAndRevokedOnesAreRefused) {
  TokenTable table;
  const std::string a = NewToken().value(), b = NewToken().value();
  ASSERT_TRUE(table.Add("alice", Role::kViewer, kThen, a).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(table.Add("alice", Role::kViewer, kThen, b)));
  EXPECT_TRUE(absl::IsNotFound(table.Remove("bob")));
  const TokenTable before = table;
  ASSERT_TRUE(table.Remove("alice").ok());
  EXPECT_EQ(table.Find(a), nullptr);
  EXPECT_TRUE(table.TakesAwayFrom(before));
  EXPECT_FALSE(before.TakesAwayFrom(table)) << "one more is no revocation";
}

TEST(TokenTable, AnotherRoleForTheSameTokenTakesSomethingAway) {
  TokenTable viewer, worker;
  ASSERT_TRUE(viewer.Add("alice", Role::kViewer, kThen, "t").ok());
  ASSERT_TRUE(worker.Add("alice", Role::kWorker, kThen, "t").ok());
  EXPECT_TRUE(worker.TakesAwayFrom(viewer));
}

}  // namespace
}  // namespace coppice::security
