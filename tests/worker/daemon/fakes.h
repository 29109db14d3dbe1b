// An agent's surroundings without threads, processes or time: a queue, and a launcher that only
// records. The coordinator is in fake_coordinator.h.
#ifndef COPPICE_TESTS_WORKER_DAEMON_FAKES_H_
#define COPPICE_TESTS_WORKER_DAEMON_FAKES_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/program/process_launcher.h"

namespace coppice::worker {

// A sequence that runs when the test asks it to.
class ManualSequence {
 public:
  bool Add(std::function<void()> work) {
    queue_.push_back(std::move(work));
    return true;
  }
  void RunAll() {
    while (!queue_.empty()) {
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      work();
    }
  }

 private:
  std::deque<std::function<void()>> queue_;
};

// One trainer, played by the test.
struct FakeTrainer {
  ProcessCommand command;
  ProcessCallbacks callbacks;
  std::vector<int> signals;

  void Say(const std::string& line) { callbacks.on_stdout(line + "\n"); }
  void Exit(int code) {
    ProcessExit exit;
    exit.code = code;
    callbacks.on_exit(exit);
  }
  void Die(int signal) {
    ProcessExit exit;
    exit.signal = signal;
    callbacks.on_exit(exit);
  }
  void DoNotStart(absl::Status status) {
    ProcessExit exit;
    exit.spawn = std::move(status);
    callbacks.on_exit(exit);
  }

  // Seeds with their present steps.
  using Steps = std::vector<std::pair<int, int>>;
  void Start(const Steps& members, int steps) {
    Say(absl::StrCat(R"({"event":"start","protocol":1,"version":"t","provenance":{"build":"t"},)",
                     R"("members":)", List(members), R"(,"steps":)", steps, R"(,"parameters":9})"));
  }
  void Progress(const Steps& members) {
    Say(absl::StrCat(R"({"event":"progress","members":)", List(members),
                     R"(,"steps_per_second":12.5,"sequences_per_second":100})"));
  }
  void Metrics(int seed, int step) {
    Say(absl::StrCat(R"({"event":"metrics","seed":)", seed, R"(,"step":)", step,
                     R"(,"values":{"val_loss":0.5}})"));
  }
  void Checkpoint(int seed, int step,
                  const std::string& digest = "0123456789abcdef0123456789abcdef") {
    Say(absl::StrCat(R"({"event":"checkpoint","seed":)", seed, R"(,"step":)", step,
                     R"(,"path":"step-)", step, R"(.safetensors","digest":")", digest,
                     R"(","bytes":7})"));
  }
  void End(const std::string& event, int seed, int step) {
    Say(absl::StrCat(R"({"event":")", event, R"(","seed":)", seed, R"(,"step":)", step, "}"));
  }

 private:
  static std::string List(const Steps& members) {
    std::string list;
    for (const auto& [seed, step] : members) {
      absl::StrAppend(&list, list.empty() ? "[" : ",", R"({"seed":)", seed, R"(,"step":)", step,
                      "}");
    }
    return list + "]";
  }
};

class FakeLauncher : public ProcessLauncher {
 public:
  std::unique_ptr<Process> Start(ProcessCommand command, ProcessCallbacks callbacks) override {
    trainers.push_back(std::make_shared<FakeTrainer>());
    trainers.back()->command = std::move(command);
    trainers.back()->callbacks = std::move(callbacks);
    return std::make_unique<Handle>(trainers.back());
  }
  FakeTrainer& last() { return *trainers.back(); }

  std::vector<std::shared_ptr<FakeTrainer>> trainers;

 private:
  class Handle : public Process {
   public:
    explicit Handle(std::shared_ptr<FakeTrainer> trainer) : trainer_(std::move(trainer)) {}
    void Signal(int signal) override { trainer_->signals.push_back(signal); }
    void ReadMore(Pipe) override {}

   private:
    const std::shared_ptr<FakeTrainer> trainer_;
  };
};

}  // namespace coppice::worker

#endif  // COPPICE_TESTS_WORKER_DAEMON_FAKES_H_
