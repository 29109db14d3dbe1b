#include "common/rpc/credentials.h"

#include <gmock/gmock.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/base/files.h"
#include "common/base/secret_file.h"
#include "common/rpc/channel.h"
#include "tests/testing/temp_dir.h"

namespace coppice::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CredentialFiles : public ::testing::Test {
 protected:
  CredentialFiles() {
    EXPECT_TRUE(CreateSecretFile(token_, "coppice_hidden\n").ok());
    EXPECT_TRUE(WriteFileAtomically(ca_, "-----BEGIN CERTIFICATE-----\n").ok());
  }
  void ExpectRefused(const std::string& address, const Credentials& credentials,
                     absl::StatusCode code, const std::string& part) {
    const absl::Status status = MakeChannel(address, credentials).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("hidden"))) << "a secret in an error";
  }

  testing::TempDir dir_;
  const std::string token_ = dir_.Join("token");
  const std::string ca_ = dir_.Join("ca");
};

TEST_F(CredentialFiles, ATokenNeverTravelsInPlainTextToAnotherMachine) {
  for (const char* elsewhere :
       {"head:7070", "10.0.0.1:7070", "0.0.0.0:7070", "127.evil.example:1"}) {
    ExpectRefused(elsewhere, {.token_file = token_}, absl::StatusCode::kFailedPrecondition,
                  "--tls-ca");
    ExpectRefused(elsewhere, {.token = "coppice_hidden"}, absl::StatusCode::kFailedPrecondition,
                  "--tls-ca");
  }
  for (const char* here : {"127.0.0.1:7070", "localhost:7070", "[::1]:7070", "unix:/tmp/x"}) {
    EXPECT_TRUE(MakeChannel(here, {.token_file = token_}).ok()) << here;
  }
  EXPECT_TRUE(MakeChannel("head:7070", {.tls_ca = ca_, .token_file = token_}).ok());
}

TEST_F(CredentialFiles, ATokenFileThatOthersCanReadIsRefused) {
  ::chmod(token_.c_str(), 0644);
  ExpectRefused("127.0.0.1:1", {.token_file = token_}, absl::StatusCode::kFailedPrecondition,
                "chmod 600");
}

TEST_F(CredentialFiles, WhatIsNoTokenIsRefusedBeforeItIsSent) {
  for (const std::string& bad : {std::string("\n"), std::string("two hidden words"),
                                 std::string("hidden\nhidden"), std::string(600, 'x')}) {
    ASSERT_TRUE(ReplaceSecretFile(token_, bad).ok());
    ExpectRefused("127.0.0.1:1", {.token_file = token_}, absl::StatusCode::kInvalidArgument,
                  token_);
    ExpectRefused("127.0.0.1:1", {.token = bad}, absl::StatusCode::kInvalidArgument,
                  "COPPICE_TOKEN");
  }
  ExpectRefused("127.0.0.1:1", {.token_file = dir_.Join("none")}, absl::StatusCode::kNotFound,
                "none");
}

TEST_F(CredentialFiles, FilesThatDoNotGoTogetherAreRefused) {
  ExpectRefused("h:1", {.tls_ca = ca_, .tls_cert = ca_}, absl::StatusCode::kInvalidArgument,
                "--tls-key");
  ExpectRefused("h:1", {.tls_cert = ca_, .tls_key = token_}, absl::StatusCode::kInvalidArgument,
                "--tls-ca");
  ExpectRefused("h:1", {.tls_ca = token_}, absl::StatusCode::kInvalidArgument, "CERTIFICATE");
  ::chmod(token_.c_str(), 0644);
  ExpectRefused("h:1", {.tls_ca = ca_, .tls_cert = ca_, .tls_key = token_},
                absl::StatusCode::kFailedPrecondition, "chmod 600");
}

TEST(ExplainCallError, SaysWhatMayBeWrongWithTls) {
  const auto text = [](bool tls) {
    return std::string(ExplainCallError(absl::UnavailableError("x"), "h:1", tls).message());
  };
  EXPECT_THAT(text(false), HasSubstr("--tls-ca"));
  EXPECT_THAT(text(true), HasSubstr("another authority"));
}

}  // namespace
}  // namespace coppice::rpc
