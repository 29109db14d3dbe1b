// Tests of TLS, tokens and roles with the programs as users start them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/secret_file.h"
#include "coordinator/security/certificates.h"
#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::ReadAll;
using testing::RunProcess;
using testing::RunResult;
using testing::Subprocess;
using testing::TempDir;
using Environment = std::map<std::string, std::string>;

constexpr absl::Duration kPatience = absl::Seconds(90);
constexpr absl::Duration kPollInterval = absl::Milliseconds(50);

RunResult Coordinator(std::vector<std::string> args) {
  args.insert(args.begin(), COPPICE_COORDINATOR_BINARY);
  return RunProcess(std::move(args), {}, kPatience);
}

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  ::stat(path.c_str(), &info);
  return info.st_mode & 07777;
}

class Guarded : public ::testing::Test {
 protected:
  Guarded() {
    const RunResult made = Coordinator({"init-tls", "--dir", tls_, "--client"});
    EXPECT_EQ(made.code, 0) << made.err;
    said_ = made.out + made.err;
    for (const char* role : {"viewer", "operator", "worker"}) {
      secrets_.push_back(ReadAll(File(absl::StrCat(role, ".token"))).substr(0, 51));
    }
    // The second line of each key, because the first begins with bytes that all keys of this kind
    // share.
    for (const char* key : {"ca-key.pem", "server-key.pem", "client-key.pem"}) {
      secrets_.push_back(ReadAll(File(key)).substr(93, 40));
    }
  }
  // No output of a program may contain a secret.
  void TearDown() override {
    for (const std::string& secret : secrets_) {
      ASSERT_GE(secret.size(), 40u);
      EXPECT_THAT(said_, Not(HasSubstr(secret)));
      for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
        const std::string path = entry.path();
        if (!entry.is_regular_file() || absl::StartsWith(path, tls_ + "/")) continue;
        EXPECT_FALSE(absl::StrContains(ReadAll(path), secret)) << "a secret in " << path;
      }
    }
  }
  std::string File(const std::string& name) { return tls_ + "/" + name; }

  void Serve(std::vector<std::string> more = {}) {
    std::vector<std::string> command = {COPPICE_COORDINATOR_BINARY,
                                        "--data-dir",
                                        dir_.Join("data"),
                                        "--listen",
                                        "0.0.0.0:0",
                                        "--port-file",
                                        dir_.Join("port"),
                                        "--tls-dir",
                                        tls_,
                                        "--log-level",
                                        "trace"};
    command.insert(command.end(), more.begin(), more.end());
    coordinator_.emplace(command);
    for (int i = 0; i < 2000 && !FileExists(dir_.Join("port")) && coordinator_->Running(); ++i) {
      coordinator_->Wait(kPollInterval);
    }
    const std::string address = ReadAll(dir_.Join("port"));
    ASSERT_THAT(address, ::testing::StartsWith("0.0.0.0:")) << coordinator_->err();
    address_ = "127.0.0.1:" + address.substr(address.rfind(':') + 1);
  }
  void Stop() {
    coordinator_->Signal(SIGTERM);
    EXPECT_TRUE(coordinator_->Wait(kPatience).has_value());
    said_ += coordinator_->out() + coordinator_->err();
  }
  // Waits until the log holds this text so many times.
  void AwaitLog(const std::string& text, size_t times) {
    const auto count = [&] {
      size_t found = 0;
      const std::string log = coordinator_->err();
      for (size_t at = 0; (at = log.find(text, at)) != std::string::npos; ++at) ++found;
      return found;
    };
    for (int i = 0; i < 1000 && count() < times && coordinator_->Running(); ++i) {
      coordinator_->Wait(kPollInterval);
    }
    EXPECT_EQ(count(), times) << text << "\n" << coordinator_->err();
  }
  Environment AsMember(const std::string& role) {
    Environment with = As(role);
    with["COPPICE_TLS_CERT"] = File("client-cert.pem");
    with["COPPICE_TLS_KEY"] = File("client-key.pem");
    return with;
  }
  Environment As(const std::string& role) {
    return {{"COPPICE_COORDINATOR", address_},
            {"COPPICE_TLS_CA", File("ca-cert.pem")},
            {"COPPICE_TOKEN_FILE", File(role + ".token")}};
  }
  RunResult Cli(std::vector<std::string> args, const Environment& environment) {
    args.insert(args.begin(), COPPICE_CLI_BINARY);
    RunResult result = RunProcess(std::move(args), environment, kPatience);
    said_ += result.out + result.err;
    return result;
  }
  void ExpectFailure(const RunResult& result, const std::string& part, int code = 1) {
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_THAT(result.err, HasSubstr(part));
  }

  TempDir dir_;
  const std::string tls_ = dir_.Join("tls");
  std::string address_;
  std::optional<Subprocess> coordinator_;
  std::vector<std::string> secrets_;
  std::string said_;
};

