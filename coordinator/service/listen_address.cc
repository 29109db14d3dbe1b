#include "coordinator/service/listen_address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace coppice::service {
namespace {

absl::Status BindError(int error, const ListenAddress& address) {
  const std::string name = absl::StrCat(address.host, ":", address.port);
  switch (error) {
    case EADDRINUSE:
      return absl::AlreadyExistsError(absl::StrCat(
          "cannot listen on ", name,
          ": the port is in use, perhaps by another coordinator (`ss -ltnp 'sport = :",
          address.port,
          "'` shows by whom); stop it, or choose another port with --listen HOST:PORT"));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat("cannot listen on ", name, ": ", std::strerror(error),
                       "; choose a port of 1024 or above with --listen HOST:PORT"));
    default:
      return absl::UnavailableError(absl::StrCat(
          "cannot listen on ", name, ": ", std::strerror(error),
          "; choose an address of this machine with --listen HOST:PORT (`ip addr` lists them)"));
  }
}

constexpr int kBacklog = 4096;  // the kernel limits it to net.core.somaxconn

// Accepted connections inherit these.
void SetOptions(int fd, int family, absl::Duration silence) {
  const auto set = [fd](int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof(value));
  };
  // A lingering connection of an earlier coordinator must not prevent listening; another listener
  // must.
  set(SOL_SOCKET, SO_REUSEADDR, 1);
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(absl::ToInt64Milliseconds(silence)));
  if (family == AF_INET6) set(IPPROTO_IPV6, IPV6_V6ONLY, 0);
}

// The port that a socket is bound to.
int PortOf(int fd) {
  sockaddr_storage storage = {};
  socklen_t length = sizeof(storage);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return 0;
  return ntohs(storage.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(storage).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(storage).sin_port);
}

void SetPort(sockaddr* address, int port) {
  const auto network = htons(static_cast<uint16_t>(port));
  if (address->sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = network;
  } else {
    reinterpret_cast<sockaddr_in*>(address)->sin_port = network;
  }
}

absl::Status ListenOn(const addrinfo& info, const ListenAddress& address, absl::Duration silence,
                      ListeningSockets* out) {
  Socket socket(
      ::socket(info.ai_family, info.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, info.ai_protocol));
  if (socket.fd() < 0) {
    // A host name may stand for an IPv6 address on a machine without IPv6.
    if (errno == EAFNOSUPPORT) return absl::OkStatus();
    return BindError(errno, address);
  }
  SetOptions(socket.fd(), info.ai_family, silence);
  if (out->port != 0) SetPort(info.ai_addr, out->port);
  if (::bind(socket.fd(), info.ai_addr, info.ai_addrlen) != 0 ||
      ::listen(socket.fd(), kBacklog) != 0) {
    return BindError(errno, address);
  }
  if (out->port == 0) out->port = PortOf(socket.fd());
  out->all.push_back(std::move(socket));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& address) {
  const absl::Status wrong = absl::InvalidArgumentError(absl::StrCat(
      "'", address,
      "' is not an address to listen on; write HOST:PORT, for example 127.0.0.1:7070"));
  if (absl::StartsWith(address, "unix:")) {
    return address.size() > 5 ? absl::StatusOr<ListenAddress>(ListenAddress{}) : wrong;
  }
  ListenAddress out;
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return wrong;
  out.host = address.substr(0, colon);
  const bool bracketed = absl::StartsWith(out.host, "[") && absl::EndsWith(out.host, "]");
  if (!bracketed && absl::StrContains(out.host, ':')) return wrong;
  const std::string port = address.substr(colon + 1);
  if (port.empty() || port.size() > 5 ||
      port.find_first_not_of("0123456789") != std::string::npos ||
      !absl::SimpleAtoi(port, &out.port) || out.port > 65535) {
    return wrong;
  }
  return out;
}

absl::StatusOr<ListeningSockets> Listen(const ListenAddress& address, absl::Duration silence) {
  std::string host = address.host;
  if (absl::StartsWith(host, "[")) host = host.substr(1, host.size() - 2);
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), absl::StrCat(address.port).c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", address.host, ": ", ::gai_strerror(error),
                     "; give an address or name of this machine with --listen HOST:PORT"));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
  ListeningSockets out;
  out.port = address.port;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    COPPICE_RETURN_IF_ERROR(ListenOn(*one, address, silence, &out));
  }
  if (out.all.empty()) return BindError(EADDRNOTAVAIL, address);
  return out;
}

}  // namespace coppice::service
