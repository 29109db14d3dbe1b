// One contract for both ways of a checkpoint: written into the coordinator's folder, which the
// worker shares, and streamed to the coordinator. The core, the server and the agents are real. The
// test plays the trainers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/base/digest.h"
#include "common/base/executor.h"
#include "common/base/files.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/service/checkpoint_files.h"
#include "coordinator/store/sqlite_store.h"
#include "nlohmann/json.hpp"
#include "tests/coordinator/service/served.h"
#include "tests/testing/temp_dir.h"
#include "worker/daemon/agent.h"
#include "worker/daemon/grpc_coordinator_client.h"

namespace coppice::worker {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Duration kPatience = absl::Seconds(60);

// A trainer process, played by the test from any thread.
class PlayedTrainer {
 public:
  PlayedTrainer(const ProcessCommand& command, ProcessCallbacks callbacks)
      : callbacks_(std::move(callbacks)) {
    spec_ = nlohmann::json::parse(*ReadFile(command.argv.at(2)));
  }
  uint32_t seed() const { return spec_["members"][0]["seed"]; }
  // Path of the checkpoint to resume from; empty: from the start.
  std::string resume() const { return spec_["members"][0].value("resume", ""); }

  void Begin(uint32_t step) {
    Say({{"event", "start"},
         {"protocol", 1},
         {"version", "t"},
         {"provenance", {{"build", "t"}}},
         {"members", {{{"seed", seed()}, {"step", step}}}},
         {"steps", 100},
         {"parameters", 9}});
  }
  void Row(uint32_t step) {
    Say({{"event", "metrics"}, {"seed", seed()}, {"step", step}, {"values", {{"loss", step}}}});
  }
  std::string Write(uint32_t step, const std::string& content) const {
    const std::string name = absl::StrCat("step-", step, ".safetensors");
    const std::string folder = spec_["members"][0]["checkpoint_dir"];
    EXPECT_TRUE(MakeDirectories(folder).ok());
    EXPECT_TRUE(WriteFileAtomically(JoinPath(folder, name), content).ok());
    return name;
  }
  void Checkpoint(uint32_t step, const std::string& content) {
    const std::string name = Write(step, content);
    Say({{"event", "checkpoint"},
         {"seed", seed()},
         {"step", step},
         {"path", name},
         {"digest", DigestOf(content.data(), content.size())},
         {"bytes", content.size()}});
  }
  void End(const std::string& event, uint32_t step, int code) {
    Say({{"event", event}, {"seed", seed()}, {"step", step}});
    ProcessExit exit;
    exit.code = code;
    callbacks_.on_exit(exit);
  }
  void Signalled(int signal) {
    if (signal == SIGTERM && !terminated_.HasBeenNotified()) terminated_.Notify();
  }
  void WaitForSigterm() { ASSERT_TRUE(terminated_.WaitForNotificationWithTimeout(kPatience)); }

 private:
  void Say(const nlohmann::json& event) { callbacks_.on_stdout(event.dump() + "\n"); }

  const ProcessCallbacks callbacks_;
  nlohmann::json spec_;
  absl::Notification terminated_;
};

class PlayedLauncher : public ProcessLauncher {
 public:
  std::unique_ptr<Process> Start(ProcessCommand command, ProcessCallbacks callbacks) override {
    auto trainer = std::make_shared<PlayedTrainer>(command, std::move(callbacks));
    absl::MutexLock lock(&mutex_);
    started_.push_back(trainer);
    return std::make_unique<Handle>(trainer);
  }
  std::shared_ptr<PlayedTrainer> Next() {
    absl::MutexLock lock(&mutex_);
    const auto any = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !started_.empty(); };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&any), kPatience)) return nullptr;
    const auto trainer = started_.front();
    started_.pop_front();
    return trainer;
  }

 private:
  class Handle : public Process {
   public:
    explicit Handle(std::shared_ptr<PlayedTrainer> trainer) : trainer_(std::move(trainer)) {}
    void Signal(int signal) override { trainer_->Signalled(signal); }
    void ReadMore(Pipe) override {}

   private:
    const std::shared_ptr<PlayedTrainer> trainer_;
  };
  absl::Mutex mutex_;
  std::deque<std::shared_ptr<PlayedTrainer>> started_ ABSL_GUARDED_BY(mutex_);
};

