// Runs the engine in this process on small data, and reads its events back.
#ifndef COPPICE_TESTS_WORKER_TRAINER_PACK_RUNNER_H_
#define COPPICE_TESTS_WORKER_TRAINER_PACK_RUNNER_H_

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/worker/trainer/test_directory.h"
#include "worker/trainer/tasks/dataset.h"
#include "worker/trainer/train/engine.h"

namespace coppice::trainer {

inline Dataset SmallDataset(Task task) {
  DatasetOptions options;
  options.task = task;
  options.train = 100;
  options.val = 30;
  options.test = 5;
  options.gen = 30;
  options.decode_sentences = 20;
  options.dyck_prefixes = 50;
  absl::StatusOr<Dataset> dataset = MakeDataset(options);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return *std::move(dataset);
}

inline RunConfig SmallRun(Task task) {
  RunConfig run;
  run.task = task;
  run.depth = 2;
  run.model = {16, 2, 24, 0.1};
  run.train.steps = 30;
  run.train.batch_size = 4;
  run.train.learning_rate = 1e-3;
  run.train.warmup_steps = 5;
  run.report.every = 7;
  run.checkpoint.every = 10;
  run.checkpoint.keep = 100;
  return run;
}

// The real clock. It counts its calls and calls back, so that a test can act at any point of a run.
class CountingClock : public Clock {
 public:
  explicit CountingClock(std::function<void(int)> on_call) : on_call_(std::move(on_call)) {}
  absl::Time Now() override { return Clock::Real()->Now(); }
  absl::Duration Monotonic() override {
    on_call_(calls_.fetch_add(1));
    return Clock::Real()->Monotonic();
  }
  TimerId Schedule(absl::Duration delay, std::function<void()> callback) override {
    return Clock::Real()->Schedule(delay, std::move(callback));
  }
  bool Cancel(TimerId id) override { return Clock::Real()->Cancel(id); }

 private:
  std::function<void(int)> on_call_;
  std::atomic<int> calls_{0};
};

struct PackResult {
  absl::Status status;
  Engine::Outcome outcome;
  std::vector<nlohmann::json> events;

  std::vector<nlohmann::json> Of(const std::string& kind, uint64_t seed) const {
    std::vector<nlohmann::json> found;
    for (const nlohmann::json& event : events) {
      if (event["event"] == kind && event.value("seed", uint64_t{0}) == seed)
        found.push_back(event);
    }
    return found;
  }
  std::string FinalDigest(uint64_t seed) const {
    const std::vector<nlohmann::json> checkpoints = Of("checkpoint", seed);
    return checkpoints.empty() ? "none" : checkpoints.back()["digest"].get<std::string>();
  }
  // Metrics by step, without those that depend on the machine's speed.
  std::map<int64_t, nlohmann::json> Metrics(uint64_t seed) const {
    std::map<int64_t, nlohmann::json> metrics;
    for (nlohmann::json event : Of("metrics", seed)) {
      for (const char* timing : {"sequences_per_second", "probe_seconds"})
        event["values"].erase(timing);
      EXPECT_TRUE(metrics.emplace(event["step"], event["values"]).second)
          << "step reported twice: " << event;
    }
    return metrics;
  }
};

struct PackRun {
  RunConfig run;
  std::vector<MemberSpec> members;
  int64_t threads = 1;
  bool resume_newest = false;
  bool prune = true;
  std::function<void(Engine&)> before_run = nullptr;  // after Restore
  std::function<void(int, std::atomic<bool>*)> on_clock = nullptr;
  SaveFunction save = SaveCheckpoint;
  std::shared_ptr<Device> device = MakeCpu();
};

inline PackResult RunPack(const Dataset& dataset, const PackRun& pack) {
  TestDirectory directory;
  const std::string path = directory / "events";
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  std::atomic<bool> stop{false};
  CountingClock clock([&](int call) {
    if (pack.on_clock) pack.on_clock(call, &stop);
  });
  EventWriter events(fd, nullptr);
  EngineOptions options;
  options.spec.run = pack.run;
  options.spec.members = pack.members;
  options.spec.threads = pack.threads;
  options.spec.prune = pack.prune;
  options.resume_newest = pack.resume_newest;
  options.save = pack.save;
  options.device = pack.device;
  PackResult result;
  absl::StatusOr<std::unique_ptr<Engine>> engine =
      Engine::Create(options, &dataset, &events, &clock, &stop);
  result.status = engine.status();
  if (engine.ok()) result.status = (*engine)->Restore();
  if (result.status.ok()) {
    if (pack.before_run) pack.before_run(**engine);
    result.outcome = (*engine)->Run();
  }
  ::close(fd);
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    result.events.push_back(nlohmann::json::parse(line));
  return result;
}

}  // namespace coppice::trainer

#endif  // COPPICE_TESTS_WORKER_TRAINER_PACK_RUNNER_H_
