// Tests of the access that a coordinator makes by itself, with the programs as users start them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/secret_file.h"
#include "common/rpc/access_file.h"
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
constexpr absl::Duration kPollInterval = absl::Milliseconds(20);

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  ::stat(path.c_str(), &info);
  return info.st_mode & 07777;
}

// An account with a home of its own.
class OwnAccessBinary : public ::testing::Test {
 protected:
  Environment Home() {
    return {{"HOME", dir_.Join("home")},
            {"XDG_CONFIG_HOME", dir_.Join("home/config")},
            {"XDG_STATE_HOME", dir_.Join("home/state")},
            {"COPPICE_ACCESS", ""},
            {"COPPICE_COORDINATOR", ""},
            {"COPPICE_INSECURE", ""}};
  }
  std::string File() { return dir_.Join("home/config/coppice/access.json"); }
  std::string Data(const std::string& name) { return dir_.Join("data/access/" + name); }
  std::vector<std::string> Command(std::vector<std::string> flags, const std::string& data) {
    flags.insert(flags.begin(), {COPPICE_COORDINATOR_BINARY, "--data-dir", dir_.Join(data)});
    return flags;
  }
  RunResult Coordinator(std::vector<std::string> flags, const std::string& data = "data") {
    return RunProcess(Command(std::move(flags), data), Home(), kPatience);
  }
  void Serve(std::vector<std::string> flags = {}, const std::string& data = "data") {
    flags.insert(flags.end(), {"--port-file", dir_.Join("port")});
    coordinator_.emplace(Command(std::move(flags), data), Home());
    for (int i = 0; i < 4000 && !FileExists(dir_.Join("port")) && coordinator_->Running(); ++i) {
      coordinator_->Wait(kPollInterval);
    }
    ASSERT_TRUE(FileExists(dir_.Join("port"))) << coordinator_->err();
  }
  void Stop() {
    coordinator_->Signal(SIGTERM);
    ASSERT_TRUE(coordinator_->Wait(kPatience).has_value());
    coordinator_.reset();
  }
  RunResult Cli(std::vector<std::string> args) {
    args.insert(args.begin(), COPPICE_CLI_BINARY);
    return RunProcess(std::move(args), Home(), kPatience);
  }
  rpc::AccessFile Access() {
    const auto file = rpc::ReadAccessFile(File());
    EXPECT_TRUE(file.ok()) << file.status();
    return file.value_or(rpc::AccessFile());
  }
  void ExpectFailure(const RunResult& result, const std::string& part, int code = 1) {
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_THAT(result.err, HasSubstr(part));
  }

  TempDir dir_;
  std::optional<Subprocess> coordinator_;
};

TEST_F(OwnAccessBinary, TheFirstStartMakesItAndOnlyTheOwnerMayReadIt) {
  Serve({"--listen", "127.0.0.1:0"});
  EXPECT_EQ(ModeOf(File()), 0600u);
  EXPECT_EQ(ModeOf(dir_.Join("data/access")), 0700u);
  EXPECT_EQ(ModeOf(Data("ca-key.pem")), 0600u);
  const rpc::AccessFile access = Access();
  EXPECT_EQ(access.address, ReadAll(dir_.Join("port")));
  EXPECT_NE(access.operator_token, "");
  EXPECT_NE(access.worker_token, "");
  EXPECT_EQ(Cli({"list"}).code, 0);
  const RunResult show = Cli({"access", "show"});
  EXPECT_EQ(show.code, 0) << show.err;
  EXPECT_THAT(show.out, HasSubstr(File()));
  EXPECT_THAT(show.out, HasSubstr(access.address));
  EXPECT_THAT(Cli({"access", "show", "--json"}).out, HasSubstr("\"roles\":\"operator, worker\""));

  Environment elsewhere = Home();
  elsewhere["XDG_CONFIG_HOME"] = dir_.Join("empty");
  const RunResult lost = RunProcess({COPPICE_CLI_BINARY, "list"}, elsewhere, kPatience);
  ExpectFailure(lost, "there is no access file");
  const RunResult plain = Cli({"--insecure", "--coordinator", access.address, "list"});
  ExpectFailure(plain, "cannot reach");
  EXPECT_THAT(plain.err, HasSubstr("warning: --insecure"));

  for (const std::string& said :
       {show.out, coordinator_->out() + coordinator_->err(),
        ReadAll(absl::StrCat("/proc/", coordinator_->pid(), "/cmdline"))}) {
    EXPECT_THAT(said, Not(HasSubstr(access.operator_token)));
    EXPECT_THAT(said, Not(HasSubstr(access.worker_token)));
    EXPECT_THAT(said, Not(HasSubstr(access.key.substr(60, 40))));
  }
  Stop();
}

