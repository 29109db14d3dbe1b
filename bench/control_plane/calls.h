// Unary calls whose messages live until the answer.
#ifndef COPPICE_BENCH_CONTROL_PLANE_CALLS_H_
#define COPPICE_BENCH_CONTROL_PLANE_CALLS_H_

#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/rpc/status.h"
#include "coppice/v1/coordinator.grpc.pb.h"
#include "worker/daemon/call_registry.h"

namespace coppice::bench {

using Async = v1::WorkerService::StubInterface::async_interface;
template <typename Request, typename Response>
using Method = void (Async::*)(grpc::ClientContext*, const Request*, Response*,
                               std::function<void(grpc::Status)>);

// `done(status, response)` runs on a gRPC thread.
template <typename Request, typename Response, typename Done>
void Call(v1::WorkerService::Stub* stub, Method<Request, Response> method, Request request,
          absl::Duration timeout, Done done) {
  struct State {
    grpc::ClientContext context;
    Request request;
    Response response;
    Done done;
  };
  auto* state = new State{{}, std::move(request), {}, std::move(done)};
  worker::SetDeadline(&state->context, timeout);
  (stub->async()->*method)(&state->context, &state->request, &state->response,
                           [state](const grpc::Status& status) {
                             std::unique_ptr<State> owned(state);
                             const absl::Status result = rpc::FromGrpc(status, owned->context);
                             const Response response = std::move(owned->response);
                             Done done = std::move(owned->done);
                             // Released first: the context holds the channel, which `done` may end.
                             owned.reset();
                             done(result, response);
                           });
}

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_CALLS_H_
