#ifndef COPPICE_COORDINATOR_SERVICE_LIVE_STREAMS_H_
#define COPPICE_COORDINATOR_SERVICE_LIVE_STREAMS_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "coordinator/service/byte_budget.h"

namespace coppice::service {

// A streaming call in progress. It owns itself until its last reaction (see OwnedStream). Code that
// passes it to another thread keeps a shared_ptr.
class LiveStream : public std::enable_shared_from_this<LiveStream> {
 public:
  virtual ~LiveStream() = default;
  // Ends the call with this status as soon as none of its operations is in flight. May be called
  // from any thread; the first status wins.
  virtual void Stop(absl::Status status) = 0;
};

// Purpose: lists all streaming calls, so that the server can end each with a status instead of a
// broken connection. Owner: Server. Thread-safe. Nothing is durable.
class LiveStreams {
 public:
  // Enough for a record stream of each worker of a large cluster, and for watchers.
  static constexpr size_t kMaxStreams = 30'000;

  // Bytes of records that were read but not yet stored, over all streams.
  static constexpr size_t kMaxReportBytes = 64 << 20;
  // Job changes not yet sent to watchers, over all of them.
  static constexpr size_t kMaxWatchedJobs = 500'000;

  explicit LiveStreams(size_t max_streams = kMaxStreams, size_t max_report_bytes = kMaxReportBytes)
      : max_streams_(max_streams), report_bytes_(std::make_shared<ByteBudget>(max_report_bytes)) {}
  // Shared, because a callback of the core may keep a stream beyond the server's end.
  std::shared_ptr<ByteBudget> report_bytes() const { return report_bytes_; }
  // Job changes not yet sent to their watchers.
  std::shared_ptr<ByteBudget> watched_jobs() const { return watched_jobs_; }
  // UNAVAILABLE after StopAll; RESOURCE_EXHAUSTED at the maximum number of streams.
  absl::Status Add(const std::shared_ptr<LiveStream>& stream);
  void Remove(LiveStream* stream);
  // Stops all streams with UNAVAILABLE and refuses new ones.
  void StopAll();
  // Ends all present streams with this status. New ones are still accepted.
  void EndAll(const absl::Status& status);
  size_t count() const;

 private:
  std::vector<std::shared_ptr<LiveStream>> AllLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_streams_;
  const std::shared_ptr<ByteBudget> report_bytes_;
  const std::shared_ptr<ByteBudget> watched_jobs_ = std::make_shared<ByteBudget>(kMaxWatchedJobs);
  mutable absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<LiveStream*, std::weak_ptr<LiveStream>> streams_ ABSL_GUARDED_BY(mutex_);
};

// A gRPC reactor that lives from Launch to the end of OnDone, or longer while a callback of the
// core or a file operation holds it. After OnDone the call must not be used. Every derived class
// has a flag for that under its mutex.
template <typename Reactor>
class OwnedStream : public Reactor, public LiveStream {
 public:
  explicit OwnedStream(LiveStreams* live) : live_(live) {}

  void OnDone() final {
    Release();
    live_->Remove(this);
    const std::shared_ptr<LiveStream> self = std::move(self_);
  }

 protected:
  // Drops subscriptions and files. No reaction follows it.
  virtual void Release() {}

  template <typename T>
  std::shared_ptr<T> Self() {
    return std::static_pointer_cast<T>(shared_from_this());
  }

 private:
  template <typename T, typename... Args>
  friend T* Launch(LiveStreams* live, Args&&... args);

  LiveStreams* const live_;
  std::shared_ptr<LiveStream> self_;
};

// Makes a stream, registers it and calls its Start(). The result goes to gRPC.
template <typename T, typename... Args>
T* Launch(LiveStreams* live, Args&&... args) {
  auto stream = std::make_shared<T>(live, std::forward<Args>(args)...);
  stream->self_ = stream;
  const absl::Status added = live->Add(stream);
  if (added.ok()) {
    stream->Start();
  } else {
    stream->Stop(added);
  }
  return stream.get();
}

// Ends a stream with DEADLINE_EXCEEDED unless it is destroyed within `limit`. This bounds the
// resources of a stuck peer.
class StreamLimit {
 public:
  StreamLimit(Clock* clock, absl::Duration limit, std::weak_ptr<LiveStream> stream);
  ~StreamLimit();
  StreamLimit(const StreamLimit&) = delete;
  StreamLimit& operator=(const StreamLimit&) = delete;

 private:
  Clock* const clock_;
  const Clock::TimerId timer_;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_LIVE_STREAMS_H_
