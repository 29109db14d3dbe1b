#ifndef COPPICE_WORKER_DAEMON_CALL_REGISTRY_H_
#define COPPICE_WORKER_DAEMON_CALL_REGISTRY_H_

#include <grpcpp/client_context.h>

#include <algorithm>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace coppice::worker {

// gRPC takes wall time for a deadline and makes it monotonic itself.
inline void SetDeadline(grpc::ClientContext* context, absl::Duration timeout) {
  context->set_deadline(
      absl::ToChronoTime(Clock::Real()->Now() + std::min(timeout, absl::Hours(24))));
}

// The calls of one client that have not ended, so that they can be cancelled and waited for.
// Thread-safe.
class CallRegistry {
 public:
  enum class Kind { kAcquire, kOther };

  // A context for a new call; already cancelled once CancelAll was called.
  std::shared_ptr<grpc::ClientContext> Begin(Kind kind) {
    auto context = std::make_shared<grpc::ClientContext>();
    absl::MutexLock lock(&mutex_);
    if (closed_) context->TryCancel();
    calls_.emplace(context.get(), Call{context, kind});
    return context;
  }
  void End(grpc::ClientContext* context) {
    absl::MutexLock lock(&mutex_);
    calls_.erase(context);
  }
  void Cancel(Kind kind) {
    absl::MutexLock lock(&mutex_);
    for (const auto& [key, call] : calls_) {
      if (call.kind == kind) call.context->TryCancel();
    }
  }
  void CancelAll() {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    for (const auto& [key, call] : calls_) call.context->TryCancel();
  }
  void WaitForNone() {
    const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return calls_.empty(); };
    absl::MutexLock lock(&mutex_, absl::Condition(&none));
  }

 private:
  struct Call {
    std::shared_ptr<grpc::ClientContext> context;
    Kind kind;
  };
  absl::Mutex mutex_;
  std::map<grpc::ClientContext*, Call> calls_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_CALL_REGISTRY_H_