TEST_F(OwnAccessBinary, ARestartKeepsAuthorityTokensAndPortAndRefreshesTheAddress) {
  Serve();
  const rpc::AccessFile first = Access();
  Stop();
  Serve();
  EXPECT_EQ(Access().address, first.address) << "workers that run find it again";
  EXPECT_EQ(Access().authority, first.authority);
  EXPECT_EQ(Access().operator_token, first.operator_token);
  Stop();
  Serve({"--listen", "127.0.0.1:0"});
  EXPECT_EQ(Access().address, ReadAll(dir_.Join("port")));
  EXPECT_EQ(Access().authority, first.authority);
  EXPECT_EQ(Cli({"list"}).code, 0);
  Stop();
}

TEST_F(OwnAccessBinary, APortThatIsTakenIsNoObstacleUnlessItWasAskedFor) {
  Serve({"--access", dir_.Join("one.json"), "--listen", "127.0.0.1:0"}, "one");
  const std::string taken = ReadAll(dir_.Join("port"));
  ExpectFailure(Coordinator({"--listen", taken}), "in use");
  EXPECT_FALSE(FileExists(File())) << "what does not serve lets nobody in";
  Stop();
  // Works whether 7070 is free on this machine or not.
  Serve({"--access", dir_.Join("one.json")}, "one");
  Subprocess second(Command({"--port-file", dir_.Join("second")}, "data"), Home());
  for (int i = 0; i < 4000 && !FileExists(dir_.Join("second")) && second.Running(); ++i) {
    second.Wait(kPollInterval);
  }
  EXPECT_NE(ReadAll(dir_.Join("second")), ReadAll(dir_.Join("port"))) << second.err();
  EXPECT_EQ(Cli({"list"}).code, 0);
  EXPECT_EQ(Cli({"--access", dir_.Join("one.json"), "list"}).code, 0);
  second.Signal(SIGTERM);
  EXPECT_TRUE(second.Wait(kPatience).has_value());
  Stop();
}

TEST_F(OwnAccessBinary, AnotherCoordinatorsAccessFileIsNeverReplaced) {
  Serve({"--listen", "127.0.0.1:0"});
  const std::string before = ReadAll(File());
  const RunResult second = Coordinator({"--listen", "127.0.0.1:0"}, "second");
  ExpectFailure(second, "--access FILE");
  EXPECT_THAT(second.err, HasSubstr(dir_.Join("data"))) << "whose it is";
  EXPECT_FALSE(FileExists(dir_.Join("second"))) << "a refused start leaves nothing behind";
  EXPECT_EQ(ReadAll(File()), before);
  Stop();
  // A file that is not an access file is not ours either.
  ASSERT_TRUE(ReplaceSecretFile(File(), "{\"mine\": true}\n").ok());
  ExpectFailure(Coordinator({"--listen", "127.0.0.1:0"}), "is not an access file", 2);
  EXPECT_EQ(ReadAll(File()), "{\"mine\": true}\n");
  ASSERT_TRUE(ReplaceSecretFile(File(), before).ok());
  ::chmod(File().c_str(), 0666);
  ExpectFailure(Coordinator({"--listen", "127.0.0.1:0"}), "chmod 600");
  ::chmod(File().c_str(), 0600);
  // A recreated data folder replaces its old access file.
  std::filesystem::remove_all(dir_.Join("data"));
  Serve({"--listen", "127.0.0.1:0"});
  EXPECT_NE(ReadAll(File()), before);
  EXPECT_EQ(Cli({"list"}).code, 0);
  Stop();
}

