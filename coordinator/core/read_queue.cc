#include "coordinator/core/read_queue.h"

#include <algorithm>
#include <utility>

namespace coppice::core {

ReadQueue::ReadQueue(int threads, size_t most, Executor::Runner runner)
    : most_(most),
      most_of_one_(std::max<size_t>(1, most / 4)),
      threads_(threads, std::move(runner)) {}

absl::Status ReadQueue::Add(const std::string& caller, Slice slice) {
  absl::MutexLock lock(&mutex_);
  const auto queue = queues_.find(caller);
  if (queue != queues_.end() && queue->second.taken >= most_of_one_) {
    return absl::ResourceExhaustedError(
        "too many queries of this connection are waiting: try again later");
  }
  if (taken_ >= most_) {
    return absl::ResourceExhaustedError("too many queries are waiting: try again later");
  }
  if (!Push(caller, slice)) return absl::UnavailableError("the coordinator is shutting down");
  ++queues_[caller].taken;
  ++taken_;
  return absl::OkStatus();
}

// RunOne waits for the lock, so it finds the slice that is pushed after Add.
bool ReadQueue::Push(const std::string& caller, Slice& slice) {
  if (!threads_.Add([this] { RunOne(); })) return false;
  Queue& queue = queues_[caller];
  if (queue.waiting.empty()) turns_.push_back(caller);
  queue.waiting.push_back(std::move(slice));
  return true;
}

// Called once for each waiting slice.
void ReadQueue::RunOne() {
  std::string caller;
  Slice slice;
  {
    absl::MutexLock lock(&mutex_);
    caller = std::move(turns_.front());
    turns_.pop_front();
    Queue& queue = queues_[caller];
    slice = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    if (!queue.waiting.empty()) turns_.push_back(caller);
  }
  while (!slice()) {
    absl::MutexLock lock(&mutex_);
    if (Push(caller, slice)) return;
    // The threads accept no more work, so the query ends here.
  }
  slice = nullptr;  // the slice's memory is released before its count
  absl::MutexLock lock(&mutex_);
  --taken_;
  if (--queues_[caller].taken == 0) queues_.erase(caller);
}

void ReadQueue::Shutdown() { threads_.Shutdown(); }

}  // namespace coppice::core
