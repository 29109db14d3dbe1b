#include "common/rpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace coppice::rpc {
namespace {

// Splits host:port (also [v6]:port). False: the address has another form.
bool SplitAddress(const std::string& address, std::string* host, int* port) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  *host = address.substr(0, colon);
  const bool bracketed = absl::StartsWith(*host, "[") && absl::EndsWith(*host, "]");
  if (!bracketed && absl::StrContains(*host, ':')) return false;
  return absl::SimpleAtoi(address.substr(colon + 1), port) && *port >= 0 && *port <= 65535;
}

// Bytes that the coordinator may send on a stream before they are read.
constexpr int kStreamWindowBytes = 1 << 20;

}  // namespace

void FixWindows(int stream_bytes, absl::FunctionRef<void(const char* name, int value)> set) {
  set(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  set(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, stream_bytes);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address,
                                                           const Credentials& credentials) {
  std::string host;
  int port = 0;
  if (!absl::StartsWith(address, "unix:") && (!SplitAddress(address, &host, &port) || port == 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("coordinator address '", address,
                     "' is not of the form host:port, for example 127.0.0.1:", kDefaultPort));
  }
  COPPICE_ASSIGN_OR_RETURN(const auto channel_credentials,
                           MakeChannelCredentials(address, credentials));
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  // Despite its name, this bounds one attempt to connect. A loaded machine may need seconds to
  // accept.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Proxies from the environment are meant for the web, not for a coordinator inside the cluster.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  FixWindows(kStreamWindowBytes,
             [&](const char* name, int value) { arguments.SetInt(name, value); });
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  return grpc::CreateCustomChannel(address, channel_credentials, arguments);
}

bool IsLoopback(const std::string& address) {
  if (absl::StartsWith(address, "unix:")) return true;
  std::string host;
  int port = 0;
  if (!SplitAddress(address, &host, &port)) return false;
  // A name such as 127.example.org may resolve to any address.
  const bool numeric = host.find_first_not_of("0123456789.") == std::string::npos;
  return host == "localhost" || host == "[::1]" || (numeric && absl::StartsWith(host, "127."));
}

absl::Status ExplainCallError(const absl::Status& status, const std::string& address, bool tls) {
  if (absl::IsUnavailable(status)) {
    return absl::UnavailableError(absl::StrCat(
        "cannot reach the coordinator at ", address, " (", status.message(),
        "); start one with `coppice-coordinator`, or name another with --coordinator "
        "HOST:PORT or COPPICE_COORDINATOR",
        tls ? "; if it runs, it may serve without TLS (--insecure), or its certificate "
              "may be another authority's, expired or for another host name (--access "
              "FILE, --tls-ca FILE)"
            : "; if it runs, it may serve TLS: leave --insecure out, or give --access "
              "FILE or --tls-ca FILE"));
  }
  if (absl::IsDeadlineExceeded(status)) {
    return absl::DeadlineExceededError(absl::StrCat("the coordinator at ", address,
                                                    " did not answer in time (", status.message(),
                                                    "); check its log and its load"));
  }
  if (absl::IsUnimplemented(status)) {
    return absl::UnimplementedError(absl::StrCat(
        "what listens at ", address, " is not a Coppice coordinator, or one of another version (",
        status.message(), "); compare `coppice --version` on both machines"));
  }
  if (absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status)) {
    return absl::Status(status.code(), absl::StrCat("the coordinator at ", address,
                                                    " refused: ", status.message()));
  }
  return status;
}

}  // namespace coppice::rpc
