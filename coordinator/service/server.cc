#include "coordinator/service/server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "coordinator/service/acceptor.h"
#include "coordinator/service/authenticator.h"
#include "coordinator/service/channelz_view.h"
#include "coordinator/service/checkpoint_files.h"
#include "coordinator/service/listen_address.h"
#include "coordinator/service/pool_service.h"
#include "coordinator/service/scaler_service.h"
#include "coordinator/service/server_facts.h"
#include "coordinator/service/sweep_service.h"
#include "coordinator/service/worker_service.h"

struct gpr_log_func_args;

namespace coppice::service {
namespace {

// The least time for disk calls that are running when the server ends.
constexpr absl::Duration kDiskGrace = absl::Seconds(2);
// Limit of one connection; a client's further calls wait on its own side. Each slot of a worker has
// one waiting call; all report on one stream.
constexpr int kMaxCallsPerConnection = 2048;
// Memory of the transport, for buffers of connections and calls. Beyond it, the transport refuses
// calls with RESOURCE_EXHAUSTED and reads less from each connection.
constexpr size_t kTransportBytes = 512 << 20;

// Bounds on each connection, whoever the peer is.
constexpr int kMaxMetadataBytes = 8 << 10;
// Time from accept to HTTP/2, including TLS.
constexpr int kHandshakeTimeoutMs = 20'000;
// Time without any call. A worker always has one.
constexpr int kIdleConnectionMs = 15 * 60'000;
// Pings in a row, without data in between, that come faster than our clients send them.
constexpr int kMaxPingStrikes = 50;
// Time after which a silent peer is pinged. Unacknowledged data ends a connection much sooner. It
// must not be shorter: gRPC counts this time from its last reading of the clock, which is long past
// while it accepts thousands of connections or after the process stood still. If the time of a
// connection ends during its handshake, two threads work on it at once, and the process dies
// (tests/chaos/connection_storm.py).
constexpr int kKeepaliveMs = 10 * 60'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
// Bytes that a peer may send on a stream before they are read.
constexpr int kStreamWindowBytes = 512 << 10;

// gRPC's own log is about file descriptors. Important errors also arrive as a status.
template <typename Args>
void LogFromGrpc(Args* args) {
  spdlog::debug("grpc: {} ({}:{})", args->message, args->file, args->line);
}

// Newer versions of gRPC log by Abseil, and have no such function.
template <typename Args>
void TakeLogOfGrpc() {
  if constexpr (requires(void (*log)(Args*)) { gpr_set_log_function(log); }) {
    gpr_set_log_function(&LogFromGrpc<Args>);
  }
}

void EnablePluginsOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    TakeLogOfGrpc<gpr_log_func_args>();
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

void Configure(grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(rpc::kMaxMessageBytes);
  builder->SetMaxSendMessageSize(rpc::kMaxMessageBytes);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCallsPerConnection);
  builder->SetResourceQuota(grpc::ResourceQuota("coppice").Resize(kTransportBytes));
  // Clients ping every 20 s, also between calls.
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, kMaxPingStrikes);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  rpc::FixWindows(kStreamWindowBytes,
                  [&](const char* name, int value) { builder->AddChannelArgument(name, value); });
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeTimeoutMs);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleConnectionMs);
}

std::shared_ptr<grpc::ServerCredentials> Credentials(const ServerOptions& options, Clock* clock,
                                                     ServedIdentity* identity,
                                                     RefusalLog* refusals) {
  const ServerSecurity& security = options.security;
  std::shared_ptr<grpc::ServerCredentials> credentials;
  if (security.tls()) {
    credentials = identity->Credentials();
  } else if (security.tokens != nullptr) {
    // Plain text, only for peers on this machine. On such a connection gRPC accepts tokens; it
    // drops any other connection.
    credentials = grpc::experimental::LocalServerCredentials(
        absl::StartsWith(options.listen, "unix:") ? UDS : LOCAL_TCP);
  } else {
    return grpc::InsecureServerCredentials();
  }
  if (security.tokens != nullptr) {
    credentials->SetAuthMetadataProcessor(
        std::make_shared<Authenticator>(security.tokens, clock, refusals));
  }
  return credentials;
}

}  // namespace

struct Server::Parts {
  Parts(core::Coordinator* core, Clock* clock, const ServerOptions& options)
      : clock(clock),
        live(options.max_streams, options.max_report_bytes),
        files(std::make_shared<CheckpointFiles>(options.checkpoint_root)),
        disk(std::make_shared<DiskCalls>(options.disk)),
        facts{"", options.security.tokens, options.certificates},
        sweeps(TransferContext{core, files, disk, clock}, &live, &facts, options.pools),
        pools(options.pools),
        workers(TransferContext{core, files, disk, clock}, &live),
        scaler(core),
        identity({options.security.certificate, options.security.key,
                  options.security.client_authority}),
        refusals(clock) {}