// One machine: its own state folder, its own view of the shared folder, its own connection.
class Machine {
 public:
  Machine(const std::string& name, const std::string& coordinator, const std::string& shared_root,
          const std::string& store_id)
      : client_(MakeGrpcCoordinatorClient(coordinator).value()) {
    AgentConfig config;
    config.name = name;
    config.host = name + ".cluster";
    config.store_id = store_id;
    config.spool_dir = state_.Join("spool");
    config.pack.trainer = "/bin/trainer";
    config.pack.runs_dir = state_.Join("runs");
    config.pack.logs_dir = state_.Join("logs");
    for (const char* folder : {"spool", "runs", "logs", "scratch"}) {
      fs::create_directory(state_.Join(folder));
    }
    config.pack.checkpoints = {state_.Join("scratch"), false};
    if (!shared_root.empty()) {
      // Another path to the same folder, as another mount point would be.
      fs::create_directory_symlink(shared_root, state_.Join("mount"));
      config.pack.checkpoints = {state_.Join("mount"), true};
    }
    Environment environment;
    environment.clock = Clock::Real();
    environment.coordinator = client_.get();
    environment.launcher = &launcher_;
    environment.main = [this](std::function<void()> work) { return main_.Add(std::move(work)); };
    environment.background = [this](std::function<void()> work) {
      return background_.Add(std::move(work));
    };
    agent_ = std::make_unique<Agent>(environment, config, [this](int code, const std::string&) {
      code_ = code;
      exited_.Notify();
    });
    agent_->Start();
  }
  ~Machine() {
    main_.Shutdown();
    background_.Shutdown();
    agent_.reset();
    client_.reset();  // waits for its calls, which end on the executors
  }
  std::shared_ptr<PlayedTrainer> Trainer() { return launcher_.Next(); }
  // Acts as after SIGTERM: the trainer gets the signal and reports its last step.
  void Leave(const std::shared_ptr<PlayedTrainer>& trainer, uint32_t step) {
    agent_->Stop("SIGTERM");
    trainer->WaitForSigterm();
    trainer->End("preempted", step, 75);
    ASSERT_TRUE(exited_.WaitForNotificationWithTimeout(kPatience));
    EXPECT_EQ(code_, 0);
  }
  std::string Scratch() const { return state_.Join("scratch"); }

 private:
  testing::TempDir state_;
  std::unique_ptr<CoordinatorClient> client_;
  PlayedLauncher launcher_;
  Executor main_;
  Executor background_{2};
  absl::Notification exited_;
  int code_ = -1;
  std::unique_ptr<Agent> agent_;
};

