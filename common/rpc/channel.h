#ifndef COPPICE_COMMON_RPC_CHANNEL_H_
#define COPPICE_COMMON_RPC_CHANNEL_H_

#include <grpcpp/channel.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/rpc/credentials.h"

namespace coppice::rpc {

// The number of the wire's present form; both sides compare it when they meet.
inline constexpr uint32_t kProtocolVersion = 3;
inline constexpr int kDefaultPort = 7070;
// Largest message either side sends: a page of jobs, a batch of rows, a checkpoint chunk.
inline constexpr int kMaxMessageBytes = 16 << 20;

// A channel with keepalive (20 s) and the size limit above. The address is host:port or unix:/path.
// INVALID_ARGUMENT for an address of another form, with an example; the codes of
// MakeChannelCredentials.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address,
                                                           const Credentials& credentials = {});

// Gives every stream of a connection a fixed window, `stream_bytes` that the peer may send before
// they are read, by `set`, which adds a channel argument. gRPC 1.51 otherwise estimates the path's
// bandwidth and changes the window as it goes, and does so first while the connection is being
// made, beside whichever thread has begun to use it: under thousands of new connections that has
// corrupted memory.
void FixWindows(int stream_bytes, absl::FunctionRef<void(const char* name, int value)> set);

// True for 127.0.0.0/8, [::1], localhost and unix: addresses.
bool IsLoopback(const std::string& address);

// Adds which coordinator and what to do to the status of a failed call: "cannot reach the
// coordinator at HOST:PORT: ...; is it running? ...". `tls` is whether the channel speaks TLS.
absl::Status ExplainCallError(const absl::Status& status, const std::string& address,
                              bool tls = false);

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_CHANNEL_H_