TEST_F(OwnAccessBinary, CertificatesAreRenewedBeforeTheyEndAndForANewHostName) {
  Serve({"--listen", "127.0.0.1:0"});
  Stop();
  std::filesystem::remove_all(dir_.Join("data/access"));
  ASSERT_EQ(
      Coordinator({"init-tls", "--dir", dir_.Join("data/access"), "--client", "--days", "1"}).code,
      0);
  const std::string server = ReadAll(Data("server-cert.pem")), ca = ReadAll(Data("ca-cert.pem"));
  Serve({"--listen", "127.0.0.1:0"});
  EXPECT_NE(ReadAll(Data("server-cert.pem")), server);
  EXPECT_EQ(ReadAll(Data("ca-cert.pem")), ca);
  EXPECT_GT(Access().until - absl::Now(), absl::Hours(24 * 300));
  EXPECT_EQ(Cli({"list"}).code, 0);
  Stop();
  const std::string renewed = ReadAll(Data("server-cert.pem"));
  Serve({"--listen", "127.0.0.1:0"});
  EXPECT_EQ(ReadAll(Data("server-cert.pem")), renewed) << "not at every start";
  Stop();
  Serve({"--listen", "127.0.0.1:0", "--host", "head.example"});
  EXPECT_NE(ReadAll(Data("server-cert.pem")), renewed);
  Stop();
  // If the key is kept elsewhere, the certificates are used until they expire.
  std::filesystem::remove(Data("ca-key.pem"));
  Serve({"--listen", "127.0.0.1:0", "--host", "other.example"});
  EXPECT_THAT(coordinator_->err(), HasSubstr("cannot be renewed"));
  EXPECT_EQ(Cli({"list"}).code, 0);
  Stop();
}

TEST_F(OwnAccessBinary, ACoordinatorThatRunsWarnsOfItsCertificatesAndRenewsThemOnSighup) {
  ASSERT_EQ(
      Coordinator({"init-tls", "--dir", dir_.Join("data/access"), "--client", "--days", "3"}).code,
      0);
  std::filesystem::permissions(dir_.Join("data"), std::filesystem::perms::owner_all);
  // Its key is kept elsewhere at first.
  std::filesystem::rename(Data("ca-key.pem"), dir_.Join("ca-key.pem"));
  Serve({"--listen", "127.0.0.1:0"});
  const std::string warned = Cli({"workers"}).out;
  EXPECT_THAT(warned,
              HasSubstr("coordinator: the server's certificate " + Data("server-cert.pem")));
  EXPECT_THAT(warned, HasSubstr("coordinator: the clients' certificate " + File()));
  EXPECT_THAT(warned, HasSubstr("`kill -HUP "));
  EXPECT_THAT(coordinator_->err(), HasSubstr("no worker can connect with it after that"));
  std::filesystem::rename(dir_.Join("ca-key.pem"), Data("ca-key.pem"));
  coordinator_->Signal(SIGHUP);
  std::string workers = warned;
  for (int i = 0; i < 400 && absl::StrContains(workers, "coordinator:"); ++i) {
    coordinator_->Wait(kPollInterval);
    workers = Cli({"workers"}).out;
  }
  EXPECT_THAT(workers, Not(HasSubstr("coordinator:"))) << coordinator_->err();
  EXPECT_GT(Access().until - absl::Now(), absl::Hours(24 * 300));
  EXPECT_THAT(Cli({"server"}).out, HasSubstr("clients'"));
  Stop();
}

TEST_F(OwnAccessBinary, AFolderOfKeysThatOthersMayChangeIsRefused) {
  Serve({"--listen", "127.0.0.1:0"});
  Stop();
  ::chmod(dir_.Join("data/access").c_str(), 0777);
  ExpectFailure(Coordinator({"--listen", "127.0.0.1:0"}), "chmod 700");
}

