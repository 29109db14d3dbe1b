#ifndef COPPICE_COMMON_BASE_EXECUTOR_H_
#define COPPICE_COMMON_BASE_EXECUTOR_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace coppice {

// Threads that run closures in the order of Add; with one thread, one after the other: the owner
// thread of a state that then needs no mutex. Thread-safe. Shutdown (also by the destructor)
// refuses new work, runs what is queued, joins. Nothing is durable.
class Executor {
 public:
  // Takes a closure to run later, never inline, and on one thread.
  using Runner = std::function<void(std::function<void()>)>;

  // With a runner there are no threads: it is called once for each closure that was added. So a
  // simulation decides what runs when.
  explicit Executor(int threads = 1, Runner runner = nullptr);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // False, and nothing is queued, after Shutdown has begun.
  bool Add(std::function<void()> work);
  void Shutdown();

 private:
  void Run();
  bool RunOne();  // false: nothing is queued

  const Runner runner_;
  // What the runner still holds finds the executor gone.
  const std::shared_ptr<char> alive_ = std::make_shared<char>();

  absl::Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_EXECUTOR_H_
