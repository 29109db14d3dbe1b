// The only functions that answer a unary call or refuse any call.
#ifndef COPPICE_COORDINATOR_SERVICE_ANSWER_H_
#define COPPICE_COORDINATOR_SERVICE_ANSWER_H_

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <functional>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/logging.h"
#include "common/rpc/status.h"

namespace coppice::service {

// The status for the caller. The coordinator's own faults are also logged.
inline grpc::Status Outcome(const absl::Status& status) {
  if (absl::IsInternal(status) || absl::IsUnknown(status) || absl::IsDataLoss(status)) {
    spdlog::error("a call failed: {}", status.ToString());
  }
  return rpc::ToGrpc(status);
}

// Makes the `done` callback that the core gets for a call. It encodes the value into the response
// (which lives until Finish) and finishes the call. An error becomes the call's status. `encode`
// takes T and returns void or a Status.
template <typename T, typename Encode>
std::function<void(absl::StatusOr<T>)> Answer(grpc::ServerUnaryReactor* reactor, Encode encode) {
  return [reactor, encode = std::move(encode)](absl::StatusOr<T> result) {
    absl::Status status = result.status();
    if (status.ok()) {
      if constexpr (std::is_void_v<std::invoke_result_t<Encode, T>>) {
        encode(*std::move(result));
      } else {
        status = encode(*std::move(result));
      }
    }
    reactor->Finish(Outcome(status));
  };
}

// The same for a call that returns only a status.
inline std::function<void(absl::Status)> Answer(grpc::ServerUnaryReactor* reactor) {
  return [reactor](absl::Status status) { reactor->Finish(Outcome(status)); };
}

// A unary call whose answer may be dropped: an autoscaler that has shut down forgets its callbacks.
// The call then ends with UNAVAILABLE, and the server need not wait for it. Owner: the callbacks.
class OpenCall {
 public:
  explicit OpenCall(grpc::ServerUnaryReactor* reactor) : reactor_(reactor) {}
  ~OpenCall() { Finish(absl::UnavailableError("the coordinator is shutting down; call again")); }
  OpenCall(const OpenCall&) = delete;
  OpenCall& operator=(const OpenCall&) = delete;

  void Finish(const absl::Status& status) {
    if (!finished_.exchange(true)) reactor_->Finish(Outcome(status));
  }

 private:
  grpc::ServerUnaryReactor* const reactor_;
  std::atomic<bool> finished_{false};
};

// Refuses a request that failed validation.
inline grpc::ServerUnaryReactor* Refuse(grpc::ServerUnaryReactor* reactor,
                                        const absl::Status& status) {
  reactor->Finish(rpc::ToGrpc(status));
  return reactor;
}

// The same for a server stream: it ends before its first message.
template <typename Response>
grpc::ServerWriteReactor<Response>* RefuseStream(const absl::Status& status) {
  class Refused final : public grpc::ServerWriteReactor<Response> {
   public:
    explicit Refused(const absl::Status& why) { this->Finish(rpc::ToGrpc(why)); }
    void OnDone() override { delete this; }
  };
  return new Refused(status);
}

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_ANSWER_H_