TEST_F(Guarded, InitTlsKeepsSecretsToItsOwnerAndReplacesNothing) {
  EXPECT_EQ(ModeOf(tls_), 0700u);
  for (const char* secret : {"ca-key.pem", "server-key.pem", "client-key.pem", "tokens",
                             "viewer.token", "operator.token", "worker.token"}) {
    EXPECT_EQ(ModeOf(File(secret)), 0600u) << secret;
  }
  const std::string before = ReadAll(File("ca-key.pem"));
  ExpectFailure(Coordinator({"init-tls", "--dir", tls_}), "--renew");
  EXPECT_EQ(ReadAll(File("ca-key.pem")), before);
  ExpectFailure(Coordinator({"init-tls", "--dir", dir_.Join("x"), "--host", "a,DNS:b"}), "a,DNS:b",
                2);
  EXPECT_FALSE(FileExists(dir_.Join("x")));
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    EXPECT_FALSE(absl::StrContains(entry.path().string(), ".tmp-")) << entry.path();
  }
  const std::string old = ReadAll(File("server-cert.pem")), key = ReadAll(File("server-key.pem"));
  EXPECT_EQ(Coordinator({"init-tls", "--dir", tls_, "--renew"}).code, 0);
  EXPECT_NE(ReadAll(File("server-cert.pem")), old);
  EXPECT_EQ(ReadAll(File("server-key.pem")), key);
}

TEST_F(Guarded, AWorkerAndClientsComeInWithTheirTokensAndNobodyElse) {
  Serve();
  Subprocess worker({COPPICE_WORKER_BINARY, "--name", "node1", "--state-dir", dir_.Join("worker"),
                     "--trainer", "/bin/true"},
                    As("worker"));
  std::string workers;
  for (int i = 0; i < 400 && !absl::StrContains(workers, "node1"); ++i) {
    worker.Wait(kPollInterval);
    workers = Cli({"workers", "--json"}, As("viewer")).out;
  }
  EXPECT_THAT(workers, HasSubstr("node1")) << worker.err();
  EXPECT_EQ(Cli({"list"}, As("operator")).code, 0);
  EXPECT_EQ(Cli({"drain", "node1"}, As("operator")).code, 0);

  ExpectFailure(Cli({"drain", "node1"}, As("viewer")), "role operator");
  ExpectFailure(Cli({"list"}, As("worker")), "role viewer or operator");
  Environment nobody = As("viewer");
  nobody["COPPICE_TOKEN_FILE"] = "";
  ExpectFailure(Cli({"list"}, nobody), "--token-file");
  ASSERT_TRUE(CreateSecretFile(dir_.Join("wrong"), "coppice_" + std::string(43, 'x')).ok());
  nobody["COPPICE_TOKEN_FILE"] = dir_.Join("wrong");
  ExpectFailure(Cli({"list"}, nobody), "not one that this coordinator accepts");
  Environment plain = As("viewer");
  plain["COPPICE_TLS_CA"] = "";
  ExpectFailure(Cli({"list"}, plain), "--tls-ca");
  plain["COPPICE_COORDINATOR"] = "head.example:7070";
  ExpectFailure(Cli({"list"}, plain), "plain text");
  Environment in_environment = As("viewer");
  in_environment["COPPICE_TOKEN_FILE"] = "";
  in_environment["COPPICE_TOKEN"] = secrets_[0];
  EXPECT_EQ(Cli({"list"}, in_environment).code, 0) << "for CI";
  ::chmod(File("viewer.token").c_str(), 0644);
  ExpectFailure(Cli({"list"}, As("viewer")), "chmod 600");
  ::chmod(File("viewer.token").c_str(), 0600);

  for (const pid_t pid : {coordinator_->pid(), worker.pid()}) {
    said_ += ReadAll(absl::StrCat("/proc/", pid, "/cmdline"));
  }
  worker.Signal(SIGTERM);
  EXPECT_TRUE(worker.Wait(kPatience).has_value());
  said_ += worker.out() + worker.err();
  Stop();
}

