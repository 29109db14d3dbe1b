#include "common/rpc/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/files.h"
#include "common/base/secret_file.h"
#include "common/rpc/access_file.h"
#include "common/rpc/channel.h"
#include "tests/testing/temp_dir.h"

namespace coppice::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPem[] = "-----BEGIN CERTIFICATE-----\nhidden\n-----END CERTIFICATE-----\n";
constexpr char kKey[] = "-----BEGIN PRIVATE KEY-----\nhidden\n-----END PRIVATE KEY-----\n";

AccessFile Example() {
  AccessFile file;
  file.address = "head.example:7070";
  file.authority = file.certificate = kPem;
  file.key = kKey;
  file.until = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now())) + absl::Hours(24 * 100);
  file.operator_token = "coppice_hidden_operator";
  file.worker_token = "coppice_hidden_worker";
  file.host = "head";
  file.data_dir = "/data";
  return file;
}

class AccessTest : public ::testing::Test {
 protected:
  AccessTest() {
    for (const char* name : {kAccessVariable, kInsecureVariable, kCoordinatorVariable})
      ::unsetenv(name);
    ::setenv("XDG_CONFIG_HOME", dir_.path().c_str(), 1);
    EXPECT_TRUE(MakeDirectories(dir_.Join("coppice")).ok());
  }
  std::string Put(const std::string& name, const AccessFile& file) {
    EXPECT_TRUE(ReplaceSecretFile(dir_.Join(name), SerializeAccess(file)).ok());
    return dir_.Join(name);
  }
  void ExpectRefused(const AccessFlags& flags, Caller caller, absl::StatusCode code,
                     const std::string& part) {
    const absl::Status status = ResolveAccess(flags, caller).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("hidden"))) << "a secret in an error";
  }

  testing::TempDir dir_;
};

TEST_F(AccessTest, WhatIsWrittenIsReadAgain) {
  const AccessFile before = Example();
  const auto after = ReadAccessFile(Put("f", before));
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->address, before.address);
  EXPECT_EQ(after->authority, before.authority);
  EXPECT_EQ(after->certificate, before.certificate);
  EXPECT_EQ(after->key, before.key);
  EXPECT_EQ(after->until, before.until);
  EXPECT_EQ(after->operator_token, before.operator_token);
  EXPECT_EQ(after->viewer_token, "");
  EXPECT_EQ(after->worker_token, before.worker_token);
  EXPECT_EQ(after->host, before.host);
  EXPECT_EQ(after->data_dir, before.data_dir);
}

TEST_F(AccessTest, WithoutFlagsTheAccountsOwnFileSaysWhereAndHow) {
  const std::string path = Put("coppice/access.json", Example());
  const auto access = ResolveAccess({}, Caller::kWorker);
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->address, "head.example:7070");
  EXPECT_EQ(access->file, path);
  EXPECT_EQ(access->warning, "");
  EXPECT_TRUE(access->credentials.tls());
  const auto elsewhere = ResolveAccess({.coordinator = "127.0.0.1:9"}, Caller::kClient);
  ASSERT_TRUE(elsewhere.ok());
  EXPECT_EQ(elsewhere->address, "127.0.0.1:9") << "through a tunnel";
  EXPECT_EQ(elsewhere->file, path);
}

TEST_F(AccessTest, NothingIsSaidInPlainTextUnlessAskedFor) {
  ExpectRefused({}, Caller::kClient, absl::StatusCode::kNotFound, "coppice-coordinator");
  ExpectRefused({.coordinator = "127.0.0.1:7070"}, Caller::kWorker, absl::StatusCode::kNotFound,
                "--insecure");
  const auto insecure = ResolveAccess({.insecure = true}, Caller::kClient);
  ASSERT_TRUE(insecure.ok());
  EXPECT_EQ(insecure->address, "127.0.0.1:7070");
  EXPECT_THAT(insecure->warning, HasSubstr("neither encrypted nor authenticated"));
  ::setenv(kInsecureVariable, "1", 1);
  EXPECT_NE(ResolveAccess({}, Caller::kClient)->warning, "");
  ::setenv(kInsecureVariable, "0", 1);
  EXPECT_FALSE(ResolveAccess({}, Caller::kClient).ok());
}

