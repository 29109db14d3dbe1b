// Makes visible to ThreadSanitizer in which order gRPC runs callbacks. Debian's libgrpc is not
// built with it, so what is handed from thread to thread inside is nothing to it. As in
// tsan_absl.cc, a program's symbols win over those of its shared libraries: the functions here say
// what happens and call the library's own. Three orders are told, and no more:
//   1. what was done before an operation was started comes before what its completion runs;
//   2. all callbacks of a server's call come before its OnDone, what began it before its OnCancel;
//   3. a server is destroyed after the OnDone of each of its calls.
// Two callbacks of one call that share a member without a lock are still reported.
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <grpcpp/support/server_callback.h>
#include <sanitizer/tsan_interface.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace {

template <typename Function>
Function* Next(const char* name) {
  void* const found = dlsym(RTLD_NEXT, name);
  if (found != nullptr) return reinterpret_cast<Function*>(found);
  std::fprintf(stderr, "tsan_grpc: no %s in gRPC's library\n", name);
  std::abort();
}

// A thread for what gRPC gives to its executor; for the whole life of the process.
class Background {
 public:
  Background() {
    std::thread([this] { Run(); }).detach();
  }
  void Add(std::function<void()> work) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      work_.push_back(std::move(work));
    }
    added_.notify_one();
  }

 private:
  [[noreturn]] void Run() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      added_.wait(lock, [this] { return !work_.empty(); });
      const std::function<void()> work = std::move(work_.front());
      work_.pop_front();
      lock.unlock();
      work();
    }
  }

  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::function<void()>> work_;
};

char calls_done;  // stands for the OnDone of every call

Background& Executor() {
  static auto* const executor = new Background;
  return *executor;
}

}  // namespace

namespace grpc::internal {

// Both stand for the library's own, which would hand the call over out of sight.
void ServerCallbackCall::ScheduleOnDone(bool inline_ondone) {
  // The count that came to zero; the library's part of the program counts, too.
  __tsan_acquire(&callbacks_outstanding_);
  const auto done = [this] {
    CallOnDone();
    __tsan_release(&calls_done);
  };
  if (inline_ondone) return done();
  Executor().Add(done);
}

void ServerCallbackCall::CallOnCancel(ServerReactor* reactor) {
  __tsan_acquire(&on_cancel_conditions_remaining_);
  if (reactor->InternalInlineable()) return reactor->OnCancel();
  Ref();
  Executor().Add([this, reactor] {
    reactor->OnCancel();
    __tsan_release(&callbacks_outstanding_);
    MaybeDone();
  });
}

}  // namespace grpc::internal

extern "C" {

grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops, size_t nops, void* tag,
                                      void* reserved) {
  static auto* const real = Next<decltype(grpc_call_start_batch)>("grpc_call_start_batch");
  __tsan_release(tag);
  return real(call, ops, nops, tag, reserved);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                      void* reserved) {
  static auto* const real =
      Next<decltype(grpc_completion_queue_next)>("grpc_completion_queue_next");
  const grpc_event event = real(queue, deadline, reserved);
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(event.tag);
  return event;
}

grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag,
                                       gpr_timespec deadline, void* reserved) {
  static auto* const real =
      Next<decltype(grpc_completion_queue_pluck)>("grpc_completion_queue_pluck");
  const grpc_event event = real(queue, tag, deadline, reserved);
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(tag);
  return event;
}

void grpc_server_destroy(grpc_server* server) {
  static auto* const real = Next<decltype(grpc_server_destroy)>("grpc_server_destroy");
  __tsan_acquire(&calls_done);
  real(server);
}

}  // extern "C"
