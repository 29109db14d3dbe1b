// One owner thread without a thread: the agent's parts run on a sequence that is handed in, so that
// the daemon gives them an Executor and a simulation a queue.
#ifndef COPPICE_WORKER_DAEMON_SEQUENCE_H_
#define COPPICE_WORKER_DAEMON_SEQUENCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <utility>

#include "absl/time/time.h"
#include "common/base/clock.h"

namespace coppice::worker {

class CoordinatorClient;
class ProcessLauncher;

// Queues work; false when it no longer takes any. Never runs the work inline.
using TaskRunner = std::function<bool(std::function<void()>)>;

// What the agent and its parts need from outside. Everything pointed to outlives them.
struct Environment {
  Clock* clock = nullptr;
  CoordinatorClient* coordinator = nullptr;
  ProcessLauncher* launcher = nullptr;
  // The agent's own sequence: one closure after the other, in order.
  TaskRunner main;
  // For what may block on a disk; in any order, several at once.
  TaskRunner background;
  // Seeds what is random here: the jitter of waits.
  std::function<uint64_t()> entropy = [] { return std::random_device{}(); };
};

// Turns callbacks into ones that any thread may call at any time: they run on the sequence, and not
// at all once the owner is gone. Owned by the object whose callbacks it binds, which lives and dies
// on that sequence.
class CallbackOwner {
 public:
  explicit CallbackOwner(TaskRunner runner) : runner_(std::move(runner)) {}

  template <typename F>
  auto Bind(F callback) const {
    return [runner = runner_, alive = std::weak_ptr<char>(alive_),
            callback = std::move(callback)](auto... arguments) {
      runner([alive, callback, arguments...]() mutable {
        if (!alive.expired()) callback(std::move(arguments)...);
      });
    };
  }

  // Every callback bound so far is void from now on.
  void Reset() { alive_ = std::make_shared<char>(); }

 private:
  TaskRunner runner_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

// A one-shot timer whose callback runs on the sequence. Lives on that sequence.
class Timer {
 public:
  explicit Timer(const Environment* environment)
      : clock_(environment->clock), callbacks_(environment->main) {}
  ~Timer() { Stop(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Replaces what was scheduled before.
  void Start(absl::Duration delay, std::function<void()> callback) {
    Stop();
    running_ = true;
    id_ = clock_->Schedule(delay, callbacks_.Bind([this, callback = std::move(callback)] {
      running_ = false;
      callback();
    }));
  }
  void Stop() {
    if (!running_) return;
    running_ = false;
    // It may have fired and wait in the sequence's queue.
    callbacks_.Reset();
    clock_->Cancel(id_);
  }
  bool running() const { return running_; }

 private:
  Clock* const clock_;
  CallbackOwner callbacks_;
  bool running_ = false;
  Clock::TimerId id_ = 0;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_SEQUENCE_H_
