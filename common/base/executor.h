#ifndef COPPICE_COMMON_BASE_EXECUTOR_H_
#define COPPICE_COMMON_BASE_EXECUTOR_H_

#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace coppice {

// Threads that run closures in the order of Add; with one thread, one after the other: the owner thread of a state that then needs no mutex.
// Thread-safe. Shutdown (also by the destructor) refuses new work, runs what is queued, joins. Nothing is durable.
class Executor {
 public:
  explicit Executor(int threads = 1);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // False, and nothing is queued, after Shutdown has begun.
  bool Add(std::function<void()> work);
  void Shutdown();

 private:
  void Run();

  absl::Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_EXECUTOR_H_
