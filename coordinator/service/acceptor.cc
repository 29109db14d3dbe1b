#include "coordinator/service/acceptor.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "common/base/logging.h"

namespace coppice::service {
namespace {

constexpr int kMostInARow = 64;
// There is no notice when a descriptor becomes free.
constexpr int kRetryMs = 100;
constexpr absl::Duration kSayAgainAfter = absl::Minutes(1);
// Descriptors reserved for the database, checkpoints and other files.
constexpr int kFewestForFiles = 32;
constexpr int kMostForFiles = 256;

int MostForConnections() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT32_MAX) return INT32_MAX;
  const int all = static_cast<int>(limit.rlim_cur);
  return all - std::clamp(all / 16, kFewestForFiles, kMostForFiles);
}

}  // namespace

Acceptor::Acceptor(ListeningSockets sockets, Clock* clock, Handler handler, int most,
                   TransportView* view, ConnectionLimits limits)
    : sockets_(std::move(sockets)),
      clock_(clock),
      handler_(std::move(handler)),
      most_(most > 0 ? most : MostForConnections()),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (view != nullptr) {
    // A single address must leave room for others.
    limits.open_per_peer =
        std::min(limits.open_per_peer, static_cast<size_t>(std::max(most_ / 2, kFewestForFiles)));
    guard_.emplace(clock_, view, limits, handler_);
  }
  thread_ = std::thread([this] { Run(); });
}

Acceptor::~Acceptor() { Stop(); }

void Acceptor::Stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  while (::write(stop_.fd(), &one, sizeof(one)) < 0 && errno == EINTR) {
  }
  thread_.join();
  guard_.reset();
  sockets_.all.clear();
}

void Acceptor::Run() {
  std::vector<pollfd> polled;
  for (const Socket& socket : sockets_.all) polled.push_back({socket.fd(), POLLIN, 0});
  polled.push_back({stop_.fd(), POLLIN, 0});
  bool exhausted = false;
  for (;;) {
    // Without free descriptors, poll waits only for Stop and for the time of the next try.
    pollfd* const first = exhausted ? &polled.back() : polled.data();
    const nfds_t count = exhausted ? 1 : polled.size();
    const int wait_ms = WaitMs();
    const int most_ms = exhausted && (wait_ms < 0 || wait_ms > kRetryMs) ? kRetryMs : wait_ms;
    if (::poll(first, count, most_ms) < 0 && errno != EINTR) {
      spdlog::error("cannot wait for connections: {}", std::strerror(errno));
      return;
    }
    if (polled.back().revents != 0) return;
    if (guard_.has_value() && guard_->NextCheck() <= absl::ZeroDuration()) guard_->Check();
    const bool try_all = std::exchange(exhausted, false);
    for (size_t i = 0; i + 1 < polled.size(); ++i) {
      const bool ready = std::exchange(polled[i].revents, 0) != 0;
      if ((ready || try_all) && !AcceptFrom(polled[i].fd)) exhausted = true;
    }
  }
}

bool Acceptor::AcceptFrom(int listening) {
  for (int i = 0; i < kMostInARow; ++i) {
    sockaddr_storage from = {};
    socklen_t size = sizeof(from);
    const int fd = ::accept4(listening, reinterpret_cast<sockaddr*>(&from), &size,
                             SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= most_) {
      Complain("too many are open");
      ::close(fd);
    } else if (fd >= 0) {
      guard_.has_value() ? guard_->Take(fd, from) : handler_(fd);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return true;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      Complain(std::strerror(errno));
      return false;
    }
    // Any other error concerns only that connection, which is already gone.
  }
  return true;
}

int Acceptor::WaitMs() const {
  if (!guard_.has_value()) return -1;
  const absl::Duration wait = guard_->NextCheck();
  if (wait == absl::InfiniteDuration()) return -1;
  return static_cast<int>(absl::ToInt64Milliseconds(wait + absl::Milliseconds(1)));
}

void Acceptor::Complain(const char* why) {
  const absl::Duration now = clock_->Monotonic();
  if (now - complained_ < kSayAgainAfter) return;
  complained_ = now;
  spdlog::error(
      "connections are turned away: {}. At most {} descriptors are for connections; raise the "
      "limit "
      "(`ulimit -Hn`) and start the coordinator again, or find out who opens so many (`ss -tn`)",
      why, most_);
}

}  // namespace coppice::service
