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

// Purpose: threads that run closures in the order of Add. With one thread they run one after the
// other, so that thread can own a state that needs no mutex. Thread-safe. Shutdown (also called by
// the destructor) refuses new work, runs the queued work and joins the threads. Nothing is durable.
class Executor {
 public:
  // Takes a closure and runs it later, never inline, always on the same thread.
  using Runner = std::function<void(std::function<void()>)>;

  // With a runner there are no threads: the runner is called once for each added closure. Thus a
  // simulation controls the order.
  explicit Executor(int threads = 1, Runner runner = nullptr);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // False: Shutdown has begun, and the work was not queued.
  bool Add(std::function<void()> work);
  void Shutdown();

 private:
  void Run();
  bool RunOne();  // false: nothing is queued

  const Runner runner_;
  // A closure that the runner still holds learns from this that the executor is gone.
  const std::shared_ptr<char> alive_ = std::make_shared<char>();

  absl::Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_EXECUTOR_H_
