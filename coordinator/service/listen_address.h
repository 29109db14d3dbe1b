#ifndef COPPICE_COORDINATOR_SERVICE_LISTEN_ADDRESS_H_
#define COPPICE_COORDINATOR_SERVICE_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::service {

struct ListenAddress {
  std::string host;  // as given, [V6] with its brackets; empty for unix:
  int port = 0;
};

// INVALID_ARGUMENT with an example for anything but HOST:PORT, [V6]:PORT and unix:/path.
absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& address);

// Tries to bind, so that a refusal can say why and what to do: ALREADY_EXISTS (in use),
// PERMISSION_DENIED, UNAVAILABLE (no such address here), INVALID_ARGUMENT (unknown host name).
// Every address that the host name stands for must be free.
absl::Status CheckCanListen(const ListenAddress& address);

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_LISTEN_ADDRESS_H_
