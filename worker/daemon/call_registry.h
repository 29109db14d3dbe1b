#ifndef COPPICE_WORKER_DAEMON_CALL_REGISTRY_H_
#define COPPICE_WORKER_DAEMON_CALL_REGISTRY_H_

#include <grpcpp/client_context.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace coppice::worker {

// gRPC takes a deadline in wall time and converts it to monotonic time itself.
inline void SetDeadline(grpc::ClientContext* context, absl::Duration timeout) {
  context->set_deadline(
      absl::ToChronoTime(Clock::Real()->Now() + std::min(timeout, absl::Hours(24))));
}

// The calls of one client that have not ended, so that they can be cancelled and waited for.
// Thread-safe.
class CallRegistry {
 public:
  enum class Kind { kAcquire, kOther };

  // Returns a context for a new call; after CancelAll it is already cancelled. The call ends when
  // the last reference to the context is dropped, not when it is answered. A context holds the
  // channel, whose destruction waits for gRPC's threads. So none of these threads may drop the last
  // reference.
  std::shared_ptr<grpc::ClientContext> Begin(Kind kind) {
    absl::MutexLock lock(&mutex_);
    const uint64_t id = ++last_id_;
    const std::shared_ptr<grpc::ClientContext> context(new grpc::ClientContext,
                                                       [this, id](grpc::ClientContext* ended) {
                                                         delete ended;
                                                         absl::MutexLock lock(&mutex_);
                                                         calls_.erase(id);
                                                       });
    if (closed_) context->TryCancel();
    calls_.emplace(id, Call{context, kind});
    return context;
  }
  void Cancel(Kind kind) {
    for (const auto& context : Contexts(kind)) context->TryCancel();
  }
  void CancelAll() {
    {
      absl::MutexLock lock(&mutex_);
      closed_ = true;
    }
    for (const auto& context : Contexts(std::nullopt)) context->TryCancel();
  }
  void WaitForNone() {
    const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return calls_.empty(); };
    absl::MutexLock lock(&mutex_, absl::Condition(&none));
  }

 private:
  struct Call {
    std::weak_ptr<grpc::ClientContext> context;
    Kind kind;
  };

  // All kinds, if none is given. The last reference to a context must not be dropped while mutex_
  // is held.
  std::vector<std::shared_ptr<grpc::ClientContext>> Contexts(std::optional<Kind> kind) {
    std::vector<std::shared_ptr<grpc::ClientContext>> contexts;
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, call] : calls_) {
      if (kind.value_or(call.kind) != call.kind) continue;
      if (auto context = call.context.lock()) contexts.push_back(std::move(context));
    }
    return contexts;
  }

  absl::Mutex mutex_;
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, Call> calls_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_CALL_REGISTRY_H_
