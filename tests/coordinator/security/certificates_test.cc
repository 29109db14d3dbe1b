#include "coordinator/security/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coppice::security {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Time kFrom = absl::FromUnixSeconds(1'700'000'000);
const Validity kAYear = {kFrom, kFrom + absl::Hours(24 * 365)};

TEST(Certificates, SayWhatTheyWereIssuedFor) {
  const KeyPair authority = MakeAuthority("test authority", kAYear).value();
  const KeyPair server =
      IssueServerCertificate(authority, {"head.example", "10.0.0.7", "fd00::7"}, kAYear).value();
  const CertificateInfo info = ReadCertificate(server.certificate).value();
  EXPECT_THAT(info.hosts, ElementsAre("head.example", "10.0.0.7", "fd00::7"));
  EXPECT_EQ(info.from, kAYear.from);
  EXPECT_EQ(info.until, kAYear.until);
  EXPECT_TRUE(CheckKeyFits(server).ok());
  EXPECT_THAT(server.key, HasSubstr("BEGIN PRIVATE KEY"));
}

TEST(Certificates, ARenewedOneKeepsItsKey) {
  const KeyPair authority = MakeAuthority("test authority", kAYear).value();
  const KeyPair first = IssueServerCertificate(authority, {"a"}, kAYear).value();
  const KeyPair second = IssueServerCertificate(authority, {"b"}, kAYear, first.key).value();
  EXPECT_NE(first.certificate, second.certificate);
  EXPECT_TRUE(CheckKeyFits({second.certificate, first.key}).ok());
}

TEST(Certificates, AHostCannotSmuggleInASecondName) {
  for (const char* bad : {"", "a b", "a,DNS:evil", "*.example", "a:7070", "[::1]", "-a", ".a",
                          "a\n", "a/b", "email:x@y"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckHost(bad))) << bad;
  }
  for (const char* good : {"a", "head-1.cluster.example", "127.0.0.1", "::1", "fd00::7"}) {
    EXPECT_TRUE(CheckHost(good).ok()) << good;
  }
}

TEST(Certificates, WhatIsNoneOrHasAnotherKeyIsRefusedWithoutItsContent) {
  const KeyPair one = MakeAuthority("one", kAYear).value();
  const KeyPair two = MakeAuthority("two", kAYear).value();
  EXPECT_TRUE(absl::IsInvalidArgument(CheckKeyFits({one.certificate, two.key})));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadCertificate("garbage-secret").status()));
  const absl::Status bad_key = CheckKeyFits({one.certificate, "garbage-secret"});
  EXPECT_TRUE(absl::IsInvalidArgument(bad_key));
  EXPECT_THAT(std::string(bad_key.message()), ::testing::Not(HasSubstr("garbage-secret")));
}

}  // namespace
}  // namespace coppice::security
