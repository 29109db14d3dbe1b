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

// The version of the wire protocol. Both sides compare it at registration.
inline constexpr uint32_t kProtocolVersion = 5;
inline constexpr int kDefaultPort = 7070;
// The largest message that either side sends: a page of jobs, a batch of rows, a checkpoint chunk.
inline constexpr int kMaxMessageBytes = 16 << 20;

// A channel with keepalive (20 s) and the size limit above. The address is host:port or unix:/path.
// INVALID_ARGUMENT, with an example: an address of another form. Otherwise the codes of
// MakeChannelCredentials.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address,
                                                           const Credentials& credentials = {});

// Gives every stream of a connection a fixed window: the peer may send `stream_bytes` before they
// are read. `set` adds a channel argument. Otherwise gRPC 1.51 estimates the path's bandwidth and
// adjusts the window, for the first time while the connection is being made and another thread may
// already use it. Under thousands of new connections this has corrupted memory.
void FixWindows(int stream_bytes, absl::FunctionRef<void(const char* name, int value)> set);

// True for 127.0.0.0/8, [::1], localhost and unix: addresses.
bool IsLoopback(const std::string& address);

// Adds the coordinator's address and a remedy to the status of a failed call: "cannot reach the
// coordinator at HOST:PORT: ...; is it running? ...". `tls`: the channel uses TLS.
absl::Status ExplainCallError(const absl::Status& status, const std::string& address,
                              bool tls = false);

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_CHANNEL_H_
