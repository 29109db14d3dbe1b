#ifndef COPPICE_COORDINATOR_SERVICE_LIVE_STREAMS_H_
#define COPPICE_COORDINATOR_SERVICE_LIVE_STREAMS_H_

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"

namespace coppice::service {

// A streaming call in progress. It owns itself until its last reaction (see OwnedStream); whoever
// hands it to another thread keeps a shared_ptr.
class LiveStream : public std::enable_shared_from_this<LiveStream> {
 public:
  virtual ~LiveStream() = default;
  // Ends the call with this status as soon as nothing of it is in flight. Any thread; the first
  // status wins.
  virtual void Stop(absl::Status status) = 0;
};

// Purpose: finds every streaming call when the server wants to end, so that none ends as a broken
// connection. Owner: Server. Thread-safe. Nothing is durable.
class LiveStreams {
 public:
  // UNAVAILABLE after StopAll.
  absl::Status Add(const std::shared_ptr<LiveStream>& stream);
  void Remove(LiveStream* stream);
  // Stops all with UNAVAILABLE and refuses new ones.
  void StopAll();
  size_t count() const;

 private:
  mutable absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<LiveStream*, std::weak_ptr<LiveStream>> streams_ ABSL_GUARDED_BY(mutex_);
};

// A gRPC reactor that lives from Launch to the end of OnDone, or longer while a callback of the
// core or a file operation holds it. After OnDone nobody may touch the call; every derived class
// keeps a flag for that under its mutex.
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
  // Drops subscriptions and files; no reaction follows.
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

// Ends a stream with DEADLINE_EXCEEDED when it has not been destroyed in time: a bound on what a
// stuck peer can hold.
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
