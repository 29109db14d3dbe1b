// Access without any flag: a fresh account starts the programs, everything is encrypted and
// authenticated, and another account of the machine gets nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/rpc/access_file.h"
#include "tests/e2e/cluster.h"

namespace coppice::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::RunProcess;
using testing::RunResult;
using ::testing::StartsWith;
using testing::Subprocess;
using testing::TempDir;

constexpr char kSweep[] = R"(name: secret-sweep
tasks: [question]
depths: [1]
seeds: 0-1
model: {d_model: 32, heads: 2, d_ff: 64}
train: {steps: 400, batch_size: 8, learning_rate: 1e-3, warmup_steps: 100}
data: {train: 1000, val: 50, test: 10, gen: 50}
report: {every: 200, probes: {sentences: 10}}
checkpoint: {every: 200}
)";

class FreshAccount : public ::testing::Test {
 protected:
  FreshAccount() {
    // Others may enter the home, as on most machines, so its content must protect itself.
    std::filesystem::create_directory(dir_.Join("home"));
    std::filesystem::create_directory(dir_.Join("stranger"));
    ::chmod(dir_.path().c_str(), 0755);
    ::chmod(dir_.Join("home").c_str(), 0755);
    ::chmod(dir_.Join("stranger").c_str(), 0777);
    std::ofstream(dir_.Join("demo.yaml")) << kSweep;
    for (const char* variable :
         {"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "COPPICE_ACCESS",
          "COPPICE_COORDINATOR", "COPPICE_INSECURE", "COPPICE_TLS_CA", "COPPICE_TOKEN_FILE",
          "COPPICE_TOKEN"}) {
      home_[variable] = "";
    }
    home_["HOME"] = dir_.Join("home");
    std::filesystem::current_path(dir_.Join("home"));
  }
  ~FreshAccount() override { std::filesystem::current_path(before_); }
  std::string AccessPath() { return dir_.Join("home/.config/coppice/access.json"); }
  void Serve() {
    std::filesystem::create_directories(dir_.Join("home/.config/coppice"));  // to be watched
    coordinator_.emplace(std::vector<std::string>{Binary("coppice-coordinator")}, home_);
    ASSERT_TRUE(AwaitFile(AccessPath(), absl::Seconds(30))) << coordinator_->err();
    access_ = *rpc::ReadAccessFile(AccessPath());
  }
  RunResult Run(std::vector<std::string> args, absl::Duration timeout = absl::Seconds(60)) {
    args[0] = Binary(args[0]);
    return RunProcess(std::move(args), home_, timeout);
  }
  // Returns the answer that a Python client gets. `more` holds arguments of stranger.py.
  nlohmann::json Ask(const std::string& address, bool stranger, std::vector<std::string> more) {
    const std::string script = dir_.Join("stranger.py");
    std::filesystem::copy_file(COPPICE_SOURCE_DIR "/tests/e2e/stranger.py", script,
                               std::filesystem::copy_options::overwrite_existing);
    std::vector<std::string> command = {"/usr/bin/python3", script, address, dir_.Join("stranger")};
    if (stranger) {
      command.insert(command.begin(), {"setpriv", "--reuid=65534", "--regid=65534",
                                       "--clear-groups", "--no-new-privs", "--"});
    }
    command.insert(command.end(), more.begin(), more.end());
    const RunResult result = RunProcess(command, {}, absl::Seconds(120));
    EXPECT_EQ(result.code, 0) << result.err;
    return nlohmann::json::parse(result.out, nullptr, false);
  }
  // Asks as another account and as the owner, with the same client.
  void ExpectNothing(const std::string& address, const std::string& access,
                     std::vector<std::string> files) {
    files.push_back(access);
    const nlohmann::json got = Ask(address, true, files);
    ASSERT_TRUE(got.is_object()) << got;
    EXPECT_EQ(got.value("account", ""), "65534");
    EXPECT_EQ(got.value("tokens in sight", ""), "0");
    for (const auto& [tried, answer] : got.items()) {
      if (tried == "account" || tried == "tokens in sight") continue;
      EXPECT_THAT(answer.get<std::string>(), StartsWith("nothing")) << tried;
    }
    const nlohmann::json own = Ask(address, false, {"--own", access});
    ASSERT_TRUE(own.is_object()) << own;
    EXPECT_THAT(own.value("with certificate and token", ""), HasSubstr("secret-sweep"))
        << "the control: this client can ask";
    EXPECT_THAT(own.value("with certificate alone", ""), Not(HasSubstr("secret-sweep")));
  }

  const std::filesystem::path before_ = std::filesystem::current_path();
  TempDir dir_;
  std::map<std::string, std::string> home_;
  std::optional<Subprocess> coordinator_;
  rpc::AccessFile access_;
};

TEST_F(FreshAccount, SubmitsTrainsAndReadsMetricsWithThreeCommandsAndNoFlag) {
  Serve();
  Subprocess worker({Binary("coppice-worker")}, home_);
  const RunResult submitted = Run({"coppice", "submit", dir_.Join("demo.yaml")});
  ASSERT_EQ(submitted.code, 0) << submitted.err;
  EXPECT_EQ(submitted.err, "") << "nothing to warn of";
  Cluster cluster(access_.address, AccessPath());
  ASSERT_TRUE(cluster.AwaitEnd("secret-sweep")) << worker.err();
  const RunResult metrics = Run({"coppice", "metrics", "secret-sweep", "--csv"});
  EXPECT_EQ(metrics.code, 0) << metrics.err;
  EXPECT_THAT(metrics.out, HasSubstr("question,1,1,400")) << worker.err();
  worker.Signal(SIGTERM);
  const auto status = worker.Wait(absl::Seconds(60));
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, 0) << worker.err();
  EXPECT_THAT(coordinator_->err(), Not(HasSubstr("warning")));
}

TEST_F(FreshAccount, AnotherAccountGetsNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another account";
  Serve();
  ASSERT_EQ(Run({"coppice", "submit", dir_.Join("demo.yaml")}).code, 0);
  ExpectNothing(
      access_.address, AccessPath(),
      {access_.data_dir, access_.data_dir + "/coppice.db", access_.data_dir + "/access",
       access_.data_dir + "/access/operator.token", access_.data_dir + "/access/ca-key.pem"});
}

TEST_F(FreshAccount, AnotherAccountGetsNothingOfCoppiceLocal) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another account";
  const std::string run = dir_.Join("home/run");
  std::filesystem::create_directory(run);
  Subprocess local({Binary("coppice"), "local", dir_.Join("demo.yaml"), "--dir", run, "--no-report",
                    "--keep-running"},
                   home_);
  ASSERT_TRUE(AwaitFile(run + "/jobs.csv", absl::Seconds(180))) << local.err();
  const std::string access = run + "/access.json";
  const auto file = rpc::ReadAccessFile(access);
  ASSERT_TRUE(file.ok()) << file.status();
  ExpectNothing(file->address, access, {run + "/coordinator/access"});
  EXPECT_EQ(Run({"coppice", "--access", access, "status", "secret-sweep"}).code, 0);
  EXPECT_NE(Run({"coppice", "list"}).code, 0) << "it is no other coordinator's place";
  local.Signal(SIGINT);
  const auto status = local.Wait(absl::Seconds(60));
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, 0) << local.out() << local.err();
}

}  // namespace
}  // namespace coppice::e2e