TEST_F(AccessTest, FlagsWinOverVariablesAndThoseOverTheDefaultFile) {
  Put("coppice/access.json", Example());
  AccessFile other = Example();
  other.address = "other:1";
  const std::string named = Put("named", other);
  ::setenv(kAccessVariable, named.c_str(), 1);
  EXPECT_EQ(ResolveAccess({}, Caller::kClient)->file, named);
  EXPECT_EQ(ResolveAccess({.insecure = true}, Caller::kClient)->file, "");
  const auto own = ResolveAccess({.credentials = {.token_file = "t"}}, Caller::kClient);
  EXPECT_EQ(own->file, "") << "credentials of one's own are never mixed with the file's";
  EXPECT_EQ(own->credentials.token_file, "t");
  ::setenv(kInsecureVariable, "1", 1);
  EXPECT_EQ(ResolveAccess({.access = named}, Caller::kClient)->file, named);
  ExpectRefused({.access = named, .insecure = true}, Caller::kClient,
                absl::StatusCode::kInvalidArgument, "--insecure");
  ExpectRefused({.access = named, .credentials = {.tls_ca = "c"}}, Caller::kClient,
                absl::StatusCode::kInvalidArgument, "--tls-ca");
  ExpectRefused({.insecure = true, .credentials = {.token = "coppice_hidden"}}, Caller::kClient,
                absl::StatusCode::kInvalidArgument, "COPPICE_TOKEN");
}

TEST_F(AccessTest, AFileForAnotherRoleOrOneThatHasEndedSaysWhatToDo) {
  AccessFile file = Example();
  file.operator_token.clear();
  const std::string worker = Put("worker", file);
  ExpectRefused({.access = worker}, Caller::kClient, absl::StatusCode::kFailedPrecondition,
                "--role viewer");
  EXPECT_TRUE(ResolveAccess({.access = worker}, Caller::kWorker).ok());
  file.worker_token.clear();
  file.viewer_token = "coppice_hidden_viewer";
  const std::string viewer = Put("viewer", file);
  ExpectRefused({.access = viewer}, Caller::kWorker, absl::StatusCode::kFailedPrecondition,
                "--role worker");
  file.until = absl::Now() + absl::Hours(24);
  EXPECT_THAT(ResolveAccess({.access = Put("viewer", file)}, Caller::kClient)->warning,
              HasSubstr("ends on"));
  file.until = absl::Now() - absl::Hours(24);
  ExpectRefused({.access = Put("viewer", file)}, Caller::kClient,
                absl::StatusCode::kFailedPrecondition, "start `coppice-coordinator` again");
}

TEST_F(AccessTest, AFileThatOthersCanReadOrThatIsAnothersIsRefused) {
  const std::string path = Put("f", Example());
  ::chmod(path.c_str(), 0644);
  ExpectRefused({.access = path}, Caller::kClient, absl::StatusCode::kFailedPrecondition,
                "chmod 600");
  ::chmod(path.c_str(), 0600);
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
  ExpectRefused({.access = path}, Caller::kClient, absl::StatusCode::kFailedPrecondition,
                "another account");
}

TEST_F(AccessTest, WhatIsNoAccessFileIsRefusedAndNothingOfItIsQuoted) {
  const std::string good = SerializeAccess(Example());
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  for (const std::string& bad :
       {std::string(), std::string("hidden"), std::string("[]"), std::string("{}"),
        good.substr(0, good.size() / 2), replaced("coppice-access", "hidden-access"),
        replaced("\"version\": 1", "\"version\": 2"), replaced("\"version\": 1", "\"version\": -1"),
        replaced("head.example:7070", ""), replaced("BEGIN CERTIFICATE", "BEGIN HIDDEN"),
        replaced("PRIVATE KEY", "hidden"), replaced("\"until\": \"2", "\"until\": \"hidden"),
        replaced("\"tokens\": {", "\"tokens\": 7, \"x\": {")}) {
    ASSERT_TRUE(ReplaceSecretFile(dir_.Join("bad"), bad).ok());
    ExpectRefused({.access = dir_.Join("bad")}, Caller::kClient, absl::StatusCode::kInvalidArgument,
                  dir_.Join("bad"));
  }
}

}  // namespace
}  // namespace coppice::rpc