TEST_F(OwnAccessBinary, WhatIsHandedOnHasItsRoleAndCanBeTakenBack) {
  Serve({"--listen", "127.0.0.1:0"});
  const std::string viewer = dir_.Join("viewer.json"), worker = dir_.Join("worker.json");
  const RunResult made = Cli({"access", "export", "--role", "viewer", "--name", "anna", viewer});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("token revoke anna"));
  EXPECT_EQ(Cli({"access", "export", "--role", "worker", worker}).code, 0);
  EXPECT_EQ(ModeOf(viewer), 0600u);
  const auto file = rpc::ReadAccessFile(viewer);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->operator_token + file->worker_token + file->data_dir, "");
  EXPECT_NE(file->key, Access().key) << "a certificate of its own";
  EXPECT_THAT(made.out, Not(HasSubstr(file->viewer_token)));
  ExpectFailure(Cli({"access", "export", "--role", "viewer", viewer}), "already");
  ExpectFailure(Cli({"access", "export", "--role", "operator", dir_.Join("o")}), "operator", 2);
  ExpectFailure(Cli({"--access", viewer, "access", "export", "--role", "viewer", dir_.Join("o")}),
                "cannot be handed on");

  // The coordinator checks its tokens every 2 seconds, and now.
  coordinator_->Signal(SIGHUP);
  const auto list = [&](const std::string& said) {
    RunResult result;
    for (int i = 0; i < 200; ++i) {
      result = Cli({"--access", viewer, "list"});
      if (said.empty() ? result.code == 0 : absl::StrContains(result.err, said)) break;
      coordinator_->Wait(kPollInterval);
    }
    return result;
  };
  EXPECT_EQ(list("").code, 0);
  ExpectFailure(Cli({"--access", viewer, "drain", "w"}), "role operator");
  ExpectFailure(Cli({"--access", worker, "list"}), "is for workers");
  Subprocess daemon({COPPICE_WORKER_BINARY, "--access", worker, "--name", "node1", "--state-dir",
                     dir_.Join("worker"), "--trainer", "/bin/true"},
                    Home());
  std::string workers;
  for (int i = 0; i < 400 && !absl::StrContains(workers, "node1"); ++i) {
    daemon.Wait(kPollInterval);
    workers = Cli({"workers", "--json"}).out;
  }
  EXPECT_THAT(workers, HasSubstr("node1")) << daemon.err();
  daemon.Signal(SIGTERM);
  EXPECT_TRUE(daemon.Wait(kPatience).has_value());

  EXPECT_THAT(Coordinator({"token", "list"}).out, HasSubstr("anna"));
  EXPECT_EQ(Coordinator({"token", "revoke", "anna"}).code, 0);
  coordinator_->Signal(SIGHUP);
  ExpectFailure(list("revoked"), "revoked");
  Stop();
}

TEST_F(OwnAccessBinary, InsecureIsLoudAndAsksForLoopbackOrASecondFlag) {
  ExpectFailure(Coordinator({"--insecure", "--listen", "0.0.0.0:0"}), "--insecure-anywhere", 2);
  ExpectFailure(Coordinator({"--insecure-anywhere", "--listen", "0.0.0.0:0"}), "--insecure", 2);
  ExpectFailure(Coordinator({"--insecure", "--access", dir_.Join("f")}), "leave", 2);
  EXPECT_FALSE(FileExists(dir_.Join("data")));
  Serve({"--insecure", "--listen", "127.0.0.1:0"});
  EXPECT_FALSE(FileExists(File()));
  EXPECT_THAT(coordinator_->err(), HasSubstr("--insecure: whoever reaches"));
  const std::string address = ReadAll(dir_.Join("port"));
  const RunResult list = Cli({"--insecure", "--coordinator", address, "list"});
  EXPECT_EQ(list.code, 0) << list.err;
  EXPECT_THAT(list.err, HasSubstr("warning: --insecure"));
  ExpectFailure(Cli({"--coordinator", address, "list"}), "there is no access file");
  Subprocess worker({COPPICE_WORKER_BINARY, "--insecure", "--coordinator", address, "--state-dir",
                     dir_.Join("worker"), "--trainer", "/bin/true"},
                    Home());
  for (int i = 0; i < 1000 && worker.Running() && !absl::StrContains(worker.err(), "--insecure");
       ++i) {
    worker.Wait(kPollInterval);
  }
  EXPECT_THAT(worker.err(), HasSubstr("neither encrypted nor authenticated"));
  Stop();
}

}  // namespace
}  // namespace coppice::service
