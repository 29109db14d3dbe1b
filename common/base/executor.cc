#include "common/base/executor.h"

#include <utility>

namespace coppice {

Executor::Executor(int threads, Runner runner) : runner_(std::move(runner)) {
  if (runner_) return;
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

Executor::~Executor() { Shutdown(); }

bool Executor::Add(std::function<void()> work) {
  {
    absl::MutexLock lock(&mutex_);
    if (closed_) return false;
    queue_.push_back(std::move(work));
  }
  if (runner_) {
    runner_([this, alive = std::weak_ptr<char>(alive_)] {
      if (!alive.expired()) RunOne();
    });
  }
  return true;
}

bool Executor::RunOne() {
  std::function<void()> work;
  {
    absl::MutexLock lock(&mutex_);
    if (queue_.empty()) return false;
    work = std::move(queue_.front());
    queue_.pop_front();
  }
  work();
  return true;
}

void Executor::Shutdown() {
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  while (runner_ && RunOne()) {
  }
}

void Executor::Run() {
  for (;;) {
    std::function<void()> work;
    {
      absl::MutexLock lock(&mutex_);
      const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return closed_ || !queue_.empty();
      };
      mutex_.Await(absl::Condition(&ready));
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

}  // namespace coppice