TEST_F(Guarded, ARevokedTokenIsRefusedAndANewOneAcceptedWithoutARestart) {
  Serve();
  EXPECT_EQ(Cli({"list"}, As("viewer")).code, 0);
  EXPECT_EQ(Coordinator({"token", "add", "alice", "--role", "viewer", "--tls-dir", tls_}).code, 0);
  EXPECT_EQ(ModeOf(File("alice.token")), 0600u);
  secrets_.push_back(ReadAll(File("alice.token")).substr(0, 51));
  EXPECT_EQ(Coordinator({"token", "revoke", "viewer", "--tls-dir", tls_}).code, 0);
  const RunResult list = Coordinator({"token", "list", "--tls-dir", tls_});
  said_ += list.out;
  EXPECT_THAT(list.out, HasSubstr("alice"));
  EXPECT_THAT(list.out, Not(HasSubstr("viewer.token")));
  coordinator_->Signal(SIGHUP);
  for (int i = 0; i < 400 && !absl::StrContains(coordinator_->err(), "read the tokens again");
       ++i) {
    coordinator_->Wait(kPollInterval);
  }
  ExpectFailure(Cli({"list"}, As("viewer")), "revoked");
  EXPECT_EQ(Cli({"list"}, As("alice")).code, 0);
  ExpectFailure(Coordinator({"token", "add", "alice", "--role", "viewer", "--tls-dir", tls_}),
                "already");
  ExpectFailure(Coordinator({"token", "add", "bob", "--role", "root", "--tls-dir", tls_}),
                "viewer, operator or worker", 2);
  ExpectFailure(Coordinator({"token", "revoke", "nobody", "--tls-dir", tls_}), "nobody");
  for (const char* name : {"operator", "worker"}) {
    EXPECT_EQ(Coordinator({"token", "revoke", name, "--tls-dir", tls_}).code, 0);
  }
  ExpectFailure(Coordinator({"token", "revoke", "alice", "--tls-dir", tls_}), "the last token");
  Stop();
}

TEST_F(Guarded, UnderMutualTlsAClientNeedsItsCertificate) {
  Serve({"--require-client-cert"});
  ExpectFailure(Cli({"list"}, As("viewer")), "cannot reach");
  Environment with = As("viewer");
  with["COPPICE_TLS_CERT"] = File("client-cert.pem");
  with["COPPICE_TLS_KEY"] = File("client-key.pem");
  EXPECT_EQ(Cli({"list"}, with).code, 0);
  Stop();
}

TEST_F(Guarded, ARenewedCertificateIsTakenOnSighupAndABadOneIsNot) {
  Serve({"--require-client-cert"});
  EXPECT_THAT(Cli({"server"}, AsMember("viewer")).out, Not(HasSubstr("warning")));
  const RunResult renewed =
      Coordinator({"init-tls", "--dir", tls_, "--client", "--renew", "--days", "20"});
  EXPECT_EQ(renewed.code, 0) << renewed.err;
  EXPECT_THAT(renewed.out, HasSubstr("SIGHUP"));
  coordinator_->Signal(SIGHUP);
  AwaitLog("took the certificate", 1);
  AwaitLog("--renew` makes a new one", 1);
  const RunResult server = Cli({"server"}, AsMember("viewer"));
  EXPECT_EQ(server.code, 0) << server.err;
  EXPECT_THAT(server.out, HasSubstr("in 19 days"));
  EXPECT_THAT(server.out, HasSubstr("authority"));
  EXPECT_THAT(Cli({"server", "--json"}, AsMember("viewer")).out, HasSubstr("\"seconds_left\""));
  const RunResult workers = Cli({"workers"}, AsMember("viewer"));
  EXPECT_THAT(workers.out, HasSubstr("coordinator: the server's certificate"));
  ExpectFailure(Cli({"server"}, AsMember("worker")), "role viewer or operator");

  const std::string good = ReadAll(File("server-cert.pem"));
  const security::KeyPair authority = {ReadAll(File("ca-cert.pem")), ReadAll(File("ca-key.pem"))};
  const auto issue = [&](absl::Duration from, absl::Duration until) {
    const absl::Time now = Clock::Real()->Now();
    return security::IssueServerCertificate(authority, {"127.0.0.1"}, {now + from, now + until},
                                            ReadAll(File("server-key.pem")))
        .value()
        .certificate;
  };
  const std::vector<std::pair<std::string, std::string>> bad = {
      {good.substr(0, good.size() / 2), "certificate"},
      {authority.certificate, "not the key"},
      {issue(-absl::Hours(2), -absl::Hours(1)), "expired"},
      {issue(absl::Hours(48), absl::Hours(96)), "valid only from"},
      {good + good.substr(0, good.size() / 2), "certificate"}};
  for (size_t i = 0; i < bad.size(); ++i) {
    ASSERT_TRUE(WriteFileAtomically(File("server-cert.pem"), bad[i].first).ok());
    coordinator_->Signal(SIGHUP);
    AwaitLog("the certificate that is served stays", i + 1);
    EXPECT_THAT(coordinator_->err(), HasSubstr(bad[i].second));
    EXPECT_EQ(Cli({"list"}, AsMember("viewer")).code, 0) << bad[i].second;
  }
  ASSERT_TRUE(WriteFileAtomically(File("server-cert.pem"), good).ok());
  ::chmod(File("server-key.pem").c_str(), 0644);
  coordinator_->Signal(SIGHUP);
  AwaitLog("the certificate that is served stays", bad.size() + 1);
  EXPECT_THAT(coordinator_->err(), HasSubstr("chmod 600"));
  ::chmod(File("server-key.pem").c_str(), 0600);

  EXPECT_EQ(Coordinator({"init-tls", "--dir", tls_, "--client", "--renew"}).code, 0);
  coordinator_->Signal(SIGHUP);
  AwaitLog("took the certificate", 2);
  EXPECT_THAT(Cli({"workers"}, AsMember("viewer")).out, Not(HasSubstr("coordinator:")));
  ExpectFailure(Cli({"list"}, As("viewer")), "cannot reach");
  Stop();
}

