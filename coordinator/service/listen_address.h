#ifndef COPPICE_COORDINATOR_SERVICE_LISTEN_ADDRESS_H_
#define COPPICE_COORDINATOR_SERVICE_LISTEN_ADDRESS_H_

#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace coppice::service {

struct ListenAddress {
  std::string host;  // as given, with the brackets of [V6]; empty for unix:
  int port = 0;
};

// INVALID_ARGUMENT with an example for anything but HOST:PORT, [V6]:PORT and unix:/path.
absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& address);

// Owns a descriptor and closes it.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

struct ListeningSockets {
  std::vector<Socket> all;  // one for each address of the host name; non-blocking
  int port = 0;             // the same for all
};

// Listens on HOST:PORT. A connection ends if its peer acknowledges no data for `silence`.
// ALREADY_EXISTS (in use), PERMISSION_DENIED, UNAVAILABLE (not an address of this machine),
// INVALID_ARGUMENT (unknown host name); each message says what to do. All addresses of the host
// name must be free.
absl::StatusOr<ListeningSockets> Listen(const ListenAddress& address, absl::Duration silence);

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_LISTEN_ADDRESS_H_