class CheckpointStores : public ::testing::TestWithParam<std::string> {
 protected:
  CheckpointStores() {
    store_ = store::OpenSqliteStore({.path = dir_.Join("coppice.db")}).value();
    EXPECT_TRUE(service::ClaimCheckpointRoot(root_, store_->store_id()).ok());
    core::CoordinatorOptions options;
    options.checkpoint_root = root_;
    core_ = core::Coordinator::Open(store_.get(), Clock::Real(), options).value();
    served_.emplace(core_.get(), Clock::Real(), root_);
    Submit();
  }
  ~CheckpointStores() override {
    served_->server->CloseStreams();
    core_->Shutdown();
    served_->server->Shutdown(absl::Seconds(5));
  }
  void Submit() {
    v1::SubmitSweepRequest request;
    v1::SweepSpec* spec = request.mutable_spec();
    spec->set_name("s");
    spec->add_tasks("question");
    spec->add_depths(2);
    spec->add_seeds(7);
    spec->mutable_train()->set_steps(100);
    spec->mutable_report()->set_every(10);
    spec->mutable_checkpoint()->set_every(20);
    v1::SubmitSweepResponse response;
    service::CallContext context;
    const grpc::Status status = served_->sweeps->SubmitSweep(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  std::unique_ptr<Machine> Start(const std::string& name) {
    const bool shared = GetParam() == "shared";
    return std::make_unique<Machine>(name, served_->server->address(), shared ? root_ : "",
                                     store_->store_id());
  }
  v1::GetJobResponse Job() {
    v1::GetJobRequest request;
    request.set_job_id(1);
    v1::GetJobResponse response;
    service::CallContext context;
    EXPECT_TRUE(served_->sweeps->GetJob(&context, request, &response).ok());
    return response;
  }
  // Polls until `so` holds.
  bool Until(const std::function<bool(const v1::GetJobResponse&)>& so) {
    const absl::Duration end = Clock::Real()->Monotonic() + kPatience;
    while (Clock::Real()->Monotonic() < end) {
      if (so(Job())) return true;
    }
    return false;
  }
  bool UntilCommitted(uint32_t step) {
    return Until([step](const auto& job) {
      return job.checkpoints_size() > 0 && job.checkpoints(0).step() == step;
    });
  }
  static std::string Content(uint32_t step) {
    // The content takes more than one piece of a stream, and is different everywhere.
    std::string content = absl::StrCat("weights of step ", step, ": ");
    while (content.size() < 1'200'000) absl::StrAppend(&content, content.size() * step, ",");
    return content;
  }
  // Makes the rows and checkpoints of an attempt as a trainer does.
  void Train(PlayedTrainer* trainer, uint32_t from, uint32_t to) {
    trainer->Begin(from);
    for (uint32_t step = from + 10; step <= to; step += 10) {
      trainer->Row(step);
      if (step % 20 == 0) trainer->Checkpoint(step, Content(step));
    }
    if (to >= 20) {
      ASSERT_TRUE(UntilCommitted(to / 20 * 20));
    }
  }
  std::vector<uint32_t> Listed() {
    std::vector<uint32_t> steps;
    const v1::GetJobResponse job = Job();
    for (const v1::Checkpoint& checkpoint : job.checkpoints()) steps.push_back(checkpoint.step());
    return steps;
  }
  std::string FileOf(uint32_t step) {
    const v1::GetJobResponse job = Job();
    for (const v1::Checkpoint& checkpoint : job.checkpoints()) {
      if (checkpoint.step() == step) return JoinPath(root_, checkpoint.path());
    }
    ADD_FAILURE() << "no checkpoint of step " << step;
    return "";
  }
  std::vector<uint32_t> Rows() {
    v1::GetMetricsRequest request;
    request.mutable_filter()->set_sweep("s");
    service::CallContext context;
    auto reader = served_->sweeps->GetMetrics(&context, request);
    std::vector<uint32_t> steps;
    v1::GetMetricsResponse page;
    while (reader->Read(&page)) {
      for (const v1::JobMetrics& row : page.rows()) steps.push_back(row.row().step());
    }
    EXPECT_TRUE(reader->Finish().ok());
    return steps;
  }
  // A first machine trains to step 50 and leaves.
  void TrainElsewhere() {
    auto machine = Start("one");
    const auto trainer = machine->Trainer();
    ASSERT_NE(trainer, nullptr);
    EXPECT_EQ(trainer->resume(), "");
    Train(trainer.get(), 0, 50);
    machine->Leave(trainer, 50);
  }
  // Another machine resumes from `step` and trains to the end.
  void ExpectResumeFrom(uint32_t step) {
    auto machine = Start("two");
    const auto trainer = machine->Trainer();
    ASSERT_NE(trainer, nullptr);
    if (step == 0) {
      EXPECT_EQ(trainer->resume(), "");
    } else {
      const auto resumed = ReadFile(trainer->resume());
      ASSERT_TRUE(resumed.ok()) << resumed.status();
      EXPECT_TRUE(*resumed == Content(step)) << "other bytes than were written at step " << step;
    }
    Train(trainer.get(), step, 100);
    trainer->End("done", 100, 0);
    EXPECT_TRUE(Until([](const auto& job) { return job.job().state() == v1::SUCCEEDED; }));
    EXPECT_THAT(Rows(), ElementsAre(10, 20, 30, 40, 50, 60, 70, 80, 90, 100));
    EXPECT_THAT(Listed(), ElementsAre(100, 80));
  }
  void Spoil(uint32_t step, const std::string& how) {
    const std::string file = FileOf(step);
    if (how == "deleted") fs::remove(file);
    if (how == "a pipe") {
      fs::remove(file);
      EXPECT_EQ(::mkfifo(file.c_str(), 0600), 0);
    }
    if (how == "truncated") fs::resize_file(file, fs::file_size(file) / 2);
    if (how == "flipped") {
      std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekp(600'000);
      bytes.put('#');
    }
  }

  testing::TempDir dir_;
  const std::string root_ = dir_.Join("checkpoints");
  std::unique_ptr<core::Store> store_;
  std::unique_ptr<core::Coordinator> core_;
  std::optional<service::Served> served_;
};

TEST_P(CheckpointStores, AnotherMachineGoesOnFromTheSameStepWithTheSameBytes) {
  TrainElsewhere();
  ExpectResumeFrom(40);
}

TEST_P(CheckpointStores, AFlippedByteIsNotResumedFrom) {
  TrainElsewhere();
  Spoil(40, "flipped");
  ExpectResumeFrom(20);
}

TEST_P(CheckpointStores, ATruncatedFileIsNotResumedFrom) {
  TrainElsewhere();
  Spoil(40, "truncated");
  ExpectResumeFrom(20);
}

TEST_P(CheckpointStores, AMissingFileFallsBackToTheOneBefore) {
  TrainElsewhere();
  Spoil(40, "deleted");
  ExpectResumeFrom(20);
}

TEST_P(CheckpointStores, APipeInItsPlaceHoldsNobodyUpAndIsNotResumedFrom) {
  TrainElsewhere();
  Spoil(40, "a pipe");
  ExpectResumeFrom(20);
}

TEST_P(CheckpointStores, WithoutAGoodOneTheJobStartsOver) {
  TrainElsewhere();
  Spoil(40, "flipped");
  Spoil(20, "truncated");
  ExpectResumeFrom(0);
}

// Two attempts may each leave a checkpoint of the same step, if the second was preempted before its
// next step.
TEST_P(CheckpointStores, ABadOneFallsBackToAnotherOfTheSameStep) {
  TrainElsewhere();
  {
    auto machine = Start("between");
    const auto trainer = machine->Trainer();
    ASSERT_NE(trainer, nullptr);
    trainer->Begin(40);
    trainer->Checkpoint(40, Content(40));
    ASSERT_TRUE(Until([](const auto& job) {
      return job.checkpoints_size() > 0 && job.checkpoints(0).attempt() == 2;
    }));
    machine->Leave(trainer, 40);
  }
  ASSERT_THAT(Listed(), ElementsAre(40, 40));
  Spoil(40, "flipped");  // the newer one
  ExpectResumeFrom(40);
}

TEST_P(CheckpointStores, AFileThatWasNotCommittedIsNotResumedFrom) {
  {
    auto machine = Start("one");
    const auto trainer = machine->Trainer();
    ASSERT_NE(trainer, nullptr);
    Train(trainer.get(), 0, 20);
    trainer->Row(30);
    trainer->Row(40);
    trainer->Write(40, Content(40));
    machine->Leave(trainer, 40);
  }
  EXPECT_THAT(Listed(), ElementsAre(20));
  ExpectResumeFrom(20);
}

TEST_P(CheckpointStores, RetentionKeepsTheNewestTwoAndRemovesTheFilesOfOthers) {
  auto machine = Start("one");
  const auto trainer = machine->Trainer();
  ASSERT_NE(trainer, nullptr);
  Train(trainer.get(), 0, 40);
  const std::string first = FileOf(20), second = FileOf(40);
  EXPECT_TRUE(FileExists(first));
  trainer->Row(50);
  trainer->Row(60);
  trainer->Checkpoint(60, Content(60));
  ASSERT_TRUE(UntilCommitted(60));
  EXPECT_THAT(Listed(), ElementsAre(60, 40));
  EXPECT_TRUE(Until([&](const auto&) { return !FileExists(first); }));
  EXPECT_TRUE(FileExists(second));
  machine->Leave(trainer, 60);
  const auto files = [&] {
    const fs::recursive_directory_iterator entries(machine->Scratch());
    return std::count_if(begin(entries), end(entries),
                         [](const fs::directory_entry& entry) { return !entry.is_directory(); });
  };
  EXPECT_TRUE(Until([&](const auto&) { return files() == 0; }))
      << "a file stays on a machine that shares nothing";
}

INSTANTIATE_TEST_SUITE_P(Both, CheckpointStores, ::testing::Values("shared", "streamed"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace coppice::worker