  Clock* const clock;
  LiveStreams live;
  const std::shared_ptr<CheckpointFiles> files;
  const std::shared_ptr<DiskCalls> disk;
  ServerFacts facts;
  SweepServiceImpl sweeps;
  PoolServiceImpl pools;
  WorkerServiceImpl workers;
  ScalerServiceImpl scaler;
  ServedIdentity identity;
  RefusalLog refusals;
  security::TokenRegistry* tokens = nullptr;
  std::unique_ptr<grpc::Server> server;  // stops before the members above, which it uses
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> connections;  // null: unix:
  std::unique_ptr<ChannelzView> view;                                           // null: unix:
  std::unique_ptr<Acceptor> acceptor;  // last: it must not hand a connection to a destroyed server
};

absl::Status Server::CheckAddress(const std::string& listen, Insecure insecure,
                                  const ServerSecurity& security) {
  COPPICE_RETURN_IF_ERROR(ParseListenAddress(listen).status());
  const bool tokens = security.tokens != nullptr;
  if (rpc::IsLoopback(listen)) {
    if (tokens || !security.client_authority.empty() || insecure != Insecure::kNo) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "refusing to listen on ", listen,
        " without asking who calls: every account of this machine could read and cancel every "
        "sweep; leave the flags about TLS out (certificates and tokens are then made), or give "
        "--tls-dir DIR or --tokens FILE, or accept it with --insecure"));
  }
  if (tokens && !security.tls()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "refusing to ask for tokens on ", listen,
        " without TLS: anybody on the way could read them; add --tls-dir DIR "
        "(`coppice-coordinator init-tls --dir DIR` fills one), or listen on 127.0.0.1"));
  }
  if (insecure == Insecure::kAnywhere || (tokens && security.tls())) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "refusing to listen on ", listen, " without ", security.tls() ? "" : "TLS and ",
      "tokens: whoever can reach this address could read and cancel every sweep; leave the flags "
      "about security out (certificates and tokens are then made), or give --tls-dir DIR, or "
      "listen on 127.0.0.1 (and reach it through an SSH tunnel), or accept it on a network you "
      "trust with --insecure --insecure-anywhere"));
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(core::Coordinator* core, Clock* clock,
                                                      const ServerOptions& options) {
  COPPICE_RETURN_IF_ERROR(CheckAddress(options.listen, options.insecure, options.security));
  COPPICE_ASSIGN_OR_RETURN(const ListenAddress listen, ParseListenAddress(options.listen));
  std::optional<ListeningSockets> sockets;
  if (!listen.host.empty()) {
    COPPICE_ASSIGN_OR_RETURN(sockets, Listen(listen, absl::Milliseconds(kKeepaliveTimeoutMs)));
  }
  EnablePluginsOnce();
  auto parts = std::make_unique<Parts>(core, clock, options);
  grpc::ServerBuilder builder;
  Configure(&builder);
  int bound = 1;
  if (sockets.has_value()) {
    parts->connections = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        Credentials(options, clock, &parts->identity, &parts->refusals));
  } else {
    builder.AddListeningPort(
        options.listen, Credentials(options, clock, &parts->identity, &parts->refusals), &bound);
  }
  // Set before the first call.
  parts->facts.address =
      sockets.has_value() ? absl::StrCat(listen.host, ":", sockets->port) : options.listen;
  builder.RegisterService(&parts->sweeps);
  builder.RegisterService(&parts->pools);
  builder.RegisterService(&parts->workers);
  if (options.keda_scaler) builder.RegisterService(&parts->scaler);
  parts->server = builder.BuildAndStart();
  if (parts->server == nullptr || bound == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen,
                                               "; choose another address with --listen HOST:PORT"));
  }
  if (sockets.has_value()) {
    parts->view = std::make_unique<ChannelzView>();
    parts->refusals.Watch(std::make_unique<ChannelzView>());
    parts->acceptor = std::make_unique<Acceptor>(
        *std::move(sockets), Clock::Real(),  // sockets use real time only
        [connections = parts->connections.get()](int fd) {
          grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
          connection.fd = fd;
          connections->HandleNewConnection(&connection);
        },
        /*most=*/0, parts->view.get(), options.connections);
  }
  parts->tokens = options.security.tokens;
  if (parts->tokens != nullptr) {
    // All streams end, whatever their token. Those with valid tokens reconnect.
    parts->tokens->OnRevoked([live = &parts->live] {
      live->EndAll(absl::UnavailableError("the coordinator's tokens have changed; call again"));
    });
  }
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() {
  if (parts_->tokens != nullptr) parts_->tokens->OnRevoked(nullptr);
  CloseStreams();
  Shutdown(absl::ZeroDuration());
}

const std::string& Server::address() const { return parts_->facts.address; }

void Server::ReplaceIdentity(TlsIdentity identity) {
  parts_->identity.Replace(std::move(identity));
}

void Server::CloseStreams() {
  if (auto* health = parts_->server->GetHealthCheckService()) health->SetServingStatus(false);
  parts_->live.StopAll();
}

void Server::Shutdown(absl::Duration grace) {
  if (parts_->acceptor != nullptr) parts_->acceptor->Stop();
  // Comes first: a call that waits for an unresponsive disk would never end.
  parts_->disk->Shutdown(std::max(grace, kDiskGrace));
  parts_->server->Shutdown(absl::ToChronoTime(parts_->clock->Now() + grace));
  parts_->server->Wait();
  parts_->disk->Shutdown(kDiskGrace);  // drops the objects that the last calls released
}

}  // namespace coppice::service
