#ifndef COPPICE_COORDINATOR_SERVICE_PULL_STREAM_H_
#define COPPICE_COORDINATOR_SERVICE_PULL_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/core/caller.h"
#include "coordinator/service/answer.h"
#include "coordinator/service/live_streams.h"

namespace coppice::service {

// Purpose: a server stream as a loop of fetching and writing. One operation is in flight at a time,
// so a slow client slows the fetching and no data accumulate. Owner: itself (OwnedStream).
// Thread-safe: Write, Wait, End and Wake may be called from any thread.
//   1. Start calls Fetch. An earlier Wake is remembered.
//   2. Fetch leads, now or later, to exactly one call of Write (response_ is filled), Wait (nothing
//      to send yet) or End.
//   3. After Write, Fetch is called once gRPC has taken the message. After Wait, it is called on
//      the next Wake, or at once if a Wake came since Fetch began.
//   4. Stop (cancellation, shutdown, a limit) ends the call at the next of these points.
template <typename Response>
class PullStream : public OwnedStream<grpc::ServerWriteReactor<Response>> {
 public:
  using Base = OwnedStream<grpc::ServerWriteReactor<Response>>;
  using Base::Base;

  void Start() {
    {
      absl::MutexLock lock(&mutex_);
      if (state_ != State::kNew) return;
      state_ = State::kBusy;
    }
    Fetch();
  }

  void Stop(absl::Status status) final {
    absl::MutexLock lock(&mutex_);
    if (state_ == State::kFinished) return;
    if (!stop_.has_value()) stop_ = std::move(status);
    if (state_ != State::kBusy) FinishLocked(*stop_);
  }

  void OnCancel() final { Stop(absl::CancelledError("the call was cancelled")); }

  void OnWriteDone(bool ok) final {
    if (!ok) return End(absl::CancelledError("the client has gone away"));
    Again();
  }

 protected:
  virtual void Fetch() = 0;

  // The client at `peer`, for Fetch's requests to the core. It counts as gone once the stream was
  // stopped.
  core::Caller CallerAt(const std::string& peer) {
    return {peer, "", [self = this->template Self<PullStream>()] { return self->IsStopped(); }};
  }
  bool IsStopped() {
    absl::MutexLock lock(&mutex_);
    return stop_.has_value();
  }

  void Write() {
    absl::MutexLock lock(&mutex_);
    if (stop_.has_value()) return FinishLocked(*stop_);
    this->StartWrite(&response_);
  }

  void Wait() {
    {
      absl::MutexLock lock(&mutex_);
      if (stop_.has_value()) return FinishLocked(*stop_);
      if (!woken_) {
        state_ = State::kIdle;
        return;
      }
      woken_ = false;
    }
    Fetch();
  }

  // Calls Fetch again, unless the stream was stopped. For results with nothing to write.
  void Again() {
    {
      absl::MutexLock lock(&mutex_);
      if (stop_.has_value()) return FinishLocked(*stop_);
    }
    Fetch();
  }

  void End(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    FinishLocked(status);
  }

  void Wake() {
    {
      absl::MutexLock lock(&mutex_);
      if (state_ != State::kIdle) {
        woken_ = true;
        return;
      }
      state_ = State::kBusy;
    }
    Fetch();
  }

  // Filled between Fetch and Write, read by gRPC until OnWriteDone.
  Response response_;

 private:
  // kBusy: between Fetch and its outcome, or writing. kIdle: waiting for Wake.
  enum class State { kNew, kBusy, kIdle, kFinished };

  void FinishLocked(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (state_ == State::kFinished) return;
    state_ = State::kFinished;
    this->Finish(Outcome(status));
  }

  absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kNew;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> stop_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_PULL_STREAM_H_