TEST_F(Guarded, TokenListTellsWhenEachTokenWasLastUsed) {
  const auto list = [&](std::vector<std::string> more = {}) {
    std::vector<std::string> args = {"token", "list", "--tls-dir", tls_};
    args.insert(args.end(), more.begin(), more.end());
    const RunResult result = Coordinator(args);
    EXPECT_EQ(result.code, 0) << result.err;
    said_ += result.out;
    return result.out;
  };
  EXPECT_THAT(list(), HasSubstr("unknown")) << "no coordinator has noted it";
  Serve();
  EXPECT_THAT(list(), Not(HasSubstr("unknown")));
  EXPECT_EQ(Cli({"list"}, As("viewer")).code, 0);
  Stop();
  EXPECT_EQ(ModeOf(File("tokens.used")), 0600u);
  EXPECT_THAT(list(), ::testing::ContainsRegex("viewer +viewer +[^\n]* UTC +20[^\n]* UTC\n"));
  EXPECT_THAT(list(), ::testing::ContainsRegex("operator +operator +[^\n]* UTC +never\n"));
  const std::string json = list({"--json"});
  EXPECT_THAT(json, ::testing::ContainsRegex("\"last_used\": \"20[0-9T:-]*Z\""));
  EXPECT_THAT(json, HasSubstr("\"last_used\": null"));
  EXPECT_THAT(json, ::testing::ContainsRegex("\"noted_since\": \"20"));
  ASSERT_TRUE(ReplaceSecretFile(File("tokens.used"), "?").ok());
  EXPECT_THAT(list(), HasSubstr("unknown"));
  EXPECT_THAT(list({"--json"}), HasSubstr("\"noted_since\": null"));
}

TEST_F(Guarded, AStartThatWouldBeOpenOrBrokenIsRefusedWithTheRemedy) {
  const auto start = [&](std::vector<std::string> flags, const std::string& listen) {
    flags.insert(flags.end(), {"--data-dir", dir_.Join("data"), "--listen", listen});
    return Coordinator(flags);
  };
  ExpectFailure(start({"--tls-cert", File("server-cert.pem"), "--tls-key", File("server-key.pem")},
                      "0.0.0.0:0"),
                "without tokens", 2);
  ExpectFailure(start({"--tokens", File("tokens"), "--insecure"}, "0.0.0.0:0"), "without TLS", 2);
  ExpectFailure(start({"--tls-cert", File("server-cert.pem")}, "127.0.0.1:0"), "--tls-key", 2);
  ExpectFailure(start({"--tls-cert", File("server-cert.pem"), "--tls-key", File("ca-key.pem")},
                      "127.0.0.1:0"),
                "not the key", 2);
  ExpectFailure(start({"--require-client-cert"}, "127.0.0.1:0"), "needs TLS", 2);
  ::chmod(File("server-key.pem").c_str(), 0644);
  ExpectFailure(start({"--tls-dir", tls_}, "0.0.0.0:0"), "chmod 600");
  EXPECT_FALSE(FileExists(dir_.Join("data"))) << "a refused start leaves nothing behind";
}

}  // namespace
}  // namespace coppice::service
