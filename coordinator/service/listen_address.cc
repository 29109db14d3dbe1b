#include "coordinator/service/listen_address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

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

absl::Status TryBind(const addrinfo& info, const ListenAddress& address) {
  const int fd = ::socket(info.ai_family, info.ai_socktype | SOCK_CLOEXEC, info.ai_protocol);
  if (fd < 0) {
    // A host name may stand for an IPv6 address on a machine without IPv6.
    if (errno == EAFNOSUPPORT) return absl::OkStatus();
    return BindError(errno, address);
  }
  const int on = 1;
  // As gRPC does: a connection that lingers from an earlier coordinator is no obstacle, a listener
  // is.
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const int bound = ::bind(fd, info.ai_addr, info.ai_addrlen);
  const int error = errno;
  ::close(fd);
  return bound == 0 ? absl::OkStatus() : BindError(error, address);
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

absl::Status CheckCanListen(const ListenAddress& address) {
  if (address.host.empty()) return absl::OkStatus();
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
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    COPPICE_RETURN_IF_ERROR(TryBind(*one, address));
  }
  return absl::OkStatus();
}

}  // namespace coppice::service
