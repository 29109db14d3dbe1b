// An owner thread without a thread. The agent's parts run on a sequence that is passed in: the
// daemon gives them an Executor, a simulation a queue.
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

// Everything that the agent and its parts need from outside. The pointers outlive them.
struct Environment {
  Clock* clock = nullptr;
  CoordinatorClient* coordinator = nullptr;
  ProcessLauncher* launcher = nullptr;
  // The agent's own sequence: one closure after the other, in order.
  TaskRunner main;
  // For work that may block on a disk. It runs in any order, several tasks at once.
  TaskRunner background;
  // Seeds the random numbers used here: the jitter of waits.
  std::function<uint64_t()> entropy = [] { return std::random_device{}(); };
};

// Binds callbacks so that any thread may call them at any time. They run on the sequence, and not
// at all once the owner is gone. Owner: the object whose callbacks it binds, which lives and dies
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

  // Voids every callback bound so far.
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

  // Replaces the earlier schedule.
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
    // The timer may have fired already, with its callback in the sequence's queue.
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
