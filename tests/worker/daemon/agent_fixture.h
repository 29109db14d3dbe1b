#ifndef COPPICE_TESTS_WORKER_DAEMON_AGENT_FIXTURE_H_
#define COPPICE_TESTS_WORKER_DAEMON_AGENT_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/base/files.h"
#include "nlohmann/json.hpp"
#include "tests/testing/fake_clock.h"
#include "tests/worker/daemon/fake_coordinator.h"
#include "tests/worker/daemon/fakes.h"
#include "worker/daemon/agent.h"

namespace coppice::worker {

// An agent whose time, coordinator and trainers the test controls. Its files are real.
class AgentFixture : public ::testing::Test {
 protected:
  AgentFixture() {
    std::string pattern = ::testing::TempDir() + "coppice-agent-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    config_.name = "worker";
    config_.host = "host";
    config_.pack_width = 3;
    config_.spool_dir = root_ + "/spool";
    config_.store_id = "store";
    config_.pack.trainer = "/bin/trainer";
    config_.pack.runs_dir = root_ + "/runs";
    config_.pack.logs_dir = root_ + "/logs";
    config_.pack.checkpoints = {root_ + "/checkpoints", true};
    for (const char* name : {"spool", "runs", "logs", "checkpoints"}) {
      std::filesystem::create_directory(root_ + "/" + name);
    }
    WriteFile("checkpoints/.coppice-store", "store");
  }
  ~AgentFixture() override {
    agent_.reset();
    std::filesystem::remove_all(root_);
  }

  void StartAgent() {
    Environment environment;
    environment.clock = &clock_;
    environment.coordinator = &coordinator_;
    environment.launcher = &launcher_;
    environment.main = [this](std::function<void()> work) {
      return sequence_.Add(std::move(work));
    };
    environment.background = environment.main;
    exit_code_.reset();
    agent_ =
        std::make_unique<Agent>(environment, config_, [this](int code, const std::string& message) {
          exit_code_ = code;
          exit_message_ = message;
        });
    agent_->Start();
    Settle();
  }
  // Ends the agent as kill -9 would: it sends nothing and writes nothing more.
  void KillAgent() {
    agent_.reset();
    coordinator_.CancelAcquires();
    Settle();
  }
  void Settle() { sequence_.RunAll(); }
  // Advances in small steps, so that a timer may start another one.
  void Pass(absl::Duration time) {
    for (absl::Duration done = absl::ZeroDuration(); done < time; done += kTick) {
      clock_.Advance(kTick);
      Settle();
    }
  }

  // Jobs of seeds 0.. with attempt 1. Each number is the seed + 1. They have 1000 steps.
  v1::AcquireLeasesResponse MakeGrant(int members) {
    v1::AcquireLeasesResponse grant;
    for (int seed = 0; seed < members; ++seed) {
      v1::Lease* lease = grant.add_leases();
      lease->mutable_lease()->set_job_id(static_cast<uint64_t>(seed) + 1);
      lease->mutable_lease()->set_attempt(1);
      lease->set_seed(static_cast<uint32_t>(seed));
      lease->set_checkpoint_dir(absl::StrCat("job-", seed + 1, "/attempt-1"));
    }
    SetRun(&grant, [](nlohmann::json&) {});
    return grant;
  }
  // Gives the grant a small run, modified by `change`.
  template <typename Change>
  static void SetRun(v1::AcquireLeasesResponse* grant, Change change) {
    nlohmann::json run = {{"task", "question"}, {"depth", 2}, {"train", {{"steps", 1000}}}};
    change(run);
    grant->set_run_json(run.dump());
  }
  // Starts an agent and begins to train a pack.
  FakeTrainer& StartTraining(int members) {
    StartAgent();
    coordinator_.Grant(MakeGrant(members));
    Settle();
    EXPECT_EQ(launcher_.trainers.size(), 1u);
    FakeTrainer::Steps steps;
    for (int seed = 0; seed < members; ++seed) steps.push_back({seed, 0});
    launcher_.last().Start(steps, 1000);
    Settle();
    return launcher_.last();
  }
  // Writes a checkpoint file to the shared folder and returns the coordinator's data about it.
  v1::Checkpoint WriteCheckpoint(const std::string& path, uint32_t step,
                                 const std::string& content) {
    WriteFile("checkpoints/" + path, content);
    v1::Checkpoint checkpoint;
    checkpoint.set_step(step);
    checkpoint.set_path(path);
    checkpoint.set_digest(DigestOf(content.data(), content.size()));
    checkpoint.set_bytes(content.size());
    return checkpoint;
  }
  void WriteFile(const std::string& name, const std::string& content) {
    const std::filesystem::path path = root_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }
  nlohmann::json Spec() {
    return nlohmann::json::parse(*ReadFile(launcher_.last().command.argv.at(2)));
  }
  std::vector<std::string> Spools() { return *ListDirectory(config_.spool_dir); }

  static constexpr absl::Duration kTick = absl::Milliseconds(50);
  std::string root_;
  testing::FakeClock clock_;
  ManualSequence sequence_;
  FakeCoordinator coordinator_;
  FakeLauncher launcher_;
  AgentConfig config_;
  std::unique_ptr<Agent> agent_;
  std::optional<int> exit_code_;
  std::string exit_message_;
};

}  // namespace coppice::worker

#endif  // COPPICE_TESTS_WORKER_DAEMON_AGENT_FIXTURE_H_
