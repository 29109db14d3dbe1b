#ifndef COPPICE_COORDINATOR_CORE_READ_QUEUE_H_
#define COPPICE_COORDINATOR_CORE_READ_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/executor.h"

namespace coppice::core {

// Purpose: shares the reader threads out fairly. Each caller has its own queue, and the callers
// take turns. A caller with a thousand queries thus delays another's query by only one of them. A
// long query runs in slices: after each it goes back to the end of its caller's queue. The number
// of accepted and unfinished queries is bounded, in total and for each caller. Owner: the engine.
// Thread-safe. Failure codes of Add: RESOURCE_EXHAUSTED (too many wait), UNAVAILABLE (shut down).
class ReadQueue {
 public:
  // Runs one slice. Returns true when the query has ended.
  using Slice = std::function<bool()>;

  // One caller may have a quarter of the `most` queries.
  ReadQueue(int threads, size_t most, Executor::Runner runner);

  absl::Status Add(const std::string& caller, Slice slice);
  // Refuses new queries and finishes the accepted ones.
  void Shutdown();

 private:
  struct Queue {
    std::deque<Slice> waiting;
    size_t taken = 0;  // accepted and not ended
  };

  void RunOne();
  // False: the threads accept no more work, and `slice` is left unchanged.
  bool Push(const std::string& caller, Slice& slice) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t most_;
  const size_t most_of_one_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Queue> queues_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> turns_
      ABSL_GUARDED_BY(mutex_);  // callers with waiting queries, each once
  size_t taken_ ABSL_GUARDED_BY(mutex_) = 0;
  Executor threads_;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_READ_QUEUE_H_
